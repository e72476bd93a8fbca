// Activations and pointwise losses, value and slope: Python's formulas on vectors.
//
// The slope of an activation is taken at s: y = value(z), or z itself where stores_slope(). Then the forward pass computes the
// slope and stores it for the backward pass.
#pragma once
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <auto Enumerator>
struct Tag {
    static constexpr auto value = Enumerator;
};

// Call f(Tag<which>{}): the enumerator becomes a compile-time constant.
template <class Enum, class F, int... I>
BP_INLINE void dispatch(Enum which, F&& f, std::integer_sequence<int, I...>) {
    (void)((int(which) == I && (f(Tag<Enum(I)>{}), true)) || ...);
}
template <class F>
BP_INLINE void dispatch(Activation which, F&& f) {
    dispatch(which, f, std::make_integer_sequence<int, count_of(kActivationNames)>{});
}
template <class F>
BP_INLINE void dispatch(Pointwise which, F&& f) {
    dispatch(which, f, std::make_integer_sequence<int, count_of(kPointwiseNames)>{});
}

template <class V>
BP_INLINE V constant(double x) {
    return broadcast<lane<V>>(lane<V>(x));
}

// log(1 + e^z), without overflow for any z.
template <class V>
BP_INLINE V log1p_exp(V z) {
    return max(constant<V>(0), z) + log1p(exp(-abs(z)));
}

// 2 Φ(z) = 1 + erf(z / sqrt 2), twice the normal distribution function, and e^(-z^2 / 2). GELU and its slope share them.
template <class V>
struct Normal {
    V twice, bell;
};
template <class V>
BP_INLINE Normal<V> normal(V z) {
    using T = lane<V>;
    const V bell = exp(T(-0.5) * z * z), a = abs(z * T(0.7071067811865476));
    // erfc(a) is the bell times a polynomial, with an error below 4e-8; for a > 3.9 erfc itself is smaller than that.
    if constexpr (is_float<V>) {
        const V tail = bell * horner(at_most(3.9f, a), 1.0f, -1.1283762f, 0.9999254f, -0.7515751f, 0.4968429f,
                                     -0.2920732f, 0.15048687f, -0.06538746f, 0.02268019f, -0.00588328f,
                                     0.0010520626f, -0.00011420725f, 5.623154e-06f);
        return {select(z < T(0), tail, T(2) - tail), bell};
    } else {
        return {with_sign(erf(a), z) + T(1), bell};
    }
}

// tanh(sqrt(2 / pi) (z + 0.044715 z^3)).
template <class V>
BP_INLINE V gelu_inner(V z) {
    using T = lane<V>;
    return tanh(T(0.7978845608028654) * fma(T(0.044715) * z * z, z, z));
}

// ---- activations ------------------------------------------------------------------------------------------

template <Activation A, class V>
BP_INLINE V value(V z, [[maybe_unused]] lane<V> alpha) {
    using T = lane<V>;
    constexpr T threshold = 20;  // above it softplus(z) = z
    if constexpr (A == Activation::identity) return z;
    if constexpr (A == Activation::relu) return select(z < T(0), constant<V>(0), z);
    if constexpr (A == Activation::leaky_relu) return select(z < T(0), alpha * z, z);
    if constexpr (A == Activation::tanh) return tanh(z);
    if constexpr (A == Activation::sigmoid) return sigmoid(z);
    if constexpr (A == Activation::elu) return select(z > T(0), z, alpha * expm1(at_most(0, z)));
    if constexpr (A == Activation::softplus)
        return select(alpha * z > threshold, z, log1p_exp(alpha * z) / alpha);
    if constexpr (A == Activation::gelu) return T(0.5) * z * normal(z).twice;
    if constexpr (A == Activation::gelu_tanh) return T(0.5) * z * (gelu_inner(z) + T(1));
    if constexpr (A == Activation::silu) return z * sigmoid(z);
}

template <Activation A, class V>
BP_INLINE V slope(V s, [[maybe_unused]] lane<V> alpha) {
    using T = lane<V>;
    constexpr T threshold = 20;
    const V one = constant<V>(1);
    if constexpr (A == Activation::identity) return s * T(0) + one;
    if constexpr (A == Activation::relu) return select(s > T(0), one, constant<V>(0));
    if constexpr (A == Activation::leaky_relu) return select(s > T(0), one, broadcast<T>(alpha));
    if constexpr (A == Activation::tanh) return one - s * s;
    if constexpr (A == Activation::sigmoid) return s * (one - s);
    if constexpr (A == Activation::elu) return select(s > T(0), one, s + alpha);
    if constexpr (A == Activation::softplus) return select(alpha * s > threshold, one, -expm1(-alpha * s));
    if constexpr (A == Activation::gelu) {
        const auto [twice, bell] = normal(s);
        return fma(s * T(0.3989422804014327), bell, T(0.5) * twice);
    }
    if constexpr (A == Activation::gelu_tanh) {
        const V t = gelu_inner(s);
        const V inner = T(0.7978845608028654) * fma(T(3 * 0.044715) * s, s, one);
        return T(0.5) * (one + t) + T(0.5) * s * (one - t * t) * inner;
    }
    if constexpr (A == Activation::silu) {
        const V y = sigmoid(s);
        return y * fma(s, one - y, one);
    }
}

// ---- pointwise losses: prediction p, target t -------------------------------------------------------------

template <Pointwise L, class V>
BP_INLINE V value(V p, V t, [[maybe_unused]] lane<V> alpha) {
    using T = lane<V>;
    [[maybe_unused]] const V d = p - t;
    if constexpr (L == Pointwise::mse) return d * d;
    if constexpr (L == Pointwise::half_mse) return T(0.5) * d * d;
    if constexpr (L == Pointwise::l1) return abs(d);
    if constexpr (L == Pointwise::huber)
        return select(abs(d) <= alpha, T(0.5) * d * d, alpha * (abs(d) - T(0.5) * alpha));
    if constexpr (L == Pointwise::smooth_l1)
        return select(abs(d) < alpha, T(0.5) * d * d / alpha, abs(d) - T(0.5) * alpha);
    if constexpr (L == Pointwise::bce_with_logits)
        return (T(1) - t) * p + (T(1) + (alpha - T(1)) * t) * log1p_exp(-p);
    if constexpr (L == Pointwise::poisson) return exp(p) - t * p;
    if constexpr (L == Pointwise::poisson_rate) return p - t * log(p + alpha);
    if constexpr (L == Pointwise::quantile) return max(alpha * -d, (alpha - T(1)) * -d);
    if constexpr (L == Pointwise::hinge) return at_least(0, alpha - t * p);
    if constexpr (L == Pointwise::focal) {
        const V a = log1p_exp(-p), b = log1p_exp(p);
        return t * exp(-alpha * b) * a + (T(1) - t) * exp(-alpha * a) * b;
    }
    if constexpr (L == Pointwise::soft_nll) return select(t == T(0), constant<V>(0), -t * p);
}

// The slope with respect to p.
template <Pointwise L, class V>
BP_INLINE V slope(V p, V t, [[maybe_unused]] lane<V> alpha) {
    using T = lane<V>;
    [[maybe_unused]] const V d = p - t;
    if constexpr (L == Pointwise::mse) return T(2) * d;
    if constexpr (L == Pointwise::half_mse) return d;
    if constexpr (L == Pointwise::l1)
        return select(d > T(0), constant<V>(1), select(d < T(0), constant<V>(-1), d));
    if constexpr (L == Pointwise::huber) return at_most(alpha, at_least(-alpha, d));
    if constexpr (L == Pointwise::smooth_l1) return at_most(1, at_least(-1, d / alpha));
    if constexpr (L == Pointwise::bce_with_logits)
        return (T(1) - t) - (T(1) + (alpha - T(1)) * t) * sigmoid(-p);
    if constexpr (L == Pointwise::poisson) return exp(p) - t;
    if constexpr (L == Pointwise::poisson_rate) return T(1) - t / (p + alpha);
    if constexpr (L == Pointwise::quantile)
        return select(p < t, broadcast<T>(-alpha), select(p > t, broadcast<T>(T(1) - alpha), constant<V>(0)));
    if constexpr (L == Pointwise::hinge) return select(t * p < alpha, -t, constant<V>(0));
    if constexpr (L == Pointwise::focal) {
        const V a = log1p_exp(-p), b = log1p_exp(p), s = sigmoid(p), r = sigmoid(-p);
        return (T(1) - t) * exp(-alpha * a) * (alpha * r * b + s) - t * exp(-alpha * b) * (alpha * s * a + r);
    }
    if constexpr (L == Pointwise::soft_nll) return -t;
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA

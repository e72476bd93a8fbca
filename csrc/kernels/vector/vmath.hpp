// exp, expm1, log, log1p, tanh, sigmoid and erf on vectors: free of branches; right at 0, inf, NaN and denormals.
//
// The polynomials are Chebyshev interpolants computed for this file. tests/cpp/test_vmath.cpp measures every function.
#pragma once
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// c[0] + c[1] x + c[2] x^2 + ...
template <class V>
BP_INLINE V horner(V, lane<V> c) {
    return broadcast<lane<V>>(c);
}
template <class V, class... Rest>
BP_INLINE V horner(V x, lane<V> c, Rest... rest) {
    return fma(x, horner(x, rest...), broadcast<lane<V>>(c));
}
template <class V, int N>
BP_INLINE V horner(V x, const double (&c)[N]) {
    V value = broadcast<lane<V>>(lane<V>(c[N - 1]));
    for (int i = N - 1; i-- > 0;) value = fma(value, x, broadcast<lane<V>>(lane<V>(c[i])));
    return value;
}

// |magnitude| with the sign of x. The magnitude must be positive or have the sign of x.
template <class V>
BP_INLINE V with_sign(V magnitude, V x) {
    return as_float(as_int(magnitude) | (as_int(x) & as_int(broadcast<lane<V>>(lane<V>(-0.0)))));
}

// Limits. A NaN in x passes through.
template <class V>
BP_INLINE V at_least(lane<V> low, V x) {
    return max(broadcast<lane<V>>(low), x);
}
template <class V>
BP_INLINE V at_most(lane<V> high, V x) {
    return min(broadcast<lane<V>>(high), x);
}

template <class V>
inline constexpr bool is_float = sizeof(lane<V>) == 4;

// ln 2 in two parts. The product of the first with any exponent is exact.
template <class V>
inline constexpr lane<V> kLn2High = lane<V>(is_float<V> ? 0.693359375 : 0x1.62e42feep-1);
template <class V>
inline constexpr lane<V> kLn2Low = lane<V>(is_float<V> ? -2.1219444005469058e-4 : 0x1.a39ef35793c76p-33);

// ---- exponentials -----------------------------------------------------------------------------------------

// e^x = 2^n (1 + p), n whole, |p| < 0.42.
template <class V>
struct Exponential {
    V n, p;
};
template <class V>
BP_INLINE Exponential<V> exponential(V x) {
    using T = lane<V>;
    constexpr T round = T(is_float<V> ? 0x1.8p23 : 0x1.8p52);
    const V n = fma(x, broadcast<T>(T(1.4426950408889634)), broadcast<T>(round)) - round;
    const V high = fma(n, broadcast<T>(-kLn2High<V>), x);
    const V r = fma(n, broadcast<T>(-kLn2Low<V>), high);
    V q;
    if constexpr (is_float<V>)
        q = horner(r, 0.5f, 0.16666576f, 0.041666552f, 0.008363233f, 0.001392625f);
    else
        q = horner(r, 0.5000000000000001, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039,
                   0.0013888888917367081, 0.00019841269863171557, 2.4801521057868204e-05,
                   2.7557268276905696e-06, 2.7620201591031547e-07, 2.5100472505694996e-08);
    if constexpr (kFused)
        return {n, fma(r * r, q, r)};
    else  // two roundings instead of one, so at least r enters unrounded
        return {n, high + (r * r * q - n * kLn2Low<V>)};
}

template <class V>
BP_INLINE V exp(V x) {
    const auto [n, p] = exponential(at_most(is_float<V> ? 89 : 710, at_least(is_float<V> ? -104 : -746, x)));
    return scale(p + lane<V>(1), n);
}

template <class V>
BP_INLINE V expm1(V x) {
    using T = lane<V>;
    const auto [n, p] = exponential(at_most(is_float<V> ? 89 : 710, at_least(is_float<V> ? -20 : -40, x)));
    const V half = power_of_two(n - T(1));  // because 2^n may overflow
    const V y = T(2) * fma(half, p, half - T(0.5));
    return with_sign(select(n == T(0), p, y), x);
}

template <class V>
BP_INLINE V tanh(V x) {
    using T = lane<V>;
    const V a = abs(x);
    const auto [n, p] = exponential(at_least(is_float<V> ? -20 : -40, T(-2) * a));
    const V s = power_of_two(n);  // s (1 + p) = e^-2a
    const V d = fma(s, p, s + T(1)), large = fma(broadcast<T>(-2), fma(s, p, s) / d, broadcast<T>(1));
    V small;
    if constexpr (is_float<V>) {
        const V z = a * a;
        small =
            fma(a * z, horner(z, -0.3333333f, 0.13333113f, -0.053909376f, 0.021309063f, -0.006609614f), a);
    } else {
        small = abs(fma(s, p, s - T(1))) / d;
    }
    return with_sign(select(a > T(0.55), large, small), x);
}

template <class V>
BP_INLINE V sigmoid(V x) {
    using T = lane<V>;
    const auto [n, p] = exponential(at_least(is_float<V> ? -104 : -746, -abs(x)));
    const V s = power_of_two(at_least(-64, n));  // s (1 + p) = e^-|x|, as far as it changes 1 + e^-|x|
    const V whole = s + T(1), d = fma(s, p, whole), lost = fma(s, p, whole - d);
    const V q = T(1) / d;  // sigmoid(|x|)
    // q e^-|x|, corrected for the rounding of d, is sigmoid(-|x|).
    return select(x >= T(0), q, scale(fma(q, p - lost * q, q), n));
}

// ---- logarithms -------------------------------------------------------------------------------------------

// u = 2^k m with sqrt(1/2) <= m < sqrt(2), for a normal u > 0. `bits` is k at the position of the exponent.
template <class V>
struct Logarithm {
    V k, m;
    uvec<lane<V>> bits;
};
template <class V>
BP_INLINE Logarithm<V> logarithm(V u) {
    using T = lane<V>;
    using Bits = lane<uvec<T>>;
    constexpr int mantissa = is_float<V> ? 23 : 52, offset = is_float<V> ? 128 : 1024;
    const uvec<T> i = as_bits(u) - as_bits(broadcast<T>(T(0.7071067811865476)));
    const uvec<T> bits = i & ~((Bits(1) << mantissa) - 1);
    const ivec<T> k = as_int((i + (Bits(offset) << mantissa)) >> mantissa) - offset;
    return {to_float(k), as_float(as_bits(u) - bits), bits};
}

// k ln 2 + log(1 + f).
template <class V>
BP_INLINE V logarithm_sum(V k, V f) {
    using T = lane<V>;
    if constexpr (is_float<V>) {
        const V t = horner(f, -0.5f, 0.3333333f, -0.24999997f, 0.20000716f, -0.16667803f, 0.14249058f,
                           -0.12425687f, 0.1168542f, -0.11479734f, 0.06971612f);
        const V rest = fma(k, broadcast<T>(kLn2Low<V>), f * f * t);
        return fma(k, broadcast<T>(kLn2High<V>), f + rest);
    } else {  // 2 atanh(s) with s = f / (2 + f), arranged so that f enters unrounded
        const V s = f / (f + T(2)), z = s * s, half_square = T(0.5) * f * f;
        const V r =
            z * horner(z, 0.6666666666666666, 0.40000000000000885, 0.28571428570799784, 0.22222222392581045,
                       0.18181795547521137, 0.15386244737621665, 0.13268638369266825, 0.13088034850927555);
        const V rest = fma(k, broadcast<T>(kLn2Low<V>), s * (half_square + r));
        return fma(k, broadcast<T>(kLn2High<V>), f - (half_square - rest));
    }
}

// y where u is positive and finite; elsewhere what log(u) is there.
template <class V>
BP_INLINE V logarithm_edges(V y, V u) {
    using T = lane<V>;
    const V inf = broadcast<T>(T(__builtin_inf()));
    const V edge = select(u == T(0), -inf, broadcast<T>(T(__builtin_nan(""))));
    return select(u > T(0), select(u < inf, y, u), edge);
}

template <class V>
BP_INLINE V log(V x) {
    using T = lane<V>;
    constexpr int up = is_float<V> ? 24 : 54;
    const ivec<T> tiny = x < T(is_float<V> ? 0x1p-126 : 0x1p-1022);
    const auto [k, m, bits] = logarithm(select(tiny, x * T(std::uint64_t(1) << up), x));
    const V y = logarithm_sum(select(tiny, k - T(up), k), m - T(1));
    return logarithm_edges(y, x);
}

// log(1 + x) for every x > -1.
template <class V>
BP_INLINE V log1p(V x) {
    using T = lane<V>;
    const V u = x + T(1), lost = x - (u - T(1));
    const auto [k, m, bits] = logarithm(u);
    const V two_over_power = as_float(as_bits(broadcast<T>(2)) - bits);  // 2^(1 - k), finite for every k
    const V y = logarithm_sum(k, (m - T(1)) + lost * two_over_power * T(0.5));
    return with_sign(logarithm_edges(y, u), x);
}

// ---- quotient by a root ------------------------------------------------------------------------------------

// a / (√v c + eps) for v >= 0, to about 2 ulp. Two estimates with a Newton step each cost half of a root and a division.
template <class V>
BP_INLINE V over_root(V a, V v, lane<V> c, lane<V> eps) {
    if constexpr (is_float<V> && kEstimates) {
        v = at_most(0x1.fffffep127f, v);                          // the root of inf would be inf * 0
        const V y = at_most(0x1.fffffep127f, rsqrt_estimate(v));  // finite for v = 0, so that the root is 0
        const V estimate = v * y;
        const V root = fma(fma(-estimate, estimate, v), 0.5f * y, estimate);
        const V d = root * c + eps, x = reciprocal_estimate(d), q = a * x;
        return fma(q, fma(-d, x, broadcast<float>(1)), q);
    } else {
        return a / (sqrt(v) * c + eps);
    }
}

// ---- error function ---------------------------------------------------------------------------------------

template <class V>
BP_INLINE V erf(V x) {
    if constexpr (is_float<V>) {
        const V a = at_most(3.93f, abs(x)), z = a * a;  // beyond it erf rounds to 1
        const V small = fma(a,
                            horner(z, 0.12837917f, -0.37612632f, 0.112836696f, -0.02685796f, 0.0051974873f,
                                   -0.00081029156f, 8.20417e-05f),
                            a);
        const auto [n, p] =
            exponential(horner(a, 0.00033105534f, -1.1302817f, -0.6317367f, -0.110170685f, 0.026476284f,
                               -0.0047802893f, 0.00060149265f, -4.6645586e-05f, 1.6684398e-06f));
        const V s = power_of_two(n);  // s (1 + p) = erfc(a)
        return with_sign(select(a < 0.95f, small, fma(-s, p, 1.0f - s)), x);
    } else {
        for (int i = 0; i < width<double>; ++i) x[i] = __builtin_erf(x[i]);
        return x;
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA

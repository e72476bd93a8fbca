// Optimizer steps: each one pass over the parameters, gradients and moments.
#include <cmath>

#include "../ops/update.hpp"
#include "sweep.hpp"
#include "vector/denormals.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// May denormals count as zero? Without it, the moments of parameters whose gradient stays zero decay to denormals and remain
// there. A tiny eps forbids it, because beside such an eps a flushed root would show.
BP_INLINE bool may_flush(double eps) { return eps >= 1e-15; }

// v = μ v + (1 - dampening) g, or g at the first step; p -= lr v, or lr (g + μ v) with Nesterov, or lr g without v.
// With lr_in_velocity g is lr g, and p -= v, or g + μ v.
template <class T>
void sgd_step(const SgdStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const FlushDenormals flush(true);
    const T rate = T(op.lr.data[0]), momentum = T(op.momentum);
    const T gain = T(op.step.data[0] == 0 ? 1 : 1 - op.dampening);
    if (!op.velocity) return sweep<false>(op, range, [=](V& p, V g) BP_INLINED { p -= rate * g; });
    either(op.nesterov, [&]<bool Nesterov>(std::bool_constant<Nesterov>) BP_INLINED {
        either(op.lr_in_velocity, [&]<bool Inside>(std::bool_constant<Inside>) BP_INLINED {
            const auto f = [=](V& p, V g, V& v) BP_INLINED {
                if constexpr (Inside) g *= rate;
                v = momentum * v + gain * g;
                const V u = Nesterov ? g + momentum * v : v;
                p -= Inside ? u : rate * u;
            };
            sweep<false>(op, range, f, slot(op.velocity));
        });
    });
}

// The moments of Adam and NAdam: m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²; √(v/(1-β2ᵗ)) + eps, t = step + 1
template <class T>
struct Moments {
    double t;
    T one_minus_beta1, beta2, one_minus_beta2, unbias, eps;

    template <class Op>
    BP_INLINE explicit Moments(const Op& op)
        : t(double(op.step.data[0]) + 1),
          one_minus_beta1(T(1 - op.beta1)),
          beta2(T(op.beta2)),
          one_minus_beta2(T(1 - op.beta2)),
          unbias(T(1 / std::sqrt(1 - std::pow(op.beta2, t)))),
          eps(T(op.eps)) {}
    BP_INLINE void unbias_eps() { eps *= unbias; }  // √(v/(1-β2ᵗ)) + eps/√(1-β2ᵗ)
    BP_INLINE void update(vec<T> g, vec<T>& m, vec<T>& v) const {
        m += one_minus_beta1 * (g - m);
        v = beta2 * v + one_minus_beta2 * g * g;
    }
    BP_INLINE vec<T> over_root(vec<T> a, vec<T> v) const {
        return BACKPASS_ISA::over_root(a, v, unbias, eps);
    }
};

// Moments as above; p -= lr/(1-β1ᵗ) m / (√(v/(1-β2ᵗ)) + eps). If max_v is given, it takes the place of v: the largest v so far.
template <class T>
void adam_step(const AdamStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const FlushDenormals flush(may_flush(op.eps));
    Moments<T> moments(op);
    if (op.eps_hat) moments.unbias_eps();
    const T rate = T(op.lr.data[0] / (1 - std::pow(op.beta1, moments.t)));
    either(op.decoupled, [&]<bool Decoupled>(std::bool_constant<Decoupled>) BP_INLINED {
        either(bool(op.max_v), [&]<bool Largest>(std::bool_constant<Largest>) BP_INLINED {
            const auto f = [=](V& p, V g, V& m, V& v, V& max_v) BP_INLINED {
                moments.update(g, m, v);
                max_v = Largest ? max(max_v, v) : v;
                p -= rate * moments.over_root(m, max_v);
            };
            sweep<Decoupled>(op, range, f, slot(op.m), slot(op.v), slot<Largest>(op.max_v));
        });
    });
}

// Moments as above; p -= lr (c0 g + c1 m) / (√(v/(1-β2ᵗ)) + eps)
template <class T>
void nadam_step(const NadamStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const FlushDenormals flush(may_flush(op.eps));
    const Moments<T> moments(op);
    const double lr = op.lr.data[0];
    const T rate0 = T(lr * op.coefficients.data[0]), rate1 = T(lr * op.coefficients.data[1]);
    either(op.decoupled, [&]<bool Decoupled>(std::bool_constant<Decoupled>) BP_INLINED {
        const auto f = [=](V& p, V g, V& m, V& v) BP_INLINED {
            moments.update(g, m, v);
            p -= moments.over_root(rate0 * g + rate1 * m, v);
        };
        sweep<Decoupled>(op, range, f, slot(op.m), slot(op.v));
    });
}

// μ(t) = β1 (1 - ½ 0.96^(t decay)), t = step + 1; mu_product *= μ(t);
// c0 = (1 - μ(t)) / (1 - mu_product), c1 = μ(t+1) / (1 - mu_product μ(t+1))
void nadam_momentum(const NadamMomentum& op, Range, Scratch) {
    const double t = double(op.step.data[0]) + 1;
    const double mu = op.beta1 * (1 - 0.5 * std::pow(0.96, t * op.momentum_decay));
    const double following = op.beta1 * (1 - 0.5 * std::pow(0.96, (t + 1) * op.momentum_decay));
    const double product = op.mu_product.data[0] *= mu;
    op.coefficients.data[0] = (1 - mu) / (1 - product);
    op.coefficients.data[1] = following / (1 - product * following);
}

// v = α v + (1-α) g²; a = α a + (1-α) g; u = g / (√(v - a²) + eps), or g / (√v + eps) without a;
// b = μ b + u; p -= lr b, or lr u without b. With eps_inside u = g / √(... + eps); with lr_in_velocity b = μ b + lr u, p -= b.
template <class T>
void rmsprop_step(const RmspropStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const FlushDenormals flush(may_flush(op.eps));
    const T alpha = T(op.alpha), one_minus_alpha = T(1 - op.alpha), momentum = T(op.momentum);
    // Where they do not stand, eps is 0 and lr is 1: no bit changes.
    const T eps = T(op.eps_inside ? 0 : op.eps), eps_inside = T(op.eps_inside ? op.eps : 0);
    const bool early = op.lr_in_velocity && op.velocity;
    const T rate = T(early ? 1 : op.lr.data[0]), early_rate = T(early ? op.lr.data[0] : 1);
    either(bool(op.grad_avg), [&]<bool Centered>(std::bool_constant<Centered>) BP_INLINED {
        either(bool(op.velocity), [&]<bool Momentum>(std::bool_constant<Momentum>) BP_INLINED {
            const auto f = [=](V& p, V g, V& v, V& a, V& b) BP_INLINED {
                v = alpha * v + one_minus_alpha * g * g;
                if constexpr (Centered) a += one_minus_alpha * (g - a);
                const V spread = Centered ? max(V{}, v - a * a) : v;
                const V u = over_root(early_rate * g, spread + eps_inside, T(1), eps);
                b = Momentum ? momentum * b + u : u;
                p -= rate * b;
            };
            sweep<false>(op, range, f, slot(op.v), slot<Centered>(op.grad_avg), slot<Momentum>(op.velocity));
        });
    });
}

// total += g²; p -= lr / (1 + step lr_decay) · g / (√total + eps)
template <class T>
void adagrad_step(const AdagradStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const FlushDenormals flush(may_flush(op.eps));
    const T rate = T(op.lr.data[0] / (1 + double(op.step.data[0]) * op.lr_decay)), eps = T(op.eps);
    const auto f = [=](V& p, V g, V& total) BP_INLINED {
        total += g * g;
        p -= rate * over_root(g, total, T(1), eps);
    };
    sweep<false>(op, range, f, slot(op.total));
}

// v = ρ v + (1-ρ) g²; u = √((delta + eps) / (v + eps)) g; delta = ρ delta + (1-ρ) u²; p -= lr u
template <class T>
void adadelta_step(const AdadeltaStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const FlushDenormals flush(may_flush(op.eps));
    const T rate = T(op.lr.data[0]), rho = T(op.rho), one_minus_rho = T(1 - op.rho), eps = T(op.eps);
    const auto f = [=](V& p, V g, V& v, V& delta) BP_INLINED {
        v = rho * v + one_minus_rho * g * g;
        const V u = sqrt((delta + eps) / (v + eps)) * g;
        delta = rho * delta + one_minus_rho * u * u;
        p -= rate * u;
    };
    sweep<false>(op, range, f, slot(op.v), slot(op.delta));
}

// p -= lr sign(β1 m + (1-β1) g); m = β2 m + (1-β2) g
template <class T>
void lion_step(const LionStep<T>& op, Range range, Scratch) {
    using V = vec<T>;
    const T rate = T(op.lr.data[0]), beta1 = T(op.beta1), one_minus_beta1 = T(1 - op.beta1);
    const T beta2 = T(op.beta2), one_minus_beta2 = T(1 - op.beta2);
    const auto f = [=](V& p, V g, V& m) BP_INLINED {
        const V x = beta1 * m + one_minus_beta1 * g, one = broadcast<T>(1);
        p -= rate * select(x > T(0), one, select(x < T(0), -one, x));  // 0 and NaN are their own sign
        m = beta2 * m + one_minus_beta2 * g;
    };
    sweep<true>(op, range, f, slot(op.m));
}

}  // namespace

BACKPASS_KERNEL(SgdStep, sgd_step)
BACKPASS_KERNEL(AdamStep, adam_step)
BACKPASS_KERNEL(NadamStep, nadam_step)
BACKPASS_KERNEL_UNTYPED(NadamMomentum, nadam_momentum)
BACKPASS_KERNEL(RmspropStep, rmsprop_step)
BACKPASS_KERNEL(AdagradStep, adagrad_step)
BACKPASS_KERNEL(AdadeltaStep, adadelta_step)
BACKPASS_KERNEL(LionStep, lion_step)

}  // namespace backpass::BACKPASS_ISA

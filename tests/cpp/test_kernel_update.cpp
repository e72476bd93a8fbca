// The optimizer steps of one ISA row, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

constexpr double kRate = 0.05, kScale = 0.5, kDecay = 0.1, kClip = 0.75;

// Arrays of one step, and what they held before.
template <class T>
struct Step {
    Array<T> p, g, a, b, c;
    Array<double> lr, scale, coefficients;
    Array<int64_t> step;
    std::vector<double> old[4];

    explicit Step(int64_t n, int64_t steps)
        : p({n}),
          g({n}),
          a({n}, 0.25, 0.75),
          b({n}, 1, 2),
          c({n}, 0.5, 1.5),
          lr({1}, kRate, kRate),
          scale({1}, kScale, kScale),
          coefficients({2}, 0.5, 1),
          step({1}, double(steps), double(steps)) {
        const Array<T>* const arrays[] = {&p, &a, &b, &c};
        for (int k = 0; k < 4; ++k) old[k].assign(arrays[k]->data(), arrays[k]->data() + n);
    }
    template <class Op>
    Op call(bool decay, bool clip) const {
        Op op;
        op.params = p, op.grads = g, op.lr = lr, op.scale = scale;
        op.weight_decay = decay ? kDecay : 0, op.clip_value = clip ? kClip : HUGE_VAL;
        return op;
    }
    // f(p, g, a, b, c) is the step of one parameter.
    template <class Op, class F>
    void check(const Op& op, bool decoupled, F f) const {
        run(op);
        const double rate = double(T(kRate)), decay = op.weight_decay;
        for (int64_t i = 0; i < p.size(); ++i) {
            double v[4];
            for (int k = 0; k < 4; ++k) v[k] = old[k][std::size_t(i)];
            double gi = std::fmin(op.clip_value, std::fmax(-op.clip_value, double(g[i]) * kScale));
            if (decoupled)
                v[0] *= 1 - rate * decay;
            else
                gi += decay * v[0];
            f(v[0], gi, v[1], v[2], v[3]);
            CHECK(is_close(p[i], v[0], 32, 2));
            CHECK(is_close(a[i], v[1], 16, 2) && is_close(b[i], v[2], 16, 2) && is_close(c[i], v[3], 16, 2));
        }
    }
};

constexpr double kBeta1 = 0.9, kBeta2 = 0.99, kEps = 1e-4, kMomentum = 0.8;

template <class T>
void sgd(int64_t n, int64_t bits) {
    const bool velocity = bits & 1, nesterov = bits & 2;
    const Step<T> s(n, bits >> 4 & 1);
    auto op = s.template call<SgdStep<T>>(bits & 4, bits & 8);
    op.step = s.step, op.velocity = when(velocity, s.a);
    op.momentum = kMomentum, op.dampening = 0.25, op.nesterov = nesterov, op.lr_in_velocity = n & 1;
    s.check(op, false, [&](double& p, double g, double& v, double&, double&) {
        if (!velocity) return void(p -= kRate * g);
        const double early = op.lr_in_velocity ? kRate : 1, late = op.lr_in_velocity ? 1 : kRate;
        v = kMomentum * v + (s.step[0] == 0 ? 1 : 0.75) * early * g;
        p -= late * (nesterov ? early * g + kMomentum * v : v);
    });
}

template <class T>
void adam(int64_t n, int64_t bits) {
    const bool largest = bits & 1, decoupled = bits & 2, hat = bits & 16;
    const Step<T> s(n, 5);
    auto op = s.template call<AdamStep<T>>(bits & 4, bits & 8);
    op.m = s.a, op.v = s.b, op.max_v = when(largest, s.c), op.step = s.step;
    op.beta1 = kBeta1, op.beta2 = kBeta2, op.eps = kEps, op.decoupled = decoupled, op.eps_hat = hat;
    s.check(op, decoupled, [&](double& p, double g, double& m, double& v, double& max_v) {
        m = kBeta1 * m + (1 - kBeta1) * g, v = kBeta2 * v + (1 - kBeta2) * g * g;
        if (largest) max_v = std::fmax(max_v, v);
        const double unbias = 1 / std::sqrt(1 - std::pow(kBeta2, 6));
        const double root = std::sqrt(largest ? max_v : v) * unbias + (hat ? kEps * unbias : kEps);
        p -= kRate * m / (1 - std::pow(kBeta1, 6)) / root;
    });
}

template <class T>
void nadam(int64_t n, int64_t bits) {
    const bool decoupled = bits & 2;
    const Step<T> s(n, 5);
    auto op = s.template call<NadamStep<T>>(bits & 4, bits & 8);
    op.m = s.a, op.v = s.b, op.step = s.step, op.coefficients = s.coefficients;
    op.beta1 = kBeta1, op.beta2 = kBeta2, op.eps = kEps, op.decoupled = decoupled;
    s.check(op, decoupled, [&](double& p, double g, double& m, double& v, double&) {
        m = kBeta1 * m + (1 - kBeta1) * g, v = kBeta2 * v + (1 - kBeta2) * g * g;
        const double root = std::sqrt(v / (1 - std::pow(kBeta2, 6))) + kEps;
        p -= kRate * (s.coefficients[0] * g + s.coefficients[1] * m) / root;
    });
}

template <class T>
void rmsprop(int64_t n, int64_t bits) {
    const bool centered = bits & 1, momentum = bits & 2;
    const Step<T> s(n, 5);
    auto op = s.template call<RmspropStep<T>>(bits & 4, bits & 8);
    op.v = s.b, op.grad_avg = when(centered, s.a), op.velocity = when(momentum, s.c);
    op.alpha = kBeta2, op.eps = kEps, op.momentum = kMomentum;
    op.eps_inside = n & 1, op.lr_in_velocity = n & 2;
    s.check(op, false, [&](double& p, double g, double& average, double& v, double& velocity) {
        v = kBeta2 * v + (1 - kBeta2) * g * g;
        if (centered) average = kBeta2 * average + (1 - kBeta2) * g;
        const double spread = std::fmax(0, v - (centered ? average * average : 0));
        const bool early = momentum && op.lr_in_velocity;
        double update = g / (op.eps_inside ? std::sqrt(spread + kEps) : std::sqrt(spread) + kEps);
        if (early) update *= kRate;
        if (momentum) update = velocity = kMomentum * velocity + update;
        p -= (early ? 1 : kRate) * update;
    });
}

template <class T>
void others(int64_t n, int64_t bits) {
    const bool decay = bits & 4, clip = bits & 8;
    const Step<T> s(n, 5), d(n, 5), l(n, 5);
    auto adagrad = s.template call<AdagradStep<T>>(decay, clip);
    adagrad.total = s.a, adagrad.step = s.step, adagrad.lr_decay = 0.1, adagrad.eps = kEps;
    s.check(adagrad, false, [&](double& p, double g, double& total, double&, double&) {
        total += g * g;
        p -= kRate / (1 + 5 * 0.1) * g / (std::sqrt(total) + kEps);
    });
    auto adadelta = d.template call<AdadeltaStep<T>>(decay, clip);
    adadelta.v = d.b, adadelta.delta = d.c, adadelta.rho = kBeta1, adadelta.eps = kEps;
    d.check(adadelta, false, [&](double& p, double g, double&, double& v, double& delta) {
        v = kBeta1 * v + (1 - kBeta1) * g * g;
        const double update = std::sqrt((delta + kEps) / (v + kEps)) * g;
        delta = kBeta1 * delta + (1 - kBeta1) * update * update;
        p -= kRate * update;
    });
    auto lion = l.template call<LionStep<T>>(decay, clip);
    lion.m = l.a, lion.beta1 = kBeta1, lion.beta2 = kBeta2;
    l.check(lion, true, [&](double& p, double g, double& m, double&, double&) {
        const double x = kBeta1 * m + (1 - kBeta1) * g;
        p -= kRate * (x > 0 ? 1 : x < 0 ? -1 : 0);
        m = kBeta2 * m + (1 - kBeta2) * g;
    });
}

template <class T>
void check(T) {
    std::vector<int64_t> sizes{kUpdatePiece - 1, kUpdatePiece, kUpdatePiece + 1, 2 * kUpdatePiece + 37};
    for (int64_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const int64_t n : sizes)
        for (int64_t bits = n < 70 ? 0 : n % 7; bits < 32; bits += n < 70 ? 1 : 7) {
            sgd<T>(n, bits);
            adam<T>(n, bits);
            if (bits < 16) nadam<T>(n, bits), rmsprop<T>(n, bits), others<T>(n, bits);
        }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}

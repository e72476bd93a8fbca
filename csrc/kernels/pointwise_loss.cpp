// Losses with real targets, and their gradients. One task each: the sum over the batch, in double, has one order.
#include "../ops/pointwise_loss.hpp"
#include "formulas.hpp"
#include "kernel.hpp"
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class Op>
BP_INLINE double total_rows(const Op& op) {
    const Index rows = op.target.rows();
    if (!op.sample_weight) return double(rows);
    double total = 0;
    for (Index b = 0; b < rows; ++b) total += double(op.sample_weight.data[b]);
    return total;
}

// pred, target (B, O): loss = Σ_bo w_b f(pred, target) / divisor
template <class T>
void pointwise_loss(const PointwiseLoss<T>& op, Range, Scratch) {
    const Index rows = op.pred.rows(), outputs = op.pred.cols();
    const double divisor = divisor_of(op, total_rows(op), outputs);
    const T *weight = op.sample_weight.data, alpha = T(op.alpha);
    // Stretches of one weight; with one output, rows of a weight each.
    const bool by_row = weight && outputs == 1;
    const Index stretches = weight && !by_row ? rows : 1,
                length = rows * outputs / (stretches ? stretches : 1);
    Sum<T> loss;
    dispatch(op.kind, [&](auto tag) BP_INLINED {
        constexpr Pointwise formula = decltype(tag)::value;
        for (Index b = 0; b < stretches; ++b) {
            const T one = weight && !by_row ? weight[b] : T(1);
            vec<T> w = broadcast<T>(one), scale = broadcast<T>(T(double(one) / divisor));
            each_vector<T>(Range{b * length, (b + 1) * length}, [&](Index i, int n) BP_INLINED {
                if (by_row) {
                    w = load_some(weight + i, n);
                    scale = w / T(divisor);
                }
                const vec<T> p = load_some(op.pred.data + i, n), t = load_some(op.target.data + i, n);
                loss.add(keep_first(w * value<formula>(p, t, alpha), n));
                if (op.dpred) store_some(op.dpred.data + i, slope<formula>(p, t, alpha) * scale, n);
            });
        }
    });
    op.loss.data[0] = loss.total() / divisor;
}

// w ½ (log v + e²/v) and its slopes, e = mean - target, v = max(variance, eps)
template <class T>
struct Gaussian {
    vec<T> loss, dmean, dvariance;

    BP_INLINE Gaussian(vec<T> mean, vec<T> variance, vec<T> target, T eps, vec<T> weight, vec<T> scale) {
        const vec<T> e = mean - target, v = at_least(eps, variance), r = e / v;
        loss = weight * T(0.5) * (log(v) + e * r);
        dmean = scale * r;
        dvariance = scale * T(0.5) * (T(1) / v - r * r);
    }
};

// Shuffles between two vectors of pairs and two vectors of their members. OfPairs: the first (0) or second (1) of each pair.
// AsPairs: the lower (0) or upper (1) half of the pairs.
template <int Second>
struct OfPairs {
    static constexpr int at(int i) { return 2 * i + Second; }
};
template <int Width, int Upper>
struct AsPairs {
    static constexpr int at(int i) { return Upper * Width / 2 + i / 2 + i % 2 * Width; }
};

// pred (B, 2, O), target (B, O): loss = Σ_bo w_b ½ (log v + e²/v) / divisor
template <class T>
void gaussian_nll(const GaussianNll<T>& op, Range, Scratch) {
    constexpr int w = width<T>;
    const Index rows = op.target.rows(), outputs = op.target.cols();
    const double divisor = divisor_of(op, total_rows(op), outputs);
    const T *pred = op.pred.data, *target = op.target.data, *weight = op.sample_weight.data, eps = T(op.eps);
    T* const dpred = op.dpred.data;
    Sum<T> loss;
    if (outputs == 1)  // pairs (mean, variance), a row in each lane
        each_vector<T>(rows, [&](Index b, int n) BP_INLINED {
            const int low = 2 * n < w ? 2 * n : w, high = 2 * n - low;
            const vec<T> p = load_some(pred + 2 * b, low), q = load_some(pred + 2 * b + low, high);
            const vec<T> wb = load_or(T(1), weight, b, n);
            const Gaussian<T> g(shuffle<OfPairs<0>>(p, q), shuffle<OfPairs<1>>(p, q),
                                load_some(target + b, n), eps, wb, wb / T(divisor));
            loss.add(keep_first(g.loss, n));
            if (!dpred) return;
            store_some(dpred + 2 * b, shuffle<AsPairs<w, 0>>(g.dmean, g.dvariance), low);
            store_some(dpred + 2 * b + low, shuffle<AsPairs<w, 1>>(g.dmean, g.dvariance), high);
        });
    else
        for (Index b = 0; b < rows; ++b) {
            const T wb = weight ? weight[b] : T(1);
            const vec<T> all = broadcast<T>(wb), scale = broadcast<T>(T(double(wb) / divisor));
            each_vector<T>(outputs, [&](Index o, int n) BP_INLINED {
                const Index mean = 2 * b * outputs + o, variance = mean + outputs;
                const Gaussian<T> g(load_some(pred + mean, n), load_some(pred + variance, n),
                                    load_some(target + b * outputs + o, n), eps, all, scale);
                loss.add(keep_first(g.loss, n));
                if (!dpred) return;
                store_some(dpred + mean, g.dmean, n);
                store_some(dpred + variance, g.dvariance, n);
            });
        }
    op.loss.data[0] = loss.total() / divisor;
}

}  // namespace

BACKPASS_KERNEL(PointwiseLoss, pointwise_loss)
BACKPASS_KERNEL(GaussianNll, gaussian_nll)

}  // namespace backpass::BACKPASS_ISA

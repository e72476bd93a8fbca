// Losses with class indices, and their gradients. One task each: the sum over the batch, in double, has one order.
#include "../ops/class_loss.hpp"
#include "kernel.hpp"
#include "vector/sums.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The class of row b and the weight of the row. A target outside the classes gets weight NaN, which makes the loss NaN, and
// class 0, so that reading is safe.
struct Label {
    Index at;
    double weight;
};
template <class Op>
BP_INLINE Label label_of(const Op& op, Index b) {
    const Index target = op.target.data[b];
    const double weight = op.sample_weight ? double(op.sample_weight.data[b]) : 1;
    if (target == op.ignore_index) return {0, 0 * weight};  // a weight of NaN stays NaN
    if (target < 0 || target >= op.pred.cols()) return {0, __builtin_nan("")};
    return {target, weight};
}
template <class Op>
BP_INLINE double class_weight(const Op& op, Index at) {
    return op.weight && op.pred.cols() > 0 ? double(op.weight.data[at]) : 1;
}
template <class Op>
BP_INLINE double total_weight(const Op& op) {
    double total = 0;
    for (Index b = 0; b < op.target.size(); ++b) {
        const Label label = label_of(op, b);
        total += label.weight * class_weight(op, label.at);
    }
    return total;
}

// Smoothed targets q of one batch: soft · weight for every class, plus hard · weight for the target. Without weights and
// smoothing (Plain) q is 1 for the target and 0 elsewhere.
template <class T>
struct Smoothing {
    const T* weight;
    double hard, soft, soft_total, divisor;

    BP_INLINE T at(Index c) const { return T(soft) * (weight ? weight[c] : T(1)); }
    BP_INLINE vec<T> at(Index c, int n) const { return T(soft) * load_or(T(1), weight, c, n); }
};

// Up to this many classes, width<T> rows are computed at a time, transposed, so that every lane works.
constexpr Index kNarrow = 16;

// Rows b .. b + count, with count <= width<T>, of at most kNarrow classes. sums[lane] += loss.
template <bool Plain, class T>
BP_INLINE void narrow_rows(const SoftmaxCrossEntropy<T>& op, const Smoothing<T>& q, Index b, int count,
                           double* sums) {
    using Int = lane<ivec<T>>;
    constexpr int lanes = width<T>;
    const Index classes = op.pred.cols();
    const T* x = op.pred.data + b * classes;
    double weight[lanes];
    T chosen[lanes], hard[lanes], scale[lanes];
    Int at[lanes];
    for (int r = 0; r < lanes; ++r) {
        const Label label = r < count ? label_of(op, b + r) : Label{0, 0};
        weight[r] = label.weight;
        scale[r] = T(label.weight / q.divisor);
        at[r] = Int(label.at);
        chosen[r] = r < count ? x[r * classes + label.at] : T(0);
        hard[r] = Plain ? T(1) : T(q.hard * class_weight(op, label.at));
    }
    // f(i, n, v) for each vector of the rows. A vector may run into the following row (overwritten later), never past the
    // last row.
    vec<T> column[kNarrow] = {};
    const auto each_part = [&](auto f) BP_INLINED {
        for (int r = 0; r < count; ++r)
            for (Index k = 0; k < classes; k += lanes) {
                const Index i = r * classes + k;
                f(i, i + lanes <= count * classes ? lanes : int(classes - k), column[k + r]);
            }
    };
    const auto transpose_all = [&]() BP_INLINED {
        for (Index k = 0; k < classes; k += lanes) transpose<T>(column + k);
    };
    each_part([&](Index i, int n, vec<T>& v) BP_INLINED { v = load_some(x + i, n); });
    transpose_all();

    const vec<T> hit = load(hard), step = load(scale);
    const ivec<T> target = (ivec<T>)load(at);
    const auto wanted = [&](Index c) BP_INLINED {  // q of class c
        const vec<T> only = select(target == Int(c), hit, vec<T>{});
        return Plain ? only : only + q.at(c);
    };
    vec<T> top = broadcast<T>(-T(__builtin_inf())), total{}, smooth{}, sum_q{};
    for (Index c = 0; c < classes; ++c) top = max(top, column[c]);
    for (Index c = 0; c < classes; ++c) {
        const vec<T> shifted = column[c] - top;
        if (!Plain) sum_q += wanted(c);
        if (!Plain && q.soft != 0) smooth += q.at(c) * shifted;
        column[c] = exp(shifted);
        total += column[c];
    }
    const vec<T> shifted = load(chosen) - top;
    T loss[lanes];
    store(loss, Plain ? log(total) - shifted : log(total) * sum_q - hit * shifted - smooth);
    for (int r = 0; r < lanes; ++r) sums[r] += weight[r] * double(loss[r]);

    if (!op.dpred) return;
    T* g = op.dpred.data + b * classes;
    const vec<T> part = (Plain ? broadcast<T>(1) : sum_q) / total;
    for (Index c = 0; c < classes; ++c) column[c] = (column[c] * part - wanted(c)) * step;
    transpose_all();
    each_part([&](Index i, int n, vec<T>& v) BP_INLINED { store_some(g + i, v, n); });
}

// The loss and the gradient of one row of any number of classes.
template <bool Plain, class T>
BP_INLINE double wide_row(const SoftmaxCrossEntropy<T>& op, const Smoothing<T>& q, Index b) {
    constexpr T lowest = -T(__builtin_inf());
    const Index classes = op.pred.cols();
    const T* x = op.pred.data + b * classes;
    T* g = op.dpred ? op.dpred.data + b * classes : nullptr;
    const Label label = label_of(op, b);
    vec<T> top = broadcast<T>(lowest), parts{}, smooth{};
    each_vector<T>(classes, [&](Index c, int n)
                                BP_INLINED { top = max(top, keep_first(load_some(x + c, n), n, lowest)); });
    top = broadcast<T>(reduce_max(top));
    const T chosen = x[label.at] - top[0];
    each_vector<T>(classes, [&](Index c, int n) BP_INLINED {
        const vec<T> shifted = load_some(x + c, n) - top, e = exp(shifted);
        if (!Plain && q.soft != 0) smooth += keep_first(q.at(c, n) * shifted, n);
        parts += keep_first(e, n);
        if (g) store_some(g + c, e, n);
    });
    const T total = sum(parts), log_total = log(broadcast<T>(total))[0];
    const T hard = Plain ? T(1) : T(q.hard * class_weight(op, label.at)), sum_q = hard + T(q.soft_total);
    if (g) {
        const T step = T(label.weight / q.divisor), part = (Plain ? step : step * sum_q) / total;
        each_vector<T>(classes, [&](Index c, int n) BP_INLINED {
            vec<T> v = load_some(g + c, n) * part;
            if (!Plain) v -= q.at(c, n) * step;
            store_some(g + c, v, n);
        });
        g[label.at] -= step * hard;
    }
    return label.weight *
           double(Plain ? log_total - chosen : log_total * sum_q - hard * chosen - sum(smooth));
}

template <bool Plain, class T>
BP_INLINE double all_rows(const SoftmaxCrossEntropy<T>& op, const Smoothing<T>& q) {
    const Index rows = op.target.size(), classes = op.pred.cols();
    double loss = 0;
    if (classes > kNarrow) {
        for (Index b = 0; b < rows; ++b) loss += wide_row<Plain>(op, q, b);
        return loss;
    }
    double sums[width<T>] = {};
    for (Index b = 0; b < rows; b += width<T>)
        narrow_rows<Plain>(op, q, b, rows - b < width<T> ? int(rows - b) : width<T>, sums);
    for (double part : sums) loss += part;
    return loss;
}

// pred (B, C), target (B,): loss = Σ_b w_b (-Σ_c q_bc log softmax(pred_b)_c) / divisor,
// dpred = w_b (softmax Σ_c q - q) / divisor
template <class T>
void softmax_cross_entropy(const SoftmaxCrossEntropy<T>& op, Range, Scratch) {
    const Index classes = op.pred.cols();
    const double total = total_weight(op), divisor = divisor_of(op, total);
    // Of probabilities and gradients that are next to nothing; no loss is as small as that.
    const FlushDenormals flush(true);
    double loss = total;  // for zero classes: 0, or NaN if there is a target
    if (classes > 0 && !op.weight && op.label_smoothing == 0) {
        loss = all_rows<true>(op, Smoothing<T>{nullptr, 1, 0, 0, divisor}) / divisor;
    } else if (classes > 0) {
        const double hard = 1 - op.label_smoothing, soft = op.label_smoothing / double(classes);
        double weights = 0;
        for (Index c = 0; c < classes; ++c) weights += class_weight(op, c);
        loss =
            all_rows<false>(op, Smoothing<T>{op.weight.data, hard, soft, soft * weights, divisor}) / divisor;
    }
    op.loss.data[0] = loss;
}

// pred (B, C) logarithms, target (B,): loss = -Σ_b w_b pred[b, target_b] / divisor
template <class T>
void nll(const Nll<T>& op, Range, Scratch) {
    const Index rows = op.target.size(), classes = op.pred.cols();
    const double total = total_weight(op), divisor = divisor_of(op, total);
    if (op.dpred) __builtin_memset(op.dpred.data, 0, sizeof(T) * std::uint64_t(rows * classes));
    double loss = classes == 0 ? -total : 0;
    for (Index b = 0; b < rows && classes > 0; ++b) {
        const Label label = label_of(op, b);
        const double weight = label.weight * class_weight(op, label.at);
        loss += weight * double(op.pred.data[b * classes + label.at]);
        if (op.dpred) op.dpred.data[b * classes + label.at] = T(-weight / divisor);
    }
    op.loss.data[0] = -loss / divisor;
}

}  // namespace

BACKPASS_KERNEL(SoftmaxCrossEntropy, softmax_cross_entropy)
BACKPASS_KERNEL(Nll, nll)

}  // namespace backpass::BACKPASS_ISA

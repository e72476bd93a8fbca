// Ring 1: losses with their gradients (ops/loss.hpp). One task each, so that the sum over the batch, in double, has one order.
#include "formulas.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The first n lanes; of a whole vector n is the constant width<T>, and the test disappears.
template <class T> BP_INLINE vec<T> get(const T* p, int n) {
    return n == width<T> ? load(p) : load_tail(p, n);
}
template <class T> BP_INLINE void put(T* p, vec<T> v, int n) {
    n == width<T> ? store(p, v) : store_tail(p, v, n);
}

// v in the first n lanes, `other` in the rest.
template <class V> BP_INLINE V first(V v, int n, lane<V> other) {
    using Int = lane<ivec<lane<V>>>;
    return n == width<lane<V>> ? v : select<V>(iota<Int>() < Int(n), v, broadcast<lane<V>>(other));
}

// f(i, n) for the vectors of `size` elements.
template <class T, class F> BP_INLINE void columns(std::int64_t size, F f) {
    std::int64_t i = 0;
    for (; i + width<T> <= size; i += width<T>) f(i, width<T>);
    if (i < size) f(i, int(size - i));
}

// A sum of many vectors, in double.
template <class T> struct Sum {
    vec<double> parts[8 / sizeof(T)] = {};

    BP_INLINE void add(vec<T> v) {
        if constexpr (sizeof(T) == 8) {
            parts[0] += v;
        } else {
            constexpr int half = width<double>;
            parts[0] += __builtin_convertvector(shuffle<From<0>, vec<T>, half>(v, v), vec<double>);
            parts[1] += __builtin_convertvector(shuffle<From<half>, vec<T>, half>(v, v), vec<double>);
        }
    }
    BP_INLINE double total() const {
        if constexpr (sizeof(T) == 8) return sum(parts[0]);
        return sum(parts[0] + parts[8 / sizeof(T) - 1]);
    }
};

// What the loss and its gradient are divided by, for rows that together weigh `total`, each with `outputs` values.
template <class Op> BP_INLINE double divisor_of(const Op& op, double total, std::int64_t outputs = 1) {
    const bool mean = op.reduction == Reduction::mean;
    op.count.data[0] = mean ? total : 1;
    const double divisor = mean ? total * double(outputs) : 1;
    return divisor == 0 ? 1 : divisor;
}

// ---- class labels ----------------------------------------------------------------------------------------------

// The class of row b and the row's weight. A target that is no class weighs NaN, and so does the loss; nothing is read there.
struct Label {
    std::int64_t at;
    double weight;
};
template <class Op> BP_INLINE Label label_of(const Op& op, std::int64_t b) {
    const std::int64_t target = op.target.data[b];
    const double weight = op.sample_weight ? double(op.sample_weight.data[b]) : 1;
    if (target == op.ignore_index) return {0, 0 * weight};  // NaN stays NaN
    if (target < 0 || target >= op.pred.cols()) return {0, __builtin_nan("")};
    return {target, weight};
}
template <class Op> BP_INLINE double class_weight(const Op& op, std::int64_t at) {
    return op.weight && op.pred.cols() > 0 ? double(op.weight.data[at]) : 1;
}
template <class Op> BP_INLINE double total_weight(const Op& op) {
    double total = 0;
    for (std::int64_t b = 0; b < op.target.size(); ++b) {
        const Label label = label_of(op, b);
        total += label.weight * class_weight(op, label.at);
    }
    return total;
}

// q of one batch: at the target hard · weight, everywhere soft · weight. Plain: q is 1 at the target, 0 elsewhere.
template <class T> struct Smoothing {
    const T* weight;
    double hard, soft, soft_total, divisor;

    BP_INLINE T at(std::int64_t c) const { return T(soft) * (weight ? weight[c] : T(1)); }
    BP_INLINE vec<T> at(std::int64_t c, int n) const {
        return T(soft) * (weight ? get(weight + c, n) : broadcast<T>(1));
    }
};

// Classes up to this many: width<T> rows at a time, transposed, so that no lane is idle.
constexpr std::int64_t kNarrow = 16;

// Rows b ... b + count of at most kNarrow classes; count <= width<T>. sums[lane] += loss.
template <bool Plain, class T>
BP_INLINE void narrow_rows(const SoftmaxCrossEntropy<T>& op, const Smoothing<T>& q, std::int64_t b, int count,
                           double* sums) {
    using Int = lane<ivec<T>>;
    constexpr int lanes = width<T>;
    const std::int64_t classes = op.pred.cols(), end = count * classes;
    const T* x = op.pred.data + b * classes;
    vec<T> column[kNarrow];
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
    for (std::int64_t k = 0; k < classes; k += lanes) {
        for (int r = 0; r < lanes;
             ++r) {  // a whole vector may reach into the next row, but not beyond the last
            const std::int64_t i = r * classes + k, left = classes - k;
            column[k + r] = r >= count         ? vec<T>{}
                            : i + lanes <= end ? load(x + i)
                                               : load_tail(x + i, int(left < lanes ? left : lanes));
        }
        transpose<T>(column + k);
    }

    const vec<T> hit = load(hard), step = load(scale);
    const ivec<T> target = (ivec<T>)load(at);
    const auto wanted = [&](std::int64_t c) BP_INLINED {  // q of class c
        const vec<T> only = select(target == Int(c), hit, vec<T>{});
        return Plain ? only : only + q.at(c);
    };
    vec<T> top = broadcast<T>(-T(__builtin_inf())), total{}, smooth{}, sum_q{};
    for (std::int64_t c = 0; c < classes; ++c) top = max(top, column[c]);
    for (std::int64_t c = 0; c < classes; ++c) {
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
    for (std::int64_t c = 0; c < classes; ++c) column[c] = (column[c] * part - wanted(c)) * step;
    for (std::int64_t k = 0; k < classes; k += lanes) transpose<T>(column + k);
    for (int r = 0; r < count; ++r) {
        for (std::int64_t k = 0; k < classes;
             k += lanes) {  // what reaches into the next row is overwritten by it
            const std::int64_t i = r * classes + k, left = classes - k;
            if (i + lanes <= end)
                store(g + i, column[k + r]);
            else
                store_tail(g + i, column[k + r], int(left < lanes ? left : lanes));
        }
    }
}

// One row of any number of classes; its loss.
template <bool Plain, class T> BP_INLINE double wide_row(const SoftmaxCrossEntropy<T>& op,
                                                         const Smoothing<T>& q, std::int64_t b) {
    constexpr T lowest = -T(__builtin_inf());
    const std::int64_t classes = op.pred.cols();
    const T* x = op.pred.data + b * classes;
    T* g = op.dpred ? op.dpred.data + b * classes : nullptr;
    const Label label = label_of(op, b);
    vec<T> top = broadcast<T>(lowest), parts{}, smooth{};
    columns<T>(classes,
               [&](std::int64_t c, int n) BP_INLINED { top = max(top, first(get(x + c, n), n, lowest)); });
    top = broadcast<T>(reduce_max(top));
    const T chosen = x[label.at] - top[0];
    columns<T>(classes, [&](std::int64_t c, int n) BP_INLINED {
        const vec<T> shifted = get(x + c, n) - top, e = exp(shifted);
        if (!Plain && q.soft != 0) smooth += first(q.at(c, n) * shifted, n, 0);
        parts += first(e, n, 0);
        if (g) put(g + c, e, n);
    });
    const T total = sum(parts), log_total = log(broadcast<T>(total))[0];
    const T hard = Plain ? T(1) : T(q.hard * class_weight(op, label.at)), sum_q = hard + T(q.soft_total);
    if (g) {
        const T step = T(label.weight / q.divisor), part = (Plain ? step : step * sum_q) / total;
        columns<T>(classes, [&](std::int64_t c, int n) BP_INLINED {
            vec<T> v = get(g + c, n) * part;
            if (!Plain) v -= q.at(c, n) * step;
            put(g + c, v, n);
        });
        g[label.at] -= step * hard;
    }
    return label.weight *
           double(Plain ? log_total - chosen : log_total * sum_q - hard * chosen - sum(smooth));
}

template <bool Plain, class T> BP_INLINE double all_rows(const SoftmaxCrossEntropy<T>& op,
                                                         const Smoothing<T>& q) {
    const std::int64_t rows = op.target.size(), classes = op.pred.cols();
    double loss = 0;
    if (classes > kNarrow) {
        for (std::int64_t b = 0; b < rows; ++b) loss += wide_row<Plain>(op, q, b);
        return loss;
    }
    double sums[width<T>] = {};
    for (std::int64_t b = 0; b < rows; b += width<T>)
        narrow_rows<Plain>(op, q, b, rows - b < width<T> ? int(rows - b) : width<T>, sums);
    for (double part : sums) loss += part;
    return loss;
}

// pred (B, C), target (B,): loss = Σ_b w_b (-Σ_c q_bc log softmax(pred_b)_c) / divisor, dpred = w_b (softmax Σ_c q - q) / divisor
template <class T> void softmax_cross_entropy(const SoftmaxCrossEntropy<T>& op, Range, Scratch) {
    const std::int64_t classes = op.pred.cols();
    const double total = total_weight(op), divisor = divisor_of(op, total),
                 soft = op.label_smoothing / double(classes);
    if (classes == 0) {
        op.loss.data[0] = total;  // 0, or NaN for a target that is no class
        return;
    }
    if (!op.weight && op.label_smoothing == 0) {
        op.loss.data[0] = all_rows<true>(op, Smoothing<T>{nullptr, 1, 0, 0, divisor}) / divisor;
        return;
    }
    double weights = 0;
    for (std::int64_t c = 0; c < classes; ++c) weights += class_weight(op, c);
    op.loss.data[0] = all_rows<false>(op, Smoothing<T>{op.weight.data, 1 - op.label_smoothing, soft,
                                                       soft * weights, divisor}) /
                      divisor;
}

// pred (B, C) logarithms, target (B,): loss = -Σ_b w_b pred[b, target_b] / divisor
template <class T> void nll(const Nll<T>& op, Range, Scratch) {
    const std::int64_t rows = op.target.size(), classes = op.pred.cols();
    const double total = total_weight(op), divisor = divisor_of(op, total);
    if (op.dpred) __builtin_memset(op.dpred.data, 0, sizeof(T) * std::uint64_t(rows * classes));
    double loss = classes == 0 ? -total : 0;
    for (std::int64_t b = 0; b < rows && classes > 0; ++b) {
        const Label label = label_of(op, b);
        const double weight = label.weight * class_weight(op, label.at);
        loss += weight * double(op.pred.data[b * classes + label.at]);
        if (op.dpred) op.dpred.data[b * classes + label.at] = T(-weight / divisor);
    }
    op.loss.data[0] = -loss / divisor;
}

// ---- real targets ----------------------------------------------------------------------------------------------

template <class Op> BP_INLINE double total_rows(const Op& op) {
    const std::int64_t rows = op.target.rows();
    if (!op.sample_weight) return double(rows);
    double total = 0;
    for (std::int64_t b = 0; b < rows; ++b) total += double(op.sample_weight.data[b]);
    return total;
}

// pred, target (B, O): loss = Σ_bo w_b f(pred, target) / divisor
template <class T> void pointwise_loss(const PointwiseLoss<T>& op, Range, Scratch) {
    const std::int64_t rows = op.pred.rows(), outputs = op.pred.cols();
    const double divisor = divisor_of(op, total_rows(op), outputs);
    const T *weight = op.sample_weight.data, alpha = T(op.alpha);
    Sum<T> loss;
    dispatch(op.kind, [&](auto tag) BP_INLINED {
        constexpr Pointwise formula = decltype(tag)::value;
        const auto piece = [&](std::int64_t i, int n, vec<T> w, vec<T> scale) BP_INLINED {
            const vec<T> p = get(op.pred.data + i, n), t = get(op.target.data + i, n);
            loss.add(first(w * value<formula>(p, t, alpha), n, 0));
            if (op.dpred) put(op.dpred.data + i, slope<formula>(p, t, alpha) * scale, n);
        };
        const vec<T> one = broadcast<T>(1), whole = broadcast<T>(T(divisor));
        if (!weight) {
            const vec<T> scale = broadcast<T>(T(1 / divisor));
            columns<T>(rows * outputs, [&](std::int64_t i, int n) BP_INLINED { piece(i, n, one, scale); });
        } else if (outputs == 1) {
            columns<T>(rows, [&](std::int64_t i, int n) BP_INLINED {
                const vec<T> w = get(weight + i, n);
                piece(i, n, w, w / whole);
            });
        } else {
            for (std::int64_t b = 0; b < rows; ++b) {
                const vec<T> w = broadcast<T>(weight[b]),
                             scale = broadcast<T>(T(double(weight[b]) / divisor));
                columns<T>(outputs,
                           [&](std::int64_t o, int n) BP_INLINED { piece(b * outputs + o, n, w, scale); });
            }
        }
    });
    op.loss.data[0] = loss.total() / divisor;
}

// pred (B, 2, O), target (B, O): loss = Σ_bo w_b ½ (log v + e²/v) / divisor, e = mean - target, v = max(variance, eps)
template <class T> void gaussian_nll(const GaussianNll<T>& op, Range, Scratch) {
    const std::int64_t rows = op.target.rows(), outputs = op.target.cols();
    const double divisor = divisor_of(op, total_rows(op), outputs);
    Sum<T> loss;
    for (std::int64_t b = 0; b < rows; ++b) {
        const T weight = op.sample_weight ? op.sample_weight.data[b] : T(1),
                scale = T(double(weight) / divisor);
        const std::int64_t mean = 2 * b * outputs, variance = mean + outputs;
        columns<T>(outputs, [&](std::int64_t o, int n) BP_INLINED {
            const vec<T> e = get(op.pred.data + mean + o, n) - get(op.target.data + b * outputs + o, n);
            const vec<T> v = at_least(T(op.eps), get(op.pred.data + variance + o, n)), r = e / v;
            loss.add(first(weight * T(0.5) * (log(v) + e * r), n, 0));
            if (!op.dpred) return;
            put(op.dpred.data + mean + o, scale * r, n);
            put(op.dpred.data + variance + o, scale * T(0.5) * (T(1) / v - r * r), n);
        });
    }
    op.loss.data[0] = loss.total() / divisor;
}

}  // namespace

BACKPASS_KERNEL(SoftmaxCrossEntropy, softmax_cross_entropy)
BACKPASS_KERNEL(Nll, nll)
BACKPASS_KERNEL(PointwiseLoss, pointwise_loss)
BACKPASS_KERNEL(GaussianNll, gaussian_nll)

}  // namespace backpass::BACKPASS_ISA

// Ring 1: softmax and its logarithm over the last dimension, row by row (ops/softmax.hpp).
#include "kernel.hpp"
#include "vmath.hpp"

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

// f(i, n) for the vectors of a row.
template <class T, class F> BP_INLINE void columns(std::int64_t size, F f) {
    std::int64_t i = 0;
    for (; i + width<T> <= size; i += width<T>) f(i, width<T>);
    if (i < size) f(i, int(size - i));
}

// f(offset) for the rows of the range.
template <class Op, class F> BP_INLINE void rows(const Op& op, Range range, std::int64_t count,
                                                 std::int64_t size, F f) {
    const std::int64_t stop = range.end * op.rows_per_task(), end = stop < count ? stop : count;
    for (std::int64_t row = range.begin * op.rows_per_task(); row < end; ++row) f(row * size);
}

// y = e^x / Σ e^x, or its logarithm. A NaN spoils Σ, and with it the row.
template <class T> void softmax_forward(const SoftmaxForward<T>& op, Range range, Scratch) {
    const std::int64_t size = op.x.cols();
    constexpr T lowest = -T(__builtin_inf());
    const bool log_of = op.log;
    rows(op, range, op.x.rows(), size, [&](std::int64_t offset) BP_INLINED {
        const T* x = op.x.data + offset;
        T* y = op.y.data + offset;
        if (size <= width<T>) {
            const int n = int(size);
            const vec<T> v = get(x, n), shifted = v - reduce_max(first(v, n, lowest));
            const vec<T> e = exp(shifted), total = broadcast<T>(sum(first(e, n, 0)));
            put(y, log_of ? shifted - log(total) : e / total, n);
            return;
        }
        vec<T> top = broadcast<T>(lowest), parts{};
        columns<T>(
            size, [&](std::int64_t i, int n) BP_INLINED { top = max(top, first(get(x + i, n), n, lowest)); });
        top = broadcast<T>(reduce_max(top));
        columns<T>(size, [&](std::int64_t i, int n) BP_INLINED {
            const vec<T> e = exp(get(x + i, n) - top);
            parts += first(e, n, 0);
            if (!log_of) put(y + i, e, n);
        });
        const vec<T> total = broadcast<T>(sum(parts));
        if (log_of) {
            const vec<T> shift = log(total);
            columns<T>(size,
                       [&](std::int64_t i, int n) BP_INLINED { put(y + i, get(x + i, n) - top - shift, n); });
        } else {
            const vec<T> scale = T(1) / total;
            columns<T>(size, [&](std::int64_t i, int n) BP_INLINED { put(y + i, get(y + i, n) * scale, n); });
        }
    });
}

// dx = y (dy - Σ y dy); of the logarithm: dx = dy - e^y Σ dy
template <class T> void softmax_backward(const SoftmaxBackward<T>& op, Range range, Scratch) {
    const std::int64_t size = op.y.cols();
    const bool log_of = op.log;
    rows(op, range, op.y.rows(), size, [&](std::int64_t offset) BP_INLINED {
        const T *y = op.y.data + offset, *dy = op.dy.data + offset;
        T* dx = op.dx.data + offset;
        vec<T> parts{};
        columns<T>(size, [&](std::int64_t i, int n) BP_INLINED {
            parts += log_of ? get(dy + i, n) : get(y + i, n) * get(dy + i, n);  // zero beyond the row
        });
        const vec<T> total = broadcast<T>(sum(parts));
        columns<T>(size, [&](std::int64_t i, int n) BP_INLINED {
            const vec<T> v = get(y + i, n), d = get(dy + i, n);
            put(dx + i, log_of ? d - exp(v) * total : v * (d - total), n);
        });
    });
}

}  // namespace

BACKPASS_KERNEL(SoftmaxForward, softmax_forward)
BACKPASS_KERNEL(SoftmaxBackward, softmax_backward)

}  // namespace backpass::BACKPASS_ISA

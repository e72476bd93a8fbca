// Softmax and its logarithm over the last dimension, row by row.
#include "../ops/softmax.hpp"
#include "kernel.hpp"
#include "vector/loops.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// f(offset) for each row of some tasks.
template <class Op, class F>
BP_INLINE void each_row(const Op& op, Range range, Index rows, Index size, F f) {
    const auto [begin, end] = covered(range, op.rows_per_task(), rows);
    for (Index row = begin; row < end; ++row) f(row * size);
}

// y = e^x / Σ e^x, or its logarithm. A NaN makes Σ and with it the whole row NaN.
template <class T>
void softmax_forward(const SoftmaxForward<T>& op, Range range, Scratch) {
    const Index size = op.x.cols();
    constexpr T lowest = -T(__builtin_inf());
    const bool log_of = op.log;
    each_row(op, range, op.x.rows(), size, [&](Index offset) BP_INLINED {
        const T* x = op.x.data + offset;
        T* y = op.y.data + offset;
        if (size <= width<T>) {
            const int n = int(size);
            const vec<T> v = load_some(x, n), shifted = v - reduce_max(keep_first(v, n, lowest));
            const vec<T> e = exp(shifted), total = broadcast<T>(sum(keep_first(e, n)));
            store_some(y, log_of ? shifted - log(total) : e / total, n);
            return;
        }
        vec<T> top = broadcast<T>(lowest), parts{};
        each_vector<T>(size, [&](Index i, int n)
                                 BP_INLINED { top = max(top, keep_first(load_some(x + i, n), n, lowest)); });
        top = broadcast<T>(reduce_max(top));
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            const vec<T> e = exp(load_some(x + i, n) - top);
            parts += keep_first(e, n);
            if (!log_of) store_some(y + i, e, n);
        });
        const vec<T> total = broadcast<T>(sum(parts));
        if (log_of) {
            const vec<T> shift = log(total);
            each_vector<T>(size, [&](Index i, int n)
                                     BP_INLINED { store_some(y + i, load_some(x + i, n) - top - shift, n); });
        } else {
            const vec<T> scale = T(1) / total;
            each_vector<T>(
                size, [&](Index i, int n) BP_INLINED { store_some(y + i, load_some(y + i, n) * scale, n); });
        }
    });
}

// dx = y (dy - Σ y dy); of the logarithm: dx = dy - e^y Σ dy
template <class T>
void softmax_backward(const SoftmaxBackward<T>& op, Range range, Scratch) {
    const Index size = op.y.cols();
    const bool log_of = op.log;
    each_row(op, range, op.y.rows(), size, [&](Index offset) BP_INLINED {
        const T *y = op.y.data + offset, *dy = op.dy.data + offset;
        T* dx = op.dx.data + offset;
        vec<T> parts{};
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            parts += log_of ? load_some(dy + i, n)
                            : load_some(y + i, n) * load_some(dy + i, n);  // zero beyond the row
        });
        const vec<T> total = broadcast<T>(sum(parts));
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            const vec<T> v = load_some(y + i, n), d = load_some(dy + i, n);
            store_some(dx + i, log_of ? d - exp(v) * total : v * (d - total), n);
        });
    });
}

}  // namespace

BACKPASS_KERNEL(SoftmaxForward, softmax_forward)
BACKPASS_KERNEL(SoftmaxBackward, softmax_backward)

}  // namespace backpass::BACKPASS_ISA

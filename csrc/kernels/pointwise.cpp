// Ring 1: ops that go element by element (ops/pointwise.hpp): activations, addition, the gradient of dropout.
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

// f(i, n) for the vectors of the range: n elements at i.
template <class T, class F> BP_INLINE void elements(Range range, std::int64_t size, F f) {
    const std::int64_t stop = range.end * kElementPiece, end = stop < size ? stop : size;
    std::int64_t i = range.begin * kElementPiece;
    for (; i + width<T> <= end; i += width<T>) f(i, width<T>);
    if (i < end) f(i, int(end - i));
}

// y = f(x), slope = f'(x)
template <class T> void activation_forward(const ActivationForward<T>& op, Range range, Scratch) {
    const T *x = op.x.data, alpha = T(op.alpha);
    T *y = op.y.data, *kept = op.slope.data;
    dispatch(op.activation, [&](auto tag) BP_INLINED {
        constexpr Activation formula = decltype(tag)::value;
        elements<T>(range, op.x.size(), [&](std::int64_t i, int n) BP_INLINED {
            const vec<T> z = get(x + i, n), v = value<formula>(z, alpha);
            put(y + i, v, n);
            if (kept) put(kept + i, slope<formula>(stores_slope(formula) ? z : v, alpha), n);
        });
    });
}

// dx = dy f'(x): the slope that the forward pass kept, or from y.
template <class T> void activation_backward(const ActivationBackward<T>& op, Range range, Scratch) {
    const T *y = op.y.data, *kept = op.slope.data, *dy = op.dy.data, alpha = T(op.alpha);
    T* dx = op.dx.data;
    if (kept) {
        elements<T>(range, op.y.size(), [&](std::int64_t i, int n) BP_INLINED {
            put(dx + i, get(dy + i, n) * get(kept + i, n), n);
        });
        return;
    }
    dispatch(op.activation, [&](auto tag) BP_INLINED {
        elements<T>(range, op.y.size(), [&](std::int64_t i, int n) BP_INLINED {
            put(dx + i, get(dy + i, n) * slope<decltype(tag)::value>(get(y + i, n), alpha), n);
        });
    });
}

// y = a + b
template <class T> void add(const Add<T>& op, Range range, Scratch) {
    const T *a = op.a.data, *b = op.b.data;
    T* y = op.y.data;
    elements<T>(range, op.a.size(),
                [&](std::int64_t i, int n) BP_INLINED { put(y + i, get(a + i, n) + get(b + i, n), n); });
}

// dx = dy mask
template <class T> void dropout_backward(const DropoutBackward<T>& op, Range range, Scratch) {
    const T *mask = op.mask.data, *dy = op.dy.data;
    T* dx = op.dx.data;
    elements<T>(range, op.dy.size(),
                [&](std::int64_t i, int n) BP_INLINED { put(dx + i, get(dy + i, n) * get(mask + i, n), n); });
}

}  // namespace

BACKPASS_KERNEL(ActivationForward, activation_forward)
BACKPASS_KERNEL(ActivationBackward, activation_backward)
BACKPASS_KERNEL(Add, add)
BACKPASS_KERNEL(DropoutBackward, dropout_backward)

}  // namespace backpass::BACKPASS_ISA

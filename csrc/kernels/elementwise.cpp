// Ops that go element by element: activations and addition.
#include "../ops/elementwise.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"
#include "vector/strides.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// y = f(x), slope = f'(x)
template <class T>
void activation_forward(const ActivationForward<T>& op, Range range, Scratch) {
    const auto [i, end] = covered(range, kElementPiece, op.x.size());
    T* const kept = op.slope ? op.slope.data + i : nullptr;
    activate(op.activation, op.x.data + i, op.y.data + i, kept, end - i, T(op.alpha));
}

// dx = dy f'(x), with the slope that the forward pass stored, or else from y
template <class T>
void activation_backward(const ActivationBackward<T>& op, Range range, Scratch) {
    const auto [i, end] = covered(range, kElementPiece, op.y.size());
    const T* const kept = op.slope ? op.slope.data + i : nullptr;
    multiply_slope(op.activation, op.y.data + i, kept, op.dy.data + i, op.dx.data + i, end - i, T(op.alpha));
}

// y = a + b
template <class T>
void add(const Add<T>& op, Range range, Scratch) {
    const T *a = op.a.data, *b = op.b.data;
    T* y = op.y.data;
    each_vector<T>(covered(range, kElementPiece, op.a.size()), [&](Index i, int n) BP_INLINED {
        store_some(y + i, load_some(a + i, n) + load_some(b + i, n), n);
    });
}

// y = x, in the model's dtype
template <class T>
void to_number(const ToNumber<T>& op, Range range, Scratch) {
    const auto [begin, end] = covered(range, kElementPiece, op.x.size());
    T* const y = op.y.data + begin;
    each_run(op.x, begin, end - begin, [&](Index from, Index step, Index i, Index n) BP_INLINED {
        for (Index k = 0; k < n; ++k) y[i + k] = T(op.x.data[from + k * step]);
    });
}

}  // namespace

BACKPASS_KERNEL(ActivationForward, activation_forward)
BACKPASS_KERNEL(ActivationBackward, activation_backward)
BACKPASS_KERNEL(Add, add)
BACKPASS_KERNEL(ToNumber, to_number)

}  // namespace backpass::BACKPASS_ISA

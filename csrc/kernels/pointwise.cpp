// Ring 1: ops that go element by element (ops/pointwise.hpp): activations, addition, the gradient of dropout.
#include "activate.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// y = f(x), slope = f'(x)
template <class T>
void activation_forward(const ActivationForward<T>& op, Range range, Scratch) {
    const auto [i, end] = covered(range, kElementPiece, op.x.size());
    T* const kept = op.slope ? op.slope.data + i : nullptr;
    activate(op.activation, op.x.data + i, op.y.data + i, kept, end - i, T(op.alpha));
}

// dx = dy f'(x): the slope that the forward pass kept, or from y
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
    columns<T>(covered(range, kElementPiece, op.a.size()),
               [&](Index i, int n) BP_INLINED { put(y + i, get(a + i, n) + get(b + i, n), n); });
}

// y = x, then `rounds` times y = y factor + term. Twelve vectors at a time hide the latency of a multiply-add everywhere.
template <class T>
void multiply_add(const MultiplyAdd<T>& op, Range range, Scratch) {
    constexpr int w = width<T>, together = 12;
    const vec<T> factor = broadcast<T>(T(op.factor)), term = broadcast<T>(T(op.term));
    const Range elements = covered(range, kElementPiece, op.x.size());
    for (Index i = elements.begin; i < elements.end; i += together * w) {
        const auto lanes = [&](int v) BP_INLINED {
            const Index left = elements.end - i - v * w;
            return int(left < 0 ? 0 : left < w ? left : w);
        };
        vec<T> y[together];
        for (int v = 0; v < together; ++v) y[v] = lanes(v) ? get(op.x.data + i + v * w, lanes(v)) : vec<T>{};
        for (Index round = 0; round < op.rounds; ++round)
            for (int v = 0; v < together; ++v) y[v] = fma(y[v], factor, term);
        for (int v = 0; v < together; ++v)
            if (lanes(v)) put(op.y.data + i + v * w, y[v], lanes(v));
    }
}

// dx = dy mask
template <class T>
void dropout_backward(const DropoutBackward<T>& op, Range range, Scratch) {
    const T *mask = op.mask.data, *dy = op.dy.data;
    T* dx = op.dx.data;
    columns<T>(covered(range, kElementPiece, op.dy.size()),
               [&](Index i, int n) BP_INLINED { put(dx + i, get(dy + i, n) * get(mask + i, n), n); });
}

}  // namespace

BACKPASS_KERNEL(ActivationForward, activation_forward)
BACKPASS_KERNEL(ActivationBackward, activation_backward)
BACKPASS_KERNEL(Add, add)
BACKPASS_KERNEL(MultiplyAdd, multiply_add)
BACKPASS_KERNEL(DropoutBackward, dropout_backward)

}  // namespace backpass::BACKPASS_ISA

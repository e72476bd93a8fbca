// An activation over n neighbouring elements, forward and backward: as an op of its own, or after a product.
#pragma once
#include "../vector/simd.hpp"

namespace backpass::BACKPASS_ISA {

namespace {

// Whether the activation takes a pass over the finished rows; relu alone is done in the epilogue.
template <class Op>
BP_INLINE bool needs_sweep(const Op& op) {
    return op.slope || (op.activation != Activation::identity && op.activation != Activation::relu);
}

}  // namespace

// y = f(z); kept = f'(z), unless kept is null. y may be z.
template <class T>
void activate(Activation activation, const T* z, T* y, T* kept, Index n, T alpha);

// dx = dy f'(z), with the slope that the forward pass stored in kept, or from y = f(z) if kept is null. dx may be dy.
template <class T>
void multiply_slope(Activation activation, const T* y, const T* kept, const T* dy, T* dx, Index n, T alpha);

}  // namespace backpass::BACKPASS_ISA

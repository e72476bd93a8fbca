// An activation over n neighbouring elements, forward and backward: as an op of its own, or after a product.
#pragma once
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {

namespace {

// Whether the activation takes a pass over the finished rows; relu alone is done in the epilogue.
template <class Op>
BP_INLINE bool needs_sweep(const Op& op) {
    return op.slope || (op.activation != Activation::identity && op.activation != Activation::relu);
}

// f(row, size) for the elements of a piece that lie side by side in both of two arrays: for whole rows the piece at once, so that
// rows of a few columns fill vectors.
template <class F>
BP_INLINE void each_stretch(const Piece& piece, Index ld, Index other_ld, F f) {
    const Index columns = piece.n1 - piece.n0;
    if (columns == ld && columns == other_ld) return f(piece.m0, (piece.m1 - piece.m0) * columns);
    for (Index m = piece.m0; m < piece.m1; ++m) f(m, columns);
}

}  // namespace

// y = f(z); kept = f'(z), unless kept is null. y may be z.
template <class T>
void activate(Activation activation, const T* z, T* y, T* kept, Index n, T alpha);

// dx = dy f'(z), with the slope that the forward pass stored in kept, or from y = f(z) if kept is null. dx may be dy.
template <class T>
void multiply_slope(Activation activation, const T* y, const T* kept, const T* dy, T* dx, Index n, T alpha);

}  // namespace backpass::BACKPASS_ISA

// The norm of the gradient, the scale that clips it, and the guard.
#include <cmath>

#include "../ops/clip.hpp"
#include "kernel.hpp"
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Σ g² of one piece. Squares of floats above 1e19 overflow in float, and fit into double: what clipping is there for.
template <class T>
BP_INLINE double piece_of_squares(const T* g, Index n) {
    const double quick = sum_of_squares(g, n);
    if (sizeof(T) == 8 || __builtin_isfinite(quick)) return quick;
    double total = 0;
    for (Index i = 0; i < n; ++i) total += double(g[i]) * double(g[i]);
    return total;
}

// partials[p] = Σ g² over chunk p; 0 for chunks beyond the gradient
template <class T>
void gradient_norm(const GradientNorm<T>& op, Range range, Scratch) {
    const Index size = op.grads.size();
    for (Index p = range.begin; p < range.end; ++p) {
        const Index cut = (p + 1) * kUpdatePiece, end = cut < size ? cut : size;
        double total = 0;
        for (Index i = p * kUpdatePiece; i < end; i += kSquaresPiece)
            total += piece_of_squares(op.grads.data + i, end - i < kSquaresPiece ? end - i : kSquaresPiece);
        op.partials.data[p] = total;
    }
}

// norm = √Σ partials; scale = min(1, max_norm / (norm + 1e-6)); halt = 1 if loss or norm is not finite
void clip_scale(const ClipScale& op, Range, Scratch) {
    double total = 0;
    for (Index p = 0; p < op.partials.size(); ++p) total += op.partials.data[p];
    const double norm = std::sqrt(total), ratio = op.max_norm / (norm + 1e-6);
    op.norm.data[0] = norm;
    op.scale.data[0] = ratio < 1 ? ratio : 1;
    op.halt.data[0] = !(__builtin_isfinite(op.loss.data[0]) && __builtin_isfinite(norm));
}

}  // namespace

BACKPASS_KERNEL(GradientNorm, gradient_norm)
BACKPASS_KERNEL_UNTYPED(ClipScale, clip_scale)

}  // namespace backpass::BACKPASS_ISA

// The L2 penalty: its gradient and its part of the loss.
#include "../ops/penalty.hpp"
#include "kernel.hpp"
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// dweight += α weight / count; partials[p] = Σ weight² over chunk p; 0 for chunks beyond the weights
template <class T>
void l2_gradient(const L2Gradient<T>& op, Range range, Scratch) {
    const Index size = op.weight.size();
    const double count = op.count.data[0];
    const T decay = T(op.alpha / (count == 0 ? 1 : count));
    const T* const weight = op.weight.data;
    T* const dweight = op.dweight.data;
    for (Index p = range.begin; p < range.end; ++p) {
        const auto [begin, end] = covered({p, p + 1}, kUpdatePiece, size);
        double total = 0;
        for (Index i = begin; i < end; i += kSquaresPiece) {
            const Index n = end - i < kSquaresPiece ? end - i : kSquaresPiece;
            total += sum_of_squares(weight + i, n);
            each_vector<T>(Range{i, i + n}, [&](Index at, int lanes) BP_INLINED {
                store_some(dweight + at,
                           load_some(dweight + at, lanes) + decay * load_some(weight + at, lanes), lanes);
            });
        }
        op.partials.data[p] = total;
    }
}

// loss = share · loss + ½ α Σ partials / count
void l2_loss(const L2Loss& op, Range, Scratch) {
    double total = 0;
    for (Index p = 0; p < op.partials.size(); ++p) total += op.partials.data[p];
    const double count = op.count.data[0];
    op.loss.data[0] = op.share * op.loss.data[0] + 0.5 * op.alpha * total / (count == 0 ? 1 : count);
}

}  // namespace

BACKPASS_KERNEL(L2Gradient, l2_gradient)
BACKPASS_KERNEL_UNTYPED(L2Loss, l2_loss)

}  // namespace backpass::BACKPASS_ISA

// The end of losses: the mean of one that is written as an expression, and the sum of several. One task: the sum over the batch, in double, has one order.
#include "../ops/mean_loss.hpp"
#include "kernel.hpp"
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
void mean_loss(const MeanLoss<T>& op, Range, Scratch) {
    const Index size = op.pred.size();
    const T *const pred = op.pred.data, *const weight = op.sample_weight.data;
    Sum<T> sum, total;
    each_vector<T>(size, [&](Index i, int n) BP_INLINED {
        const vec<T> w = load_or(T(1), weight, i, n);
        sum.add(keep_first(w * load_some(pred + i, n), n));
        total.add(keep_first(w, n));
    });
    const double weights = total.total(), divisor = weights == 0 ? 1 : weights;
    op.count.data[0] = op.rows ? double(op.rows) : weights;
    op.loss.data[0] = sum.total() / divisor;
    if (!op.dpred) return;
    for (Index i = 0; i < size; ++i) op.dpred.data[i] = T((weight ? double(weight[i]) : 1) / divisor);
}

void sum_losses(const SumLosses& op, Range, Scratch) {
    op.loss.data[0] = (op.before ? op.before.data[0] : 0) + op.weight * op.part.data[0];
}

}  // namespace

BACKPASS_KERNEL(MeanLoss, mean_loss)
BACKPASS_KERNEL_UNTYPED(SumLosses, sum_losses)

}  // namespace backpass::BACKPASS_ISA

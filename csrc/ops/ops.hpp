// All ops: the lists of the families, joined. Binding, tables of kernels and interpreter follow from `Ops`.
#pragma once
#include <variant>

#include "accuracy.hpp"
#include "attention.hpp"
#include "augment.hpp"
#include "avg_pool.hpp"
#include "batch.hpp"
#include "batch_norm.hpp"
#include "batch_norm_rows.hpp"
#include "class_loss.hpp"
#include "clip.hpp"
#include "conv.hpp"
#include "dropout.hpp"
#include "elementwise.hpp"
#include "embedding_bag.hpp"
#include "expression.hpp"
#include "group_norm.hpp"
#include "image_transforms.hpp"
#include "index_arithmetic.hpp"
#include "indexing.hpp"
#include "layer_norm.hpp"
#include "linear.hpp"
#include "matmul.hpp"
#include "max_pool.hpp"
#include "mean_loss.hpp"
#include "measure.hpp"
#include "mixup.hpp"
#include "penalty.hpp"
#include "pointwise_loss.hpp"
#include "recurrent.hpp"
#include "reduction.hpp"
#include "resize.hpp"
#include "rms_norm.hpp"
#include "schedule.hpp"
#include "softmax.hpp"
#include "sparse_linear.hpp"
#include "table_rows.hpp"
#include "update.hpp"

namespace backpass {

using Ops =
    decltype(LinearOps{} + SparseLinearOps{} + ElementwiseOps{} + ExpressionOps{} + ReductionOps{} +
             IndexingOps{} + MatmulOps{} + ConvOps{} + MaxPoolOps{} + AvgPoolOps{} + MeanLossOps{} +
             DropoutOps{} + SoftmaxOps{} + BatchNormOps{} + LayerNormOps{} + AugmentOps{} + MixupOps{} +
             ClassLossOps{} + PointwiseLossOps{} + AccuracyOps{} + UpdateOps{} + ClipOps{} + PenaltyOps{} +
             ScheduleOps{} + BatchOps{} + MeasureOps{} + BatchNormRowsOps{} + GroupNormOps{} + ResizeOps{} +
             ImageTransformOps{} + RecurrentOps{} + RMSNormOps{} + AttentionOps{} + EmbeddingBagOps{} +
             TableRowsOps{} + IndexArithmeticOps{});

// A kernel does the tasks [range.begin, range.end) of its op.
template <class Op>
using Kernel = void (*)(const Op&, Range, Scratch);

template <class Op>
struct Entry {
    Kernel<Op> kernel = nullptr;
};

// What a list of ops gives: one type for any of them, and the kernels of all for one instruction set.
template <class List>
struct Of;
template <class... Op>
struct Of<OpList<Op...>> {
    using Any = std::variant<Op...>;
    struct Table : Entry<Op>... {};
};

using AnyOp = Of<Ops>::Any;
using Kernels = Of<Ops>::Table;

}  // namespace backpass

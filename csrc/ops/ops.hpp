// All ops: the lists of the families, joined. Binding, tables of kernels and interpreter follow from `Ops`.
#pragma once
#include <algorithm>
#include <new>
#include <type_traits>

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

struct Ops
    : decltype(LinearOps{} + SparseLinearOps{} + ElementwiseOps{} + ExpressionOps{} + ReductionOps{} +
               IndexingOps{} + MatmulOps{} + ConvOps{} + MaxPoolOps{} + AvgPoolOps{} + MeanLossOps{} +
               DropoutOps{} + SoftmaxOps{} + BatchNormOps{} + LayerNormOps{} + AugmentOps{} + MixupOps{} +
               ClassLossOps{} + PointwiseLossOps{} + AccuracyOps{} + UpdateOps{} + ClipOps{} + PenaltyOps{} +
               ScheduleOps{} + BatchOps{} + MeasureOps{} + BatchNormRowsOps{} + GroupNormOps{} + ResizeOps{} +
               ImageTransformOps{} + RecurrentOps{} + RMSNormOps{} + AttentionOps{} + EmbeddingBagOps{} +
               TableRowsOps{} + IndexArithmeticOps{}) {};

// A kernel does the tasks [range.begin, range.end) of its op.
template <class Op>
using Kernel = void (*)(const Op&, Range, Scratch);

template <class Op>
struct Entry {
    Kernel<Op> kernel = nullptr;
};

// What a list of ops gives: the kernels of all for one instruction set, and what it takes to hold any of them.
template <class List>
struct Of;
template <class... Op>
struct Of<OpList<Op...>> {
    static constexpr std::size_t count = sizeof...(Op), bytes = std::max({sizeof(Op)...});
    struct Table : Entry<Op>... {};

    template <class Wanted>
    static constexpr std::size_t number() {
        // No fold: Clang's end at 256 ops. std::is_same_v would be instantiated 250² times.
        constexpr bool is_wanted[] = {__is_same(Wanted, Op)...};
        return std::size_t(std::find(is_wanted, is_wanted + count, true) - is_wanted);
    }
};
template <class... Op>
Of<OpList<Op...>> of(OpList<Op...>);
using OfOps = decltype(of(Ops{}));

struct Kernels : OfOps::Table {};

// Any op, by value. A std::variant of all ops has a name of 6 KB, which stands in every symbol that mentions it: an own type with
// a short name compiles in a third of the time.
class AnyOp {
  public:
    AnyOp() { emplace<LinearForward<float>>(); }
    template <class Op>
        requires(OfOps::number<Op>() < OfOps::count)
    AnyOp(const Op& op) {
        emplace<Op>() = op;
    }

    template <class Op>
    Op& emplace() {
        static_assert(std::is_trivially_copyable_v<Op> && alignof(Op) <= alignof(std::int64_t));
        number_ = OfOps::number<Op>();
        return *new (bytes_) Op;
    }
    // The op, which has to be of this type.
    template <class Op>
    const Op& as() const {
        return *reinterpret_cast<const Op*>(bytes_);
    }
    // f(op), with the type that the op has.
    template <class F>
    auto visit(const F& f) {
        return visit_as(f, bytes_);
    }
    template <class F>
    auto visit(const F& f) const {
        return visit_as(f, bytes_);
    }

  private:
    template <class F, class Bytes>
    auto visit_as(const F& f, Bytes* bytes) const {
        return calls_of<F, Bytes>(Ops{})[number_](f, bytes);
    }
    template <class F, class Bytes, class First, class... Rest>
    static auto& calls_of(OpList<First, Rest...>) {
        static constexpr decltype(&call<F, Bytes, First>) calls[] = {&call<F, Bytes, First>,
                                                                     &call<F, Bytes, Rest>...};
        return calls;
    }
    template <class F, class Bytes, class Op>
    static auto call(const F& f, Bytes* bytes) {
        using Held = std::conditional_t<std::is_const_v<Bytes>, const Op, Op>;
        return f(*reinterpret_cast<Held*>(bytes));
    }

    alignas(std::int64_t) unsigned char bytes_[OfOps::bytes];
    std::size_t number_;
};

}  // namespace backpass

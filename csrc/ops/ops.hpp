// Ring 0: the list of ops. Binding, table of kernels, variant and interpreter follow from it.
#pragma once
#include <variant>

#include "augment.hpp"
#include "control.hpp"
#include "linear.hpp"
#include "loss.hpp"
#include "measure.hpp"
#include "mixup.hpp"
#include "norm.hpp"
#include "pointwise.hpp"
#include "softmax.hpp"
#include "sparse_linear.hpp"
#include "update.hpp"

namespace backpass {

// One kernel: work items [range.begin, range.end) of the op's tasks().
template <class Op>
using Kernel = void (*)(const Op&, Range, Scratch);

template <class Op>
struct Entry {
    Kernel<Op> kernel = nullptr;
};

template <class... Ops>
struct OpList {
    using Variant = std::variant<Ops...>;
    struct Table : Entry<Ops>... {};  // one row of kernels: all ops for one instruction set
};

// Each template twice, then the ops that know no model dtype.
template <template <class> class... Typed>
struct BothDtypes {
    template <class... Untyped>
    using With = OpList<Typed<float>..., Typed<double>..., Untyped...>;
};

using Ops =
    BothDtypes<LinearForward, LinearBackward, SparseLinearForward, SparseLinearBackward, ActivationForward,
               ActivationBackward, Add, MultiplyAdd, DropoutForward, DropoutBackward, SoftmaxForward,
               SoftmaxBackward, BatchNormForward, BatchNormTrack, BatchNormInference, BatchNormBackward,
               LayerNormForward, LayerNormBackward, SoftmaxCrossEntropy, Nll, PointwiseLoss, GaussianNll,
               SgdStep, AdamStep, NadamStep, RmspropStep, AdagradStep, AdadeltaStep, LionStep, GradientNorm,
               L2Gradient, GaussianNoise, AugmentImagesForward, AugmentImagesBackward, MixupForward,
               MixupBackward, MixedLoss, PartNorms, DeadUnits, SaturatedUnits, GatherFloat, GatherDouble,
               GatherInt8, GatherUint8, GatherInt16, GatherUint16, GatherInt32, GatherInt64>::
        With<GatherLabels, Shuffle, Advance, MixupDraw, ClipScale, L2Loss, NadamMomentum, StepSchedule,
             ExponentialSchedule, CosineSchedule, OneCycleSchedule, PiecewiseSchedule>;

using AnyOp = Ops::Variant;
using Kernels = Ops::Table;

}  // namespace backpass

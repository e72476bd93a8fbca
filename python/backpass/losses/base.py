"""Loss: what every loss is. It checks the targets and emits one call that gives the value and the gradient."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import numpy as np

from ..checks import flag, is_name, is_whole, real
from ..described import Adjustable
from ..ops import Op, correct_classes
from ..program import Builder, Several, Tensor, call
from ..program.tensor import SEVERAL
from ..system.memory import aligned

# Of the sum of a row's probabilities: float16 rounds by that much.
PROBABILITY_SLACK = 1e-3


class Loss(Adjustable):
    """Base of all losses. A changed setting, as in `model.loss.label_smoothing = 0.1`, acts at the next step.

    Attributes:
        metric: "accuracy" where the targets are classes, else None.
        wants: what the network's output is: "logits", "log probabilities", or "" for numbers.
        reductions: what `reduction` may be.
        in_units_of_y: whether the network's output is a number like y itself.
        weighs_elements: whether each element of an output has a loss of its own, so that it may have a weight of its own.
        weighs_rows: whether a weight belongs to a row of the batch, whatever shape the targets have.
    """

    metric: ClassVar[str | None] = None
    wants: ClassVar[str] = ""
    in_units_of_y: ClassVar[bool] = False
    weighs_elements: ClassVar[bool] = False
    weighs_rows: ClassVar[bool] = False
    reductions: ClassVar[Collection[str]] = ("mean", "sum")
    instead: ClassVar[Mapping[str, str]] = {
        "from_logits": "CrossEntropyLoss and BCEWithLogitsLoss take logits; leave Softmax and Sigmoid out of the network",
        "reduce": "it is called reduction", "size_average": "it is called reduction",
    }  # fmt: skip

    def __init__(self, reduction: str = "mean") -> None:
        if not is_name(reduction, self.reductions):
            raise ValueError(
                f"{type(self).__name__}: reduction is {reduction!r}, expected one of {[*self.reductions]}"
            )
        self.reduction = reduction

    def number(self, name: str, value: Any, low: float, high: float, expected: str) -> float:
        """Check a parameter: a number strictly between low and high, or `expected` says what else."""
        number = real(value)
        if not low < number < high:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected {expected}")
        return number

    def without_constant(self, full: bool) -> None:
        """Refuse PyTorch's full=True: the term it adds changes no gradient, and is not computed here."""
        if flag(f"{type(self).__name__}: full", full):
            raise ValueError(
                f"{type(self).__name__}: full is {full!r}, expected False (it adds a constant without a gradient)"
            )

    def class_weights(self, weight: Any) -> np.ndarray | None:
        """Check the weights of the classes."""
        if weight is None:
            return None
        array = np.asarray(weight)
        if (
            array.ndim != 1
            or array.dtype.kind not in "fiub"
            or not (np.isfinite(array).all() and (array >= 0).all())
        ):
            raise ValueError(
                f"{type(self).__name__}: weight is {weight!r}, expected one finite number of at least 0 for each class"
            )
        array = array.astype(np.float64)
        array.flags.writeable = False  # a change would go unnoticed
        return array

    def index(self, name: str, value: Any) -> int:
        """Check an integer parameter."""
        if not is_whole(value) or not -(2**63) <= value < 2**63:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected an integer of 64 bits")
        return int(value)

    def parts(self, y: Any, output: Any) -> Several | None:
        """Several (loss, y, output), where the loss takes several targets; else None.

        output: the shape of a row of the network's output, or Several.
        """
        if isinstance(output, Several):
            names = [*output.parts] if output.named else len(output.parts)
            raise ValueError(
                f"the network has several outputs ({names}), but the loss is {self!r}: give a loss for each, as in"
                " loss=['mse', 'cross_entropy'] or a dict, or one of all by nn.traced"
            )
        return None

    def of_outputs(self) -> list[tuple[str, str, "Loss"]]:
        """The loss of each of several outputs: what logs call the output, its name, the loss."""
        return []

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """y as this loss computes with it, for network outputs of shape (batch, *output); ValueError says what is wrong."""
        raise TypeError(f"{type(self).__name__} has to define targets(y, output, dtype)")

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        """Emit the loss and, while training, its gradient; returns (loss[1], count[1])."""
        raise TypeError(f"{type(self).__name__} has to define emit(builder, pred, target, sample_weight)")

    def weight_shape(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
        """The shape of the weights of one row; shape and dtype: of the targets of a row."""
        if self.weighs_rows:
            return ()
        return shape if dtype == np.int64 else shape[:-1]

    def weigh(self, builder: Builder, pred: Any, target: Any, weight: np.ndarray | None) -> np.ndarray | None:
        """What `emit` weighs by: the weights of the rows, for each target of a row, 0 behind the length of a row."""
        if self.weighs_rows:
            return weight
        shape = (len(target), *self.weight_shape(target.shape[1:], target.dtype))
        along = 0 if builder.steps is None else self.steps_along(pred, target)
        if along == len(shape):  # the outputs of a row are its steps
            shape = target.shape
        return weighed(builder, weight, shape, along)

    def steps_along(self, pred: Tensor, target: np.ndarray) -> int:
        """The dimension of the targets along which the steps of rows with lengths lie, 0 for none."""
        along, last = pred.along, len(pred.shape) - 1
        if along == SEVERAL or (along and along == last and not self.weighs_elements):
            raise ValueError(
                f"lengths is given, but {type(self).__name__} does not know what of an output of shape {pred.shape} lies behind"
                " the end of a row: expected an output (N, steps, ...), or one without steps"
            )
        return along

    def emit_metric(
        self,
        builder: Builder,
        pred: Tensor,
        target: np.ndarray,
        sample_weight: np.ndarray | None,
        correct: np.ndarray,
    ) -> None:
        """Emit what adds to `correct` (2,): Σ weight of the rows that are right, and Σ weight. Without a metric nothing."""


class ClassLoss(Loss):
    """Base of the losses whose targets are class indices, with a weight for each class and an index to ignore."""

    metric = "accuracy"
    wants = "logits"

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = self.class_weights(weight)
        self.ignore_index = self.index("ignore_index", ignore_index)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        self.checked_weight(output)
        return class_targets(type(self).__name__, y, output, self.ignore_index)

    def labels(self, target: np.ndarray) -> np.ndarray:
        """Class indices of checked targets."""
        return target

    def emit_metric(
        self,
        builder: Builder,
        pred: Tensor,
        target: np.ndarray,
        sample_weight: np.ndarray | None,
        correct: np.ndarray,
    ) -> None:
        emit_correct(builder, pred, target, sample_weight, correct, self.ignore_index)

    def checked_weight(self, output: tuple[int, ...]) -> np.ndarray | None:
        """The class weights, one for each of the network's outputs."""
        if self.weight is not None and self.weight.shape != output[-1:]:
            raise ValueError(
                f"{type(self).__name__}: weight has shape {self.weight.shape}, expected ({output[-1]},)"
            )
        return self.weight

    def weight_of(self, builder: Builder) -> np.ndarray | None:
        """The class weights in the model's dtype, aligned like all buffers."""
        if self.weight is None:
            return None
        out = aligned(self.weight.shape, builder.dtype)
        out[...] = self.weight
        return out


def weighed(
    builder: Builder, weight: np.ndarray | None, shape: tuple[int, ...], along: int
) -> np.ndarray | None:
    """The weights of rows, repeated to a shape; with 0 behind the length of a row along a dimension, 0 for none."""
    if weight is not None and weight.shape != shape:
        repeated = np.broadcast_to(weight.reshape(*weight.shape, *[1] * (len(shape) - weight.ndim)), shape)
        weight = builder.contiguous(builder.view(Tensor(weight), repeated)).array
    if not along:
        return weight
    from ..program.masks import counted_steps  # here: `import backpass` is to be quick

    return counted_steps(builder, shape, weight, along)


def emit_loss(op: Op, builder: Builder, pred: Tensor, **fields: Any) -> tuple[Tensor, Tensor]:
    """Emit a loss op on pred and hand its dpred to the backward pass."""
    loss = builder.emit(op, want=["dpred"] if builder.training else [], pred=pred, **fields)
    count = builder.output("count")
    if builder.training:
        builder.add_gradient(pred, builder.output("dpred"))
    return loss, count


def emit_correct(
    builder: Builder,
    pred: Tensor,
    target: np.ndarray,
    sample_weight: np.ndarray | None,
    correct: np.ndarray,
    ignore_index: int,
) -> None:
    """Emit the count of rows whose largest prediction is the target."""
    fields = {"pred": pred.array, "target": target, "sample_weight": sample_weight, "correct": correct}
    builder.instructions.append(call(correct_classes, **fields, ignore_index=ignore_index))


def class_targets(loss: str, y: Any, output: tuple[int, ...], ignore: int | None = None) -> np.ndarray:
    """Class indices 0 .. C-1 as int64, checked; of one-hot integers or bools (..., C) the places of the ones."""
    targets, classes = np.asarray(y), output[-1]
    whole = targets.dtype.kind in "iub" or (
        targets.dtype.kind == "f" and bool(np.all(targets == np.floor(targets)))
    )
    if not whole:
        raise ValueError(
            f"{loss}: y has dtype {targets.dtype}, expected class indices (integers 0 to {classes - 1})"
        )
    if targets.ndim == len(output) + 1 and targets.shape[-1] == 1:
        targets = targets[..., 0]
    if targets.ndim == len(output) + 1 and targets.shape[1:] == output and targets.dtype.kind in "iub":
        targets = _from_one_hot(loss, targets)
    if targets.ndim != len(output):
        expected = ", ".join(["N", *map(str, output[:-1])])
        raise ValueError(f"{loss}: y has shape {targets.shape}, expected class indices of shape ({expected})")
    # Compared as they came: a large uint64 must not turn into a negative index.
    out_of_range = (targets < 0) | (targets >= classes)
    wrong: Any = (
        np.argwhere(out_of_range if ignore is None else out_of_range & (targets != ignore))
        if out_of_range.any()
        else ()
    )
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        hint = "; for two classes give it 2 outputs, or take loss='bce_with_logits'" if classes == 1 else ""
        raise ValueError(
            f"{loss}: y[{', '.join(map(str, place))}] is {targets[place]}, expected a class index from 0 to {classes - 1}"
            f" (the network has {classes} outputs{hint})"
        )
    return np.ascontiguousarray(targets, dtype=np.int64)


def _from_one_hot(loss: str, y: np.ndarray) -> np.ndarray:
    """The places of the ones in rows of zeros and a single one."""
    one_hot = ((y == 0) | (y == 1)).all(axis=-1) & (y.sum(axis=-1) == 1)
    if not one_hot.all():
        place = tuple(int(i) for i in np.argwhere(~one_hot)[0])
        raise ValueError(
            f"{loss}: y[{', '.join(map(str, place))}] is {y[place]}, expected class indices, or rows with a single 1; for"
            " several labels a row take loss='bce_with_logits'"
        )
    return np.asarray(y.argmax(axis=-1))


def probabilities(loss: str, y: np.ndarray) -> np.ndarray:
    """Class probabilities (N, ..., C) in float64, checked."""
    q = y.astype(np.float64)
    if not q.size:
        return q
    sums = q.sum(axis=-1)
    if q.min() < 0 or np.abs(sums - 1).max() > PROBABILITY_SLACK:
        wrong = (q.min(axis=-1) < 0) | (np.abs(sums - 1) > PROBABILITY_SLACK)
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{loss}: y[{', '.join(map(str, place))}] is {y[place]} (sum {sums[place]:.6g}), expected class indices or "
            f"probabilities of at least 0 whose sum is 1"
        )
    return q


def real_targets(loss: str, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Targets of the output's shape in the model's dtype; (N,) serves for one output."""
    targets = np.asarray(y)
    if targets.dtype.kind not in "fiub":
        raise TypeError(f"{loss}: y has dtype {targets.dtype}, expected numbers")
    if targets.ndim == 1 and output == (1,):
        targets = targets[:, None]
    if targets.shape[1:] != output:
        classes = targets.dtype.kind in "iub" and targets.shape[1:] == output[:-1]
        hint = "; for class indices take loss='cross_entropy'" if classes else ""
        raise ValueError(
            f"{loss}: y has shape {targets.shape}, expected (N, {', '.join(map(str, output))}) like the network's output{hint}"
        )
    return np.ascontiguousarray(targets, dtype=dtype)

"""Traced losses: any expression of the network's output and the targets, at native speed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import mean_loss
from ..program import Builder, Several, Tensor, as_given, on_each, parts_of
from ..program.symbolic import SymbolicTensor
from ..program.trace import located, tracing
from .base import Loss, emit_loss


class TracedLoss(Loss):
    """Loss that is written as an expression: f(pred, y) of symbolic tensors, which ends in one number, or in one for each row.

    `nn.traced(f)` makes one. Where f gives one number a row, the loss is their mean, weighted by `sample_weight` and
    `class_weight`; one number is taken as it is, and weights are refused.

    Args:
        f: called once for each shape, with the output of the network and the targets; no Python runs in a step.

    Shapes: whatever f takes; y has a row for each row of X, or is a tuple or dict of such, as which f gets it. Integers stay
        integers, other numbers get the model's dtype. Of several outputs f gets what `forward` returned.

    Raises:
        TypeError: f is no function. ValueError: f gives something else than one number, or one a row.

    Example:
        >>> bp.losses.TracedLoss(lambda pred, y: ((pred - y).abs() + 1e-3).log().mean())
        TracedLoss(...)
    """

    weighs_rows = True

    def __init__(self, f: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        if not callable(f):
            raise TypeError(f"TracedLoss: f is {f!r:.80}, expected a function (pred, y) -> loss")
        self.f = f

    def parts(self, y: Any, output: Any) -> Several | None:
        several = Several.of_arrays(y)
        return several and on_each(lambda part: (self, part, output), several)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        targets = np.asarray(y)
        if targets.dtype.kind not in "fiub":
            raise TypeError(f"{type(self).__name__}: y has dtype {targets.dtype}, expected numbers")
        if targets.ndim == 1 and output == (1,) and targets.dtype.kind == "f":
            targets = targets[:, None]
        return np.ascontiguousarray(targets, np.int64 if targets.dtype.kind in "iub" else dtype)

    def emit(
        self, builder: Builder, pred: Any, target: Any, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        rows = parts_of(pred)[0].shape[0]
        with tracing(builder, {}):
            given = on_each(lambda tensor: SymbolicTensor(builder, tensor, 1), pred)
            y = on_each(lambda array: SymbolicTensor(builder, Tensor(array), 1), target)
            value = located(self.f, as_given(given), as_given(y))
        if not isinstance(value, SymbolicTensor) or value.shape not in ((), (1,), (rows,)):
            described = (
                f"a tensor of shape {value.shape}" if isinstance(value, SymbolicTensor) else repr(value)
            )
            raise ValueError(
                f"the loss gave {described:.80}, expected one number, or one for each of {rows} rows"
            )
        by_row = value.shape == (rows,)
        if sample_weight is not None and (not by_row or sample_weight.shape != (rows,)):
            raise ValueError(
                "sample_weight or class_weight is given, but the loss is one number: let it give one for each row"
            )
        values = builder.contiguous(builder.reshape(value._number, (-1,) if value.shape else (1,)))
        return emit_loss(mean_loss, builder, values, sample_weight=sample_weight, rows=0 if by_row else rows)


def traced(f: Callable[[Any, Any], Any]) -> TracedLoss:
    """A loss that is written as an expression of the network's output and the targets, at native speed.

    Args:
        f: (pred, y) -> one number, or one for each row, computed by the operators, methods and functions of tensors.

    Raises:
        TypeError: f is no function.

    Example:
        >>> nn.traced(lambda pred, y: ((pred - y).abs() + 1e-3).log().mean())
        TracedLoss(...)
    """
    return TracedLoss(f)

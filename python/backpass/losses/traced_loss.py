"""Traced losses: any expression of the network's output and the targets, at native speed."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..ops import mean_loss
from ..program import Builder, Several, Tensor, as_given, on_each, parts_of
from ..program.symbolic import SymbolicTensor
from ..program.tensor import SEVERAL
from ..program.trace import located, tracing
from .base import Loss, emit_loss, weighed


class TracedLoss(Loss):
    """Loss that is written as an expression: f(pred, y) of symbolic tensors, which ends in one number, or in one for each row.

    `nn.traced(f)` makes one. Where f gives one number a row, the loss is their mean, weighted by `sample_weight` and
    `class_weight`; one number is taken as it is, and weights are refused. Of rows with lengths f gives one number for each step,
    (N, T): those behind the end of a row do not count. Or it has an argument `lengths`, and looks after them itself.

    Args:
        f: called once for each shape, with the output of the network and the targets; no Python runs in a step. An argument
            `lengths` gets the (N,) lengths of the rows as indices, or None.

    Shapes: whatever f takes; y has a row for each row of X, or is a tuple or dict of such, as which f gets it. Integers stay
        integers, other numbers get the model's dtype. Of several outputs f gets what `forward` returned.

    Raises:
        TypeError: f is no function. ValueError: f gives something else than one number, one a row or one a step; lengths are
            given, and f gives one number for several steps.

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
        value = self._traced(builder, pred, target)
        by_row = value.shape[:1] == (rows,)
        if sample_weight is not None and (not by_row or sample_weight.shape != (rows,)):
            raise ValueError(
                "sample_weight or class_weight is given, but the loss is one number: let it give one for each row"
            )
        along = 0 if self.takes_lengths else self._along(builder, pred, value)
        if len(value.shape) > 1:
            sample_weight = weighed(builder, sample_weight, value.shape, along)
        values = builder.contiguous(builder.reshape(value._number, (-1,) if value.shape else (1,)))
        weights = None if sample_weight is None else sample_weight.reshape(-1)
        return emit_loss(mean_loss, builder, values, sample_weight=weights, rows=0 if by_row else rows)

    @property
    def takes_lengths(self) -> bool:
        """Whether f has an argument for the lengths of the rows."""
        try:
            return "lengths" in inspect.signature(self.f).parameters
        except ValueError:  # some of Python's own functions have no signature
            return False

    def _traced(self, builder: Builder, pred: Any, target: Any) -> SymbolicTensor:
        """What f gives: one number, one for each row, or one for each step of each row."""
        rows = parts_of(pred)[0].shape[0]
        named = {}
        if self.takes_lengths:
            lengths = self._lengths(builder, pred)
            named["lengths"] = lengths and SymbolicTensor(builder, lengths, 1)
        with tracing(builder, {}):
            given = on_each(lambda tensor: SymbolicTensor(builder, tensor, 1), pred)
            y = on_each(lambda array: SymbolicTensor(builder, Tensor(array), 1), target)
            value = located(partial(self.f, **named), as_given(given), as_given(y))
        if isinstance(value, SymbolicTensor):
            # Of a matrix each row has to come from a row of the batch: (N, 1) and (N,) make an (N, N) by mistake.
            by_step = value.ndim == 2 and value.shape[0] == rows and value.per_row
            if value.shape in ((), (1,), (rows,)) or by_step:
                return value
            described = f"a tensor of shape {value.shape}"
        else:
            described = repr(value)
        raise ValueError(
            f"the loss gave {described:.80}, expected one number, or one for each of {rows} rows, or one for each of their"
            " steps"
        )

    def _lengths(self, builder: Builder, pred: Any) -> Tensor | None:
        """The lengths of the rows of the output, those of the input where no output has steps."""
        sizes = {y.shape[y.along] for y in parts_of(pred) if y.along > 0}
        if len(sizes) > 1:
            raise ValueError(
                f"lengths is given, and outputs have {sorted(sizes)} steps, but the argument `lengths` of the loss is that of one"
                " number: give each output a loss of its own"
            )
        return builder.lengths_of(*sizes)

    def _along(self, builder: Builder, pred: Any, value: SymbolicTensor) -> int:
        """1 where the loss is one number for each step of rows with lengths, 0 where no output has steps."""
        if builder.steps is None:
            return 0
        of_steps = [y for y in parts_of(pred) if y.along]
        if not of_steps:
            return 0
        sizes = {y.shape[y.along] for y in of_steps}
        if value.ndim == 2 and sizes == {value.shape[1]} and all(y.along != SEVERAL for y in of_steps):
            return 1
        raise ValueError(
            f"lengths is given, but the loss gave a tensor of shape {value.shape} of an output {of_steps[0].shape}, in which the"
            " steps behind the end of a row count: let it give one number for each step, as in"
            " ((pred - y) ** 2).mean(dim=-1), or take an argument `lengths`"
        )


def traced(f: Callable[[Any, Any], Any]) -> TracedLoss:
    """A loss that is written as an expression of the network's output and the targets, at native speed.

    Args:
        f: (pred, y) -> one number, or one for each row or each step of it, computed by the operators, methods and functions of
            tensors; with an argument `lengths` it gets those of the rows.

    Raises:
        TypeError: f is no function.

    Example:
        >>> nn.traced(lambda pred, y: ((pred - y).abs() + 1e-3).log().mean())
        TracedLoss(...)
    """
    return TracedLoss(f)

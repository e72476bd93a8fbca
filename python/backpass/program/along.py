"""Along which dimension of a network's output the steps of its rows lie, where rows have lengths: found by trial."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .builder import Builder
from .plan import InputSpec
from .several import parts_of
from .tensor import SEVERAL, Tensor

# What emits a network for some inputs, and gives its outputs.
Emit = Callable[[Builder, Sequence[InputSpec]], Any]


def mark_steps(emit: Emit, builder: Builder, outputs: Sequence[Tensor], inputs: Sequence[InputSpec]) -> None:
    """Say of each output along which dimension its steps lie: the one whose size follows the number of steps of the input.

    Where the network takes this number of steps alone, or a layer has replaced the lengths, that is the second dimension.
    """
    steps = next(spec.shape[1] for spec in inputs if not spec.beside)
    other = _shapes_for_others(emit, builder.dtype, inputs, steps)
    for number, y in enumerate(outputs):
        second = int(len(y.shape) > 1 and (builder.shortened or y.shape[1] == steps))
        if other is None or len(other[number]) != len(y.shape):
            y.along = second
            continue
        found = [axis for axis, (a, b) in enumerate(zip(y.shape, other[number], strict=True)) if a != b]
        if not found:
            y.along = second if builder.shortened else 0
        else:
            whole = builder.shortened or y.shape[found[0]] == steps
            y.along = found[0] if len(found) == 1 and whole else SEVERAL


def _shapes_for_others(
    emit: Emit, dtype: np.dtype[Any], inputs: Sequence[InputSpec], steps: int
) -> list[tuple[int, ...]] | None:
    """The shapes of the outputs for rows of one step more or less; None where the network does not take such."""
    first = next(spec.name for spec in inputs if not spec.beside)
    for size in (steps + 1, steps - 1):
        # Other inputs with as many steps may have to go along, or not.
        for along in (True, False):
            tried = [
                spec._replace(shape=(spec.shape[0], size, *spec.shape[2:]))
                if spec.shape[1:2] == (steps,) and (along or spec.name == first)
                else spec
                for spec in inputs
            ]
            with suppress(Exception):
                return [y.shape for y in parts_of(emit(Builder(dtype, training=False), tried))]
    return None

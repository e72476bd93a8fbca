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

    Where it follows none, that is the second dimension if a layer has told the lengths of as many steps, whatever their number.
    Of a network that takes this number of steps alone, (N, T) may be classes as well as steps.
    """
    steps = next(spec.shape[1] for spec in inputs if not spec.beside)
    other = _shapes_for_others(emit, builder.dtype, inputs, steps)
    # Behind windows their number follows that of the input.
    fixed = builder.lengths_by_steps.keys() - builder.shortened_by.keys() - {steps}
    for number, y in enumerate(outputs):
        if other is None or len(other[number]) != len(y.shape):
            fitting = [axis for axis, size in enumerate(y.shape) if axis and size in builder.lengths_by_steps]
            y.along = SEVERAL if fitting == [1] and len(y.shape) == 2 else next(iter(fitting), 0)
            continue
        found = [axis for axis, (a, b) in enumerate(zip(y.shape, other[number], strict=True)) if a != b]
        if found:
            known = len(found) == 1 and y.shape[found[0]] in builder.lengths_by_steps
            y.along = found[0] if known else SEVERAL
        else:
            y.along = int(len(y.shape) > 1 and y.shape[1] in fixed)


def _shapes_for_others(
    emit: Emit, dtype: np.dtype[Any], inputs: Sequence[InputSpec], steps: int
) -> list[tuple[int, ...]] | None:
    """The shapes of the outputs for rows of another number of steps; None where the network does not take such."""
    first = next(spec.name for spec in inputs if not spec.beside)
    # Windows with a stride may leave as many of one step more; where positions end, there are no more.
    for size in (2 * steps, steps + 1, steps - 1):
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

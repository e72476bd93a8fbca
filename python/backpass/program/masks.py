"""Masks: which steps of a row count, where rows have lengths."""

from collections.abc import Sequence

import numpy as np

from ..ops import index_function, to_number
from .arithmetic import elementwise
from .builder import Builder
from .tensor import Tensor

# The padding would count in them.
STATISTICS = "statistics over steps; nn.LayerNorm has none"


def _inside(builder: Builder, lengths: Tensor, shape: Sequence[int], axis: int = 1) -> Tensor:
    """(B, 1, ..., T, 1, ...): 1 for the steps, along an axis, of a row of this shape up to its length, 0 behind."""
    ones = [1] * (len(shape) - 1)
    ends = builder.reshape(builder.run(to_number, x=lengths), (shape[0], *ones))
    sizes = [1, *ones]
    sizes[axis] = shape[axis]
    places = Tensor(np.arange(shape[axis], dtype=builder.dtype).reshape(sizes))
    return elementwise(builder, "lt", places, ends)


def counted_steps(
    builder: Builder, shape: Sequence[int], weight: np.ndarray | None, axis: int = 1
) -> np.ndarray:
    """Weights of this shape, 0 behind the length of a row along an axis, else those given, or 1."""
    lengths = builder.lengths_of(shape[axis])
    assert lengths is not None
    mask = _inside(builder, lengths, shape, axis)
    if weight is not None:
        return elementwise(builder, "mul", mask, Tensor(weight)).array
    whole = builder.view(mask, np.broadcast_to(mask.array, shape))
    return builder.contiguous(whole).array


def without_padding(builder: Builder, x: Tensor) -> Tensor:
    """x (B, T, ...) with 0 behind the length of each row, whatever stands there; x itself where rows have no lengths."""
    lengths = builder.lengths_of(x.shape[1])
    if lengths is None:
        return x
    if lengths.shape != x.shape[:1]:
        raise ValueError(
            f"lengths has {lengths.shape[0]} rows, but a layer that reads them gets {x.shape[0]} rows"
        )
    return elementwise(builder, "where", _inside(builder, lengths, x.shape), x, 0.0)


def lengths_of_places(builder: Builder, layer: str, x: Tensor) -> Tensor | None:
    """The lengths of the rows of x (B, C, L), whose places are steps; None where rows have none, or x has other rows."""
    lengths = builder.steps
    if lengths is None or lengths.shape != x.shape[:1]:
        return None
    if x.shape[-1] not in builder.lengths_by_steps:
        raise ValueError(
            f"{layer}: lengths is given for rows of {sorted(builder.lengths_by_steps)} steps, but the input has {x.shape[-1]}"
            " places; X is (N, steps, ...), and its transpose (N, channels, steps) comes before this layer"
        )
    builder.steps_are_read = True
    return builder.lengths_by_steps[x.shape[-1]]


def refuse_steps(builder: Builder, layer: str, x: Tensor, what: str) -> None:
    """ValueError where rows of x (B, C, ...) have lengths and x has a dimension of steps, with which `what` does not go."""
    lengths = builder.steps
    if lengths is None or lengths.shape != x.shape[:1]:
        return
    if any(size in builder.lengths_by_steps for size in x.shape[2:]):
        raise ValueError(f"{layer}: lengths is given, which does not go with {what}")


def filled_behind(builder: Builder, x: Tensor, lengths: Tensor, value: float) -> Tensor:
    """x (B, C, L) with a value behind the end of each row."""
    return elementwise(builder, "where", _inside(builder, lengths, x.shape, 2), x, value)


def shorten(builder: Builder, layer: str, places: Sequence[int], added: int, stride: int) -> None:
    """Tell lengths as a window leaves them: ⌊(lengths + added) / stride⌋ + 1, at least 0. places: of its input, of its output."""
    before, after = places
    lengths, rule = builder.lengths_by_steps[before], (before, added, stride)
    if after in builder.lengths_by_steps:
        if builder.shortened_by.get(after) != rule:
            raise ValueError(
                f"{layer}: lengths is given, and its output has {after} places, as another one whose rows end elsewhere: how"
                " long they are is not known"
            )
        return
    for function, number in (("add", added), ("floordiv", stride), ("add", 1)):
        lengths = _with(builder, function, lengths, number)
    # A window that is longer than the row has no place.
    lengths = builder.run(index_function, a=lengths, b=_with(builder, "gt", lengths, 0), function="mul")
    builder.tell_lengths(after, lengths)
    builder.shortened_by[after] = rule


def tell_first(builder: Builder, before: int, after: int) -> None:
    """Tell the lengths of the first steps of rows, x[:, :after]: those of all their steps, at most so many."""
    if before not in builder.lengths_by_steps or after in builder.lengths_by_steps:
        return
    behind = _with(builder, "add", builder.lengths_by_steps[before], -after)
    behind = builder.run(index_function, a=behind, b=_with(builder, "lt", behind, 0), function="mul")
    builder.tell_lengths(after, _with(builder, "add", behind, after))
    builder.shortened_by[after] = (before, after - before, 0)


def _with(builder: Builder, function: str, lengths: Tensor, number: int) -> Tensor:
    constant = Tensor(np.broadcast_to(np.int64(number), lengths.shape))
    return builder.run(index_function, a=lengths, b=constant, function=function)

"""Tables of which a step trains the rows that occur in it: their gradient is that of these rows, one behind another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops import (
    Op,
    embedding_backward,
    embedding_backward_weight,
    embedding_bag_backward,
    embedding_bag_backward_weight,
)
from .builder import Builder
from .tensor import Tensor, address

# How many indices a look-up has, and what emits its gradient into (rows, drows); gives how many rows there are.
Lookup = tuple[int, Callable[[Tensor, Tensor], Tensor]]


@dataclass(eq=False, repr=False)
class RowsGradient:
    """The gradient of a table: drows[k] is that of its row rows[k], for k < count; all others have none."""

    # (V, E) where the whole gradient would lie.
    gradient: np.ndarray
    rows: np.ndarray
    count: np.ndarray
    drows: np.ndarray

    def fill(self) -> None:
        """Write the whole gradient: for those who look at it, no step needs it."""
        count = int(self.count[0])
        self.gradient[...] = 0
        self.gradient[self.rows[:count]] = self.drows[:count]


def is_sparse(builder: Builder, weight: Tensor, sparse: bool) -> bool:
    """Whether the gradient of a table is to be that of rows: of a parameter that is trained."""
    return sparse and builder.training and weight.gradient is not None


def looked_up(builder: Builder, y: Tensor, weight: Tensor, index: Tensor, padding_idx: int) -> Tensor:
    """y, which embedding_forward has computed; its gradient goes to the rows of weight that index says."""
    return _recorded(builder, y, weight, index, padding_idx, embedding_backward, embedding_backward_weight)


def looked_up_in_bags(
    builder: Builder,
    y: Tensor,
    weight: Tensor,
    index: Tensor,
    padding_idx: int,
    scale: Tensor,
    top: Tensor | None,
) -> Tensor:
    """y, which embedding_bag_forward has computed, likewise."""
    ops = embedding_bag_backward, embedding_bag_backward_weight
    return _recorded(builder, y, weight, index, padding_idx, *ops, scale=scale, top=top)


def _recorded(
    builder: Builder,
    y: Tensor,
    weight: Tensor,
    index: Tensor,
    padding_idx: int,
    sort: Op,
    sums: Op,
    **more: Tensor | None,
) -> Tensor:
    y.requires_grad = True
    layer = builder.layer

    def backward(dy: Tensor) -> None:
        def emit(rows: Tensor, drows: Tensor) -> Tensor:
            builder.layer = layer
            sorted_by = {"weight": Tensor(weight.array), "index": index, "padding_idx": padding_idx}
            return _rows_gradient(builder, sort, sums, rows, drows, sorted_by, dy=dy, **more)

        assert weight.gradient is not None
        lookups = builder.lookups.setdefault(address(weight.gradient), [])
        if not lookups:
            builder.endings.append(lambda: _added_up(builder, weight, lookups))
        lookups.append((index.array.size, emit))

    return builder.record(y, backward)


def _rows_gradient(
    builder: Builder, sort: Op, sums: Op, rows: Tensor, drows: Tensor, sorted_by: dict[str, Any], **given: Any
) -> Tensor:
    """Emit the gradient of the rows that occur, into rows and drows; returns how many there are."""
    order, ends = (builder.tensor(rows.shape, np.int64) for _ in range(2))
    runs = {"order": order, "rows": rows, "ends": ends, "count": builder.tensor((1,), np.int64)}
    builder.run(sort, **sorted_by, **runs)
    builder.run(sums, drows=drows, **runs, **given)
    return runs["count"]


def _added_up(builder: Builder, weight: Tensor, lookups: Sequence[Lookup]) -> None:
    """The gradient of a table from all look-ups in it: of several, a row's sums are added in the order of the backward pass."""
    size, (most, columns) = sum(size for size, _ in lookups), weight.shape
    rows, drows = builder.tensor((size,), np.int64), builder.tensor((min(size, most), columns))
    if len(lookups) == 1:
        count = lookups[0][1](rows, drows)
    else:
        of_each, sums_of_each, start = builder.tensor((size,), np.int64), builder.tensor((size, columns)), 0
        for size_of_one, emit in lookups:
            part = slice(start, start + size_of_one)
            emit(*(builder.view(whole, whole.array[part]) for whole in (of_each, sums_of_each)))
            start += size_of_one
        sorted_by = {"weight": Tensor(weight.array), "index": of_each, "padding_idx": -1}
        count = _rows_gradient(
            builder, embedding_backward, embedding_backward_weight, rows, drows, sorted_by, dy=sums_of_each
        )
    assert weight.gradient is not None
    builder.tables.append(RowsGradient(weight.gradient, rows.array, count.array, drows.array))
    builder.viewed += [rows, count, drows]


def check_read_alone(builder: Builder) -> None:
    """No table has a gradient besides that of its rows, such as that of a layer that is tied to it."""
    for table in builder.tables:
        if address(table.gradient) in builder.reached:
            raise ValueError(
                f"a table of {len(table.gradient)} rows has sparse=True, and another layer reads it as well, whose gradient is"
                " that of all rows: expected sparse=False"
            )
        builder.reached.add(address(table.gradient))

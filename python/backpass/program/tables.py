"""Tables of which a step trains the rows that occur in it: their gradient is that of these rows, one behind another."""

from dataclasses import dataclass

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

    def backward(dy: Tensor) -> None:
        assert weight.gradient is not None
        table, (rows, columns) = address(weight.gradient), weight.shape
        if any(address(other.gradient) == table for other in builder.tables):
            raise ValueError(
                f"a table of {rows} rows has sparse=True, and is looked up in twice: expected one look-up, of the indices"
                " concatenated, or sparse=False"
            )
        size = index.array.size
        runs = {name: builder.tensor((size,), np.int64) for name in ("order", "rows", "ends")}
        runs["count"] = builder.tensor((1,), np.int64)
        builder.run(sort, weight=Tensor(weight.array), index=index, padding_idx=padding_idx, **runs)
        drows = builder.tensor((min(size, rows), columns))
        builder.run(sums, dy=dy, drows=drows, **runs, **more)
        builder.tables.append(
            RowsGradient(weight.gradient, runs["rows"].array, runs["count"].array, drows.array)
        )
        builder.viewed += [Tensor(runs["rows"].array), Tensor(runs["count"].array), drows]

    return builder.record(y, backward)


def check_read_alone(builder: Builder) -> None:
    """No table has a gradient besides that of its rows, such as that of a layer that is tied to it."""
    for table in builder.tables:
        if address(table.gradient) in builder.reached:
            raise ValueError(
                f"a table of {len(table.gradient)} rows has sparse=True, and another layer reads it as well, whose gradient is"
                " that of all rows: expected sparse=False"
            )
        builder.reached.add(address(table.gradient))

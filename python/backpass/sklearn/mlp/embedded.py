"""Embedded: the first layer of an MLP on a table with categories."""

from collections.abc import Iterator, Mapping, Sequence

from ... import nn
from ...nn.initial_weights import zeros
from ...nn.module import Kind
from ...program import Builder, Tensor
from ...program.views import cat


class Embedded(nn.Module):
    """Numbers beside rows of tables: y = [x, table_0[c_0], table_1[c_1], ...].

    All tables start at 0, where a category says nothing. The row behind the last category, of an unknown one, stays there.
    """

    def __init__(self, numbers: int, shapes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.numbers = numbers
        self.tables = tuple(nn.Embedding(rows + 1, dim, padding_idx=rows) for rows, dim in shapes)
        for table in self.tables:
            table.parameter("weight", table.learned["weight"].stored, zeros)

    @property
    def takes(self) -> Mapping[str, Kind]:
        numbers: dict[str, Kind] = {"x": "number"} if self.numbers else {}
        return {**numbers, "categories": "index"}

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        return ((f"tables.{j}", table) for j, table in enumerate(self.tables))

    def emit(self, builder: Builder, *inputs: Tensor) -> Tensor:
        *numbers, codes = inputs
        parts = [*numbers]
        for j, (name, table) in enumerate(self.named_children()):
            with builder.inside(name):
                parts.append(table.emit(builder, Tensor(codes.array[:, j])))
        return cat(builder, parts, 1) if len(parts) > 1 else parts[0]

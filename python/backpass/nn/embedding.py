"""Embedding: rows of a learned table by their indices."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ..checks import flag, is_whole
from ..program import Builder, Tensor
from ..program.gathers import embedding
from ..program.views import permute
from .module import Kind, Module

NOT_HERE = "is not supported"


def normal_rows(
    padding_idx: int | None, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int
) -> np.ndarray:
    """N(0, 1), with 0 in the row padding_idx: PyTorch's table."""
    values = rng.standard_normal(shape)
    if padding_idx is not None:
        values[padding_idx] = 0
    return values


def uniform_rows(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """U(±0.05): Keras's table."""
    return rng.uniform(-0.05, 0.05, shape)


def _pretrained(
    values: np.ndarray, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int
) -> np.ndarray:
    return values


class Table(Module):
    """What layers with a table have in common: (num_embeddings, embedding_dim), and the row that stands for padding."""

    instead: ClassVar[Mapping[str, str]] = {
        **Module.instead,
        "max_norm": NOT_HERE,
        "norm_type": NOT_HERE,
        "scale_grad_by_freq": NOT_HERE,
        "input_dim": "it is called num_embeddings",
        "output_dim": "it is called embedding_dim",
        "mask_zero": "padding_idx=0 leaves row 0 out",
    }
    # A Linear's weight lies in memory as (in_features, out_features).
    reads_any_layout: ClassVar[tuple[str, ...]] = ("weight",)
    structural: ClassVar[tuple[str, ...]] = ("sparse", "init")
    weight: np.ndarray

    def make_table(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, sparse: bool
    ) -> None:
        """Check the sizes, and declare `weight`."""
        self.num_embeddings = self.positive_int("num_embeddings", num_embeddings)
        self.embedding_dim = self.positive_int("embedding_dim", embedding_dim)
        rows = self.num_embeddings
        if padding_idx is not None and not (is_whole(padding_idx) and -rows <= padding_idx < rows):
            raise ValueError(
                f"{type(self).__name__}: padding_idx is {padding_idx!r:.80}, expected None or an integer in"
                f" [{-rows}, {rows - 1}]"
            )
        # The row without a gradient, -1 for none.
        self.padding_row = -1 if padding_idx is None else int(padding_idx) % rows
        draw = partial(normal_rows, None if padding_idx is None else self.padding_row)
        self.parameter("weight", (rows, self.embedding_dim), draw)
        self.learned["weight"].sparse = self.flag("sparse", sparse)

    @property
    def takes(self) -> Mapping[str, Kind]:
        return {"x": "index"}

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, **settings: Any) -> Self:
        """A layer whose table is a copy of an array.

        Args:
            embeddings: (num_embeddings, embedding_dim).
            freeze: whether the table is left as it is, default True.
            settings: the other arguments of the constructor.

        Raises:
            ValueError: an array of another number of dimensions. TypeError: no numbers.
        """
        values = np.array(embeddings)
        if values.dtype.kind not in "fiu":
            raise TypeError(f"{cls.__name__}: embeddings is {embeddings!r:.80}, expected an array of numbers")
        if values.ndim != 2:
            raise ValueError(
                f"{cls.__name__}: embeddings has shape {values.shape}, expected (num_embeddings, embedding_dim)"
            )
        layer = cls(*values.shape, **settings)
        table = layer.learned["weight"]
        table.draw = partial(_pretrained, values)
        table.requires_grad = not flag(f"{cls.__name__}: freeze", freeze)
        return layer

    def table(self, builder: Builder) -> Tensor:
        """The table as (num_embeddings, embedding_dim)."""
        weight = self.tensor("weight")
        assert weight is not None
        axes = self.learned["weight"].axes
        return weight if axes is None else permute(builder, weight, axes)


class Embedding(Table):
    """Embedding: row x of a learned table, y = weight[x] (PyTorch's `nn.Embedding`).

    Inputs are integers; they stay int64, and their range is checked before anything is trained. A Linear's weight may be tied
    to the table: `head.weight = embed.weight`.

    Args:
        num_embeddings: V, rows of the table, at least 1.
        embedding_dim: E, size of a row, at least 1.
        padding_idx: a row that starts at 0 and has no gradient; below 0 it counts from the end; default None.
        sparse: whether a step moves only the rows that occur in it, which for a large table is much faster; default False. The
            optimizer's formula and its count of steps are the same, and the moments of other rows stay as they are. It takes
            no weight decay and no momentum of SGD or RMSprop.
        init: "torch" (default, N(0, 1), and 0 in the row padding_idx) or "keras" (U(±0.05), all rows).

    Shapes: input (N, ...) of integers from 0 to V - 1, output (N, ..., E), `weight` (V, E).

    Raises:
        ValueError: an argument out of range; an index outside the table, before anything is computed.
        TypeError: an input that holds no integers.

    Example:
        >>> nn.Embedding(1000, 16, padding_idx=0)
        Embedding(1000, 16, padding_idx=0)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        sparse: bool = False,
        init: Literal["torch", "keras"] = "torch",
    ) -> None:
        super().__init__()
        self.make_table(num_embeddings, embedding_dim, padding_idx, sparse)
        self.init = self.one_of("init", init, ("torch", "keras"))
        if self.init == "keras":
            self.learned["weight"].draw = uniform_rows

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        sparse = self.learned["weight"].sparse
        return embedding(builder, self.table(builder), x, self.padding_row, sparse)

"""FeatureTokenizer: a row of a table as a sequence of vectors, which attention takes."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..checks import is_whole
from ..program import Builder, Tensor
from ..program.arithmetic import elementwise
from ..program.views import cat, expand
from .embedding import Embedding
from .initial_weights import torch
from .module import Kind, Module


class FeatureTokenizer(Module):
    """Features as tokens: t_j = x_j · weight_j + bias_j for numbers, a row of table j for categories (Gorishniy et al. 2021).

    Args:
        num_features: F, numbers in a row, at least 0.
        embedding_dim: E, size of a token, at least 1.
        cardinalities: how many categories each further column has, default none.
        cls_token: whether a learned token comes first, whose output stands for the row; default False.

    Shapes: numbers (N, F), categories (N, C) of integers, where there are such: a tuple of both, or a dict by the names `x` and
    `categories`. Output (N, T, E), T = F + C, one more with cls_token; `weight` and `bias` (F, E), `tables.j.weight`, `cls` (E,).

    Raises:
        ValueError: an argument out of range, no features at all; an input of another width.

    Example:
        >>> nn.FeatureTokenizer(3, 16, cardinalities=(10, 7), cls_token=True)
        FeatureTokenizer(3, 16, cardinalities=(10, 7), cls_token=True)
    """

    weight: np.ndarray
    bias: np.ndarray
    cls: np.ndarray
    structural = ("cardinalities", "cls_token")

    def __init__(
        self,
        num_features: int,
        embedding_dim: int,
        cardinalities: Sequence[int] = (),
        cls_token: bool = False,
    ) -> None:
        super().__init__()
        if not is_whole(num_features) or num_features < 0:
            raise ValueError(
                f"FeatureTokenizer: num_features is {num_features!r:.80}, expected an integer of at least 0"
            )
        if not isinstance(cardinalities, tuple | list):
            raise ValueError(
                f"FeatureTokenizer: cardinalities is {cardinalities!r:.80}, expected a tuple with a number for each column"
            )
        self.num_features = int(num_features)
        self.embedding_dim = self.positive_int("embedding_dim", embedding_dim)
        sizes = [self.positive_int("cardinalities", size) for size in cardinalities]
        self.tables = tuple(Embedding(size, self.embedding_dim) for size in sizes)
        if not self.num_features and not sizes:
            raise ValueError("FeatureTokenizer: num_features is 0, expected at least one, or cardinalities")
        shape = self.num_features, self.embedding_dim
        # U(±1/√E), as its authors have it.
        if self.num_features:
            self.parameter("weight", shape, torch, fan_in=self.embedding_dim)
            self.parameter("bias", shape, torch, fan_in=self.embedding_dim)
        for table in self.tables:
            table.parameter("weight", table.learned["weight"].stored, torch, fan_in=self.embedding_dim)
        if self.flag("cls_token", cls_token):
            self.parameter("cls", shape[1:], torch)

    @property
    def takes(self) -> Mapping[str, Kind]:
        kinds: dict[str, Kind] = {"x": "number"} if self.num_features else {}
        return kinds | ({"categories": "index"} if self.tables else {})

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((f"tables.{j}", table) for j, table in enumerate(self.tables))

    def emit(self, builder: Builder, *inputs: Tensor) -> Tensor:
        rows = inputs[0].shape[0]
        tokens: list[Tensor] = []
        if "cls" in self.learned:
            cls = self.tensor("cls")
            assert cls is not None
            tokens.append(expand(builder, builder.reshape(cls, (1, 1, -1)), (rows, 1, self.embedding_dim)))
        if self.num_features:
            tokens.append(self._numbers(builder, inputs[0]))
        if self.tables:
            tokens += self._categories(builder, inputs[-1])
        return cat(builder, tokens, 1) if len(tokens) > 1 else tokens[0]

    def _numbers(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) != 2 or x.shape[1] != self.num_features:
            raise self.unfit(x, f"(batch, {self.num_features})")
        weight, bias = self.tensor("weight"), self.tensor("bias")
        assert weight is not None and bias is not None  # noqa: PT018 one thing: there are features
        columns = builder.reshape(x, (*x.shape, 1))
        return elementwise(builder, "add", elementwise(builder, "mul", columns, weight), bias)

    def _categories(self, builder: Builder, index: Tensor) -> Iterator[Tensor]:
        if len(index.shape) != 2 or index.shape[1] != len(self.tables):
            raise self.unfit(index, f"(batch, {len(self.tables)}) categories")
        for j, (name, table) in enumerate(self.named_children()):
            with builder.inside(name):
                yield table.emit(builder, Tensor(index.array[:, j : j + 1]))

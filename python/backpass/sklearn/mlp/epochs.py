"""Epochs of an MLP estimator: rows in an order of the estimator's, scikit-learn's penalty in the loss."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...data.feed import Feed, Position
from ...data.sparse import SparseRows, is_sparse
from ...ops import l2_gradient, l2_loss
from ...ops.clip import partial_sums
from ...program import BackwardPlan, Instruction, call
from ...system.memory import aligned
from ...training.loops import BatchLoop
from ..sharing import threads_of
from .network import Network, block_rows
from .table import Table, inputs_of

# Shapes of which partial_fit keeps the programs and their buffers.
KEPT = 8


def penalty(
    network: Network, loss: np.ndarray, count: np.ndarray, alpha: float, share: float
) -> list[Instruction]:
    """Instructions of the L2 penalty: loss = share · loss + ½ alpha Σ W² / count, and its gradient, on weights alone."""
    if alpha == 0 and share == 1:
        return []
    penalised = [*network.linear, *network.tables]
    sizes = [len(partial_sums(layer.weight.size)) for layer in penalised]
    partials = np.zeros(sum(sizes))
    out, start = [], 0
    for layer, size in zip(penalised, sizes, strict=True):
        tensor = layer.tensor("weight")
        assert tensor is not None
        assert tensor.gradient is not None
        fields = {"weight": tensor.array.reshape(-1), "dweight": tensor.gradient.reshape(-1)}
        sums = partials[start : start + size]
        out.append(call(l2_gradient, **fields, count=count, partials=sums, alpha=alpha))
        start += size
    return [*out, call(l2_loss, partials=partials, count=count, loss=loss, alpha=alpha, share=share)]


class Epochs(BatchLoop):
    """Loop of a run and the buffers it reads. A sparse X that the network cannot read is made dense block by block.

    `order` holds the rows of the coming epoch in their order.
    """

    def __init__(
        self,
        network: Network,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray | None,
        batch_size: int,
        alpha: float,
        share: float,
        copy: bool = False,
    ) -> None:
        self.network, self.alpha, self.share, self.rows = network, alpha, share, X.shape[0]
        self.order = np.arange(self.rows)
        self.data: tuple[Any, np.ndarray, np.ndarray | None] | None = (X, y, weight)
        self.block, dtype = self.rows, network.model.dtype
        # The first row of the block that is trained on.
        self.start = 0
        sparse = network.reads_sparse(X)
        self.copied = not sparse and (copy or is_sparse(X))
        if sparse:
            X = SparseRows(X, dtype)
        elif self.copied:  # buffers of their own, for whole batches, filled from what `load` brings
            fitting = block_rows(X.shape[1], dtype) // (KEPT if copy else 1)
            self.block = min(self.rows, max(fitting // batch_size, 1) * batch_size)
            X = X.buffer(self.block) if isinstance(X, Table) else aligned((self.block, X.shape[1]), dtype)
            y = aligned((self.block, *y.shape[1:]), y.dtype)
            weight = None if weight is None else aligned((self.block,), dtype)
        feed = Feed.of(inputs_of(X), y, weight)
        super().__init__(network.model.engine, feed, batch_size, self.rows)

    def penalty(self, loss: np.ndarray, count: np.ndarray) -> list[Instruction]:
        return penalty(self.network, loss, count, self.alpha, self.share)

    def weight(self, plan: BackwardPlan, rows: int) -> np.ndarray:
        return np.full(1, float(rows))  # as in scikit-learn, whatever the rows weigh

    def correct(self) -> None:
        """Accuracy is scored where scikit-learn scores it: on held-out rows and eval_set."""

    def threads(self) -> int:
        return threads_of(self.network.model.engine.threads)

    def load(self, X: Any, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Replace the data of the next epoch by others of the same shape."""
        self.data = (X, y, weight)

    def unload(self) -> None:
        """Drop the data, which may be large, until the next `load`."""
        self.data = None

    def begin(self, number: int, position: Position) -> None:
        self.feed.go_to(Position())
        self.start = 0

    def position(self) -> Position:
        position = self.feed.position()
        return position._replace(rows=self.start + position.rows)

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        for start in range(0, self.rows, self.block):
            self.start = start
            rows = self.order[self.start : self.start + self.block]
            self.feed.cursor[0] = 0
            if self.copied:
                self._fill(rows)
            else:
                self.feed.index[:] = rows
            yield from self.train(len(rows), pace)

    def _fill(self, rows: np.ndarray) -> None:
        assert self.data is not None
        X, y, weight = self.data
        feed, batch = self.feed, X[rows]
        for name, part in inputs_of(batch.toarray() if is_sparse(batch) else batch).sources.items():
            feed.inputs.array(name)[: len(rows)] = part
        feed.y[: len(rows)] = y[rows]
        if feed.weight is not None and weight is not None:
            feed.weight[: len(rows)] = weight[rows]

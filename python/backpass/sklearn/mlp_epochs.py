"""The epochs of an MLP estimator: the rows in a given order, scikit-learn's penalty in the loss."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..custom import callable_program
from ..loop import BatchLoop, Feed, Steps
from ..memory import aligned
from ..optim.clip import partial_sums
from ..program import Instruction, call
from ..steps import Plan
from .mlp_network import Network, block_rows, threads_of
from .mlp_sparse import SparseFeed, SparseRows

KEPT = 8  # shapes of which partial_fit keeps the programs and their buffers


def penalty(
    network: Network, loss: np.ndarray, count: np.ndarray, alpha: float, share: float
) -> list[Instruction]:
    """loss = share · loss + ½ alpha Σ W² / count, and its gradient: the intercepts are not penalised."""
    if alpha == 0 and share == 1:
        return []
    sizes = [len(partial_sums(coef.size)) for coef in network.coefs]
    partials = np.zeros(sum(sizes))
    out, start = [], 0
    for layer, size in zip(network.linear, sizes, strict=True):
        tensor = layer.tensor("weight")
        assert tensor is not None
        assert tensor.gradient is not None
        fields = {"weight": tensor.array.reshape(-1), "dweight": tensor.gradient.reshape(-1)}
        part = partials[start : start + size]
        out.append(call("l2_gradient", **fields, count=count, partials=part, alpha=alpha))
        start += size
    return [*out, call("l2_loss", partials=partials, count=count, loss=loss, alpha=alpha, share=share)]


class Epochs(BatchLoop):
    """The programs of a run and the buffers they read. A sparse X that the network cannot read is made dense block by block."""

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
        self.given: tuple[Any, np.ndarray, np.ndarray | None] | None = (X, y, weight)
        self.block, dtype = self.rows, network.model.dtype
        sparse = network.reads_sparse(X)
        self.copied = not sparse and (copy or hasattr(X, "toarray"))
        if sparse:
            X = SparseRows(X, dtype)
        elif self.copied:  # buffers of their own, for whole batches, filled from what `load` brings
            fitting = block_rows(X.shape[1], dtype) // (KEPT if copy else 1)
            self.block = min(self.rows, max(fitting // batch_size, 1) * batch_size)
            X = aligned((self.block, X.shape[1]), dtype)
            y = aligned((self.block, *y.shape[1:]), y.dtype)
            weight = None if weight is None else aligned((self.block,), dtype)
        feed = (SparseFeed if sparse else Feed).of(X, y, weight)
        super().__init__(network.model, feed, batch_size, self.rows)

    def program(self, rows: int) -> tuple[Steps, Plan]:
        return callable_program(self, rows) if self.model.callable_loss else super().program(rows)

    def penalty(self, loss: np.ndarray, count: np.ndarray) -> list[Instruction]:
        return penalty(self.network, loss, count, self.alpha, self.share)

    def weight(self, plan: Plan, rows: int) -> np.ndarray:
        return np.full(1, float(rows))  # as in scikit-learn, whatever the rows weigh

    def threads(self) -> int:
        return threads_of(self.model)

    def load(self, X: Any, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Other data of the same shape for the next epoch."""
        self.given = (X, y, weight)

    def unload(self) -> None:
        """Let go of the data, which may be large, until the next `load`."""
        self.given = None

    def run(self, order: np.ndarray, pace: Callable[[], int], after: Callable[[int, float], None]) -> float:
        """Train on the rows in this order; the mean loss of the batches. NonFiniteError: stopped before the bad step.

        after(steps done, loss so far) is called after every slice of about 50 ms, or pace() steps.
        """
        total, cursor = self.feed.total, self.feed.cursor
        total[:] = 0
        for start in range(0, self.rows, self.block):
            part = order[start : start + self.block]
            cursor[0] = 0
            if self.copied:
                self._fill(part)
            else:
                self.feed.index[:] = part
            for _ in self.train(len(part), pace):
                after(-(-(start + int(cursor[0])) // self.size), float(total[0] / total[1]))
        return float(total[0] / total[1])

    def _fill(self, part: np.ndarray) -> None:
        assert self.given is not None
        X, y, weight = self.given
        feed, rows = self.feed, X[part]
        feed.X[: len(part)] = rows.toarray() if hasattr(rows, "toarray") else rows
        feed.y[: len(part)] = y[part]
        if feed.weight is not None and weight is not None:
            feed.weight[: len(part)] = weight[part]

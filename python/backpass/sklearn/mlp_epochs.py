"""One epoch of an MLP estimator as one native call: the rows in a given order, a step for each batch, the penalty in it."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..custom import call_loss
from ..diagnosis import raise_non_finite
from ..loop import new_feed
from ..memory import aligned
from ..optim.clip import partial_sums
from ..program import Instruction, call
from ..steps import Plan
from .mlp_network import Network, block_rows, threads_of


def penalty(network: Network, plan: Plan, alpha: float, share: float) -> list[Instruction]:
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
        out.append(call("l2_gradient", **fields, count=plan.count, partials=part, alpha=alpha))
        start += size
    return [
        *out,
        call("l2_loss", partials=partials, count=plan.count, loss=plan.loss, alpha=alpha, share=share),
    ]


class Epochs:
    """The programs of a run and the buffers they read. Rows of a sparse X are made dense block by block."""

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
        self.network, self.model, self.size, self.rows = network, network.model, batch_size, X.shape[0]
        self.given = (X, y, weight)
        self.block = self.rows
        if hasattr(X, "toarray"):
            fitting = block_rows(X.shape[1], self.model.dtype)
            self.block = min(self.rows, max(fitting // batch_size, 1) * batch_size)
        self.copied = copy or hasattr(X, "toarray")
        if self.copied:  # buffers of their own, filled by `load`
            X = aligned((self.block, X.shape[1]), self.model.dtype)
            y = aligned((self.block, *y.shape[1:]), y.dtype)
            weight = None if weight is None else aligned((self.block,), self.model.dtype)
        self.feed = new_feed(X, y, weight)
        self.plans: dict[int, tuple[Any, Plan]] = {}
        for rows in {batch_size, self.rows % batch_size} - {0}:
            self.plans[rows] = self._program(rows, alpha, share)

    def _program(self, rows: int, alpha: float, share: float) -> tuple[Any, Plan]:
        feed, model = self.feed, self.model
        target = (feed.y.shape[1:], feed.y.dtype)
        plan = model.training_plan((rows, feed.X.shape[1]), target, feed.weight is not None)
        instructions = [
            *feed.gather(plan),
            *plan.forward,
            *plan.loss_part,
            *plan.backward,
            *penalty(self.network, plan, alpha, share),
            *model.update_instructions(plan.loss),
            *plan.kept,
            call("advance", loss=plan.loss, count=np.full(1, float(rows)), rows=rows, **feed.counters(model)),
        ]
        return model.backend.compile(instructions, model.halt), plan

    def load(self, X: Any, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Other data of the same shape for the next epoch."""
        self.given = (X, y, weight)

    def run(
        self, order: np.ndarray, pace: int = sys.maxsize, after: Callable[[int, float], None] | None = None
    ) -> float:
        """Train on the rows in this order; the mean loss of the batches. NonFiniteError: stopped before the bad step.

        after(step, loss so far) is called after each `pace` steps.
        """
        feed, done = self.feed, 0
        feed.total[:] = 0
        for start in range(0, self.rows, self.block):
            part = order[start : start + self.block]
            feed.cursor[0] = 0
            if self.copied:
                self._fill(part)
            else:
                feed.index[:] = part
            for rows, steps in ((self.size, len(part) // self.size), (len(part) % self.size, 1)):
                left = steps if rows else 0
                while left:
                    ran = self._steps(rows, min(left, pace))
                    left, done = left - ran, done + ran
                    if after:
                        after(done, float(feed.total[0] / feed.total[1]))
        return float(feed.total[0] / feed.total[1])

    def _steps(self, rows: int, steps: int) -> int:
        executor, plan = self.plans[rows]
        self.model.programs.trained = plan
        ran: int = executor.run(steps, threads_of(self.model))
        if ran < steps:
            raise_non_finite(self.model, plan)
        return ran

    def _fill(self, part: np.ndarray) -> None:
        X, y, weight = self.given
        feed, rows = self.feed, X[part]
        feed.X[: len(part)] = rows.toarray() if hasattr(rows, "toarray") else rows
        feed.y[: len(part)] = y[part]
        if feed.weight is not None and weight is not None:
            feed.weight[: len(part)] = weight[part]


class CallableEpochs:
    """The same for a loss that is a callable (pred, y) -> (value, gradient): back to Python for every batch."""

    def __init__(self, network: Network, X: Any, y: np.ndarray, batch_size: int, alpha: float) -> None:
        self.network, self.model, self.size, self.alpha = network, network.model, batch_size, alpha
        self.X, self.y, self.rows = X, y, int(X.shape[0])

    def load(self, X: Any, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Other data for the next epoch."""
        self.X, self.y = X, y

    def run(
        self, order: np.ndarray, pace: int = sys.maxsize, after: Callable[[int, float], None] | None = None
    ) -> float:
        """Train on the rows in this order; the mean loss of the batches."""
        total = 0.0
        for step, start in enumerate(range(0, self.rows, self.size)):
            part = order[start : start + self.size]
            rows = self.X[part]
            pred = self.model.forward(rows.toarray() if hasattr(rows, "toarray") else rows, training=True)
            value, gradient = call_loss(self.model, pred, self.y[part])
            self.model.backward(gradient)
            for layer in self.network.linear:
                weight = layer.view("weight")
                layer.view("weight", gradient=True)[...] += self.alpha / len(part) * weight
                value += 0.5 * self.alpha / len(part) * float(np.vdot(weight, weight))
            self.model.update(value)
            total += value * len(part)
            if after and (step + 1) % pace == 0:
                after(step + 1, total / (start + len(part)))
        return total / self.rows

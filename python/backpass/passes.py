"""What a model computes one pass at a time: forward, backward, update, predict; and the programs that these run."""

from threading import get_ident
from typing import Any

import numpy as np

from . import data
from .alone import computing, in_use
from .checks import is_whole
from .diagnosis import raise_non_finite
from .program import Instruction, call
from .state import ModelState
from .steps import Plan, Spec

MAX_ROWS = 512  # rows that one pass of `predict` takes


class Passes(ModelState):
    """A model's passes."""

    def forward(self, x: Any, training: bool = False) -> np.ndarray:
        """The network's output for one batch. With training=True (dropout, batch statistics) `backward` may follow."""
        return self._forward(x) if training else self.predict(data.features(x, self.dtype, check=False))

    @computing
    def _forward(self, x: Any) -> np.ndarray:
        x = self._batch(x)
        plan = self.forward_plan(x.shape)
        self.last_pass = self.programs.trained = plan
        plan.x[...] = x
        forward = self.programs.of(plan, "forward", lambda: self.backend.compile([*plan.forward, *plan.kept]))
        forward.run(1, self.threads)
        return plan.out.copy()

    @property
    def mixing(self) -> tuple[float, np.ndarray] | None:
        """How nn.MixUp mixed the rows of the last `forward(x, training=True)`: share · row b + (1 - share) · row partner[b],
        as (share, partner (B,)); None without one. Targets of your own loss are to be mixed alike."""
        return self.last_pass.mixture() if self.last_pass else None

    @computing
    def backward(self, dout: Any) -> np.ndarray:
        """Backpropagate the gradient of your loss with respect to the output of the last `forward(x, training=True)`.

        Fills `gradients()` and returns the gradient with respect to x.
        """
        last = self.last_pass
        if last is None:
            raise RuntimeError("backward() needs a forward(x, training=True) before it")
        dout = data.as_array("dout", dout)
        assert last.dout is not None
        if dout.shape != last.out.shape:
            raise ValueError(
                f"dout has shape {dout.shape}, expected {last.out.shape} like the network's output"
            )
        last.dout[...] = data.quiet_cast(dout, self.dtype)
        self.programs.of(last, "backward", lambda: self.backend.compile(last.backward)).run(1, self.threads)
        return np.zeros_like(last.x) if last.dx is None else last.dx.copy()

    @computing
    def update(self, loss: float = 0.0) -> None:
        """One optimizer step with the gradients of the last `backward`; `loss` only serves the check for NaN."""
        if np.ndim(loss) or np.asarray(loss).dtype.kind not in "fiu":
            raise TypeError(f"loss is {loss!r}, expected one number")
        if self.programs.updating is None:
            told = np.zeros(1)
            instructions = [
                *self.update_instructions(told),
                call("advance", **self.counters(), loss=told, count=np.ones(1), rows=0),
            ]
            self.programs.updating = self.backend.compile(instructions, self.halt), told
        executor, told = self.programs.updating
        told[0] = loss
        if executor.run(1, self.threads) < 1:
            raise_non_finite(self, self.last_pass)

    def predict(self, X: Any) -> np.ndarray:
        """The network's output for every row of X, as for inference: (N, ...)."""
        me, before = get_ident(), self.user  # as @computing does, but cheaper
        if before and before != me:
            raise in_use(before == -me)
        self.user = -me
        try:
            known = self.programs.inferring.get(getattr(X, "shape", None))
            if known is not None:  # a batch like one before: straight to the program
                executor, plan = known
                out = executor.infer(plan.x, plan.out, X, self.threads)
                if out is not None:
                    return out
            X = data.rows_of(X)
            out = np.empty((len(X), *self.programs.output_shape(X.shape[1:])), self.dtype)
            start = 0
            while start < len(X):  # in powers of two: few programs, and no row is computed for nothing
                left = len(X) - start
                rows = (
                    left
                    if self.programs.whole_batch
                    else MAX_ROWS
                    if left >= MAX_ROWS
                    else 1 << (left.bit_length() - 1)
                )
                executor, plan = self.programs.inference((rows, *X.shape[1:]))
                with np.errstate(all="ignore"):  # in their dtype numbers may be too large for the model's
                    plan.x[...] = X[start : start + rows]
                executor.run(1, self.threads)
                out[start : start + rows] = plan.out
                start += rows
            return out
        finally:
            self.user = before

    # -- programs ---------------------------------------------------------------------------------------------------

    def output_shape(self, inner: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of the network's output for rows of X of shape `inner`, a tuple of integers."""
        if not isinstance(inner, tuple) or not all(is_whole(size) and size >= 0 for size in inner):
            raise TypeError(f"inner is {inner!r:.80}, expected a tuple of sizes: X.shape[1:]")
        return self.programs.output_shape(inner)

    def training_plan(
        self,
        shape: tuple[int, ...],
        target: tuple[tuple[int, ...], np.dtype[Any]],
        weighted: bool,
        unread: bool = False,
    ) -> Plan:
        """Forward, loss and backward for one batch shape; `unread` as in `Spec`."""
        return self.programs.plan(
            Spec(shape, training=True, target=target, weighted=weighted, backward=True, unread=unread)
        )

    def forward_plan(self, shape: tuple[int, ...]) -> Plan:
        """Forward and backward for one batch shape, without a loss."""
        self.programs.output_shape(shape[1:])  # says so if it does not fit
        return self.programs.plan(Spec(shape, training=True, backward=True, input_gradient=True))

    def update_instructions(self, loss: np.ndarray) -> list[Instruction]:
        """Norm, guard and optimizer step."""
        return self.optimizer.emit(
            self.flat.params, self.flat.grads, self.optimizer_state, self.step_count, loss, self.halt
        )

    def counters(self) -> dict[str, np.ndarray]:
        """What a step outside any run counts."""
        return {"step": self.step_count, "cursor": np.zeros(1, np.int64), "total": np.zeros(2)}

    def _batch(self, x: Any) -> np.ndarray:
        """The rows of one pass, at least one."""
        batch: np.ndarray = data.features(x, self.dtype, check=False)
        if not len(batch):
            raise ValueError(f"x is empty (shape {batch.shape}), expected at least one row")
        return batch

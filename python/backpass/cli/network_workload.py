"""NetworkWorkload: a workload whose network is built of layers by a function that PyTorch's layers can serve as well."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from .. import optim
from ..data.targets import target_of
from ..engine.inputs import checked_data
from ..model import Model
from ..program import Instruction
from .workloads import Workload


@dataclass(frozen=True)
class NetworkWorkload(Workload):
    """`build` makes the network of the layers of `backpass.nn`, or of `torch.nn`; shape: of a row of X."""

    shape: tuple[int, ...] = ()
    build: Callable[[Any], Any] = lambda nn: nn.Sequential()

    @cached_property
    def _plan(self) -> Any:
        model, (X, y) = self.model("numpy"), self.data()
        engine, one = model.engine, slice(0, self.batch)
        first = tuple(x[one] for x in X) if isinstance(X, tuple) else X[one]
        inputs, target, _ = checked_data(engine, first, y[one], None)
        return engine.plans.training(inputs.specs(self.batch, engine.dtype), target_of(target))

    @property
    def flops(self) -> int:
        """Floating point operations of a step: the products of all layers."""
        return sum(map(products, self._plan.backward))

    @property
    def parameters(self) -> int:
        return sum(int(weight.size) for weight in self.model("numpy").parameters())

    @property
    def bytes(self) -> int:
        """About what a step moves: its rows, every buffer of the plan once written and once read, and Adam's traffic."""
        return int(4 * (11 * self.parameters + self.batch * prod(self.shape)) + 2 * self._plan.bytes)

    @property
    def steps_per_epoch(self) -> int:
        return 8 if self.batch > 1 else 200

    def data(self, seed: int = 0) -> tuple[Any, np.ndarray]:
        raise NotImplementedError

    def model(self, backend: str, threads: int | None = None) -> Model:
        from .. import nn

        named: dict[str, Any] = {"backend": backend}
        optimizer = getattr(optim, self.optimizer)(clip_grad_norm=self.clip_grad_norm)
        loss: Any = self.loss
        return Model(self.build(nn), loss, optimizer, threads=threads, **named)


def products(instruction: Instruction) -> int:
    """Floating point operations of the products that belong to a gradient op: its own, and those of the forward pass."""
    name, fields = instruction.op.name, instruction.fields
    if name in ("conv2d_backward", "linear_backward"):
        passes = 1 + (fields["dweight"] is not None) + (fields["dx"] is not None)
        return int(2 * fields["dy"].size * prod(fields["weight"].shape[:-1]) * passes)
    if name in ("rnn_backward", "lstm_backward", "gru_backward"):
        steps, weight_ih, weight_hh = (
            prod(fields["gates"].shape[:2]),
            fields["weight_ih"],
            fields["weight_hh"],
        )
        into_x = 3 if fields["dx"] is not None else 2
        return int(2 * steps * (3 * weight_hh.size + into_x * weight_ih.size))
    if name == "attention_backward":  # of each pair of steps: scores, their values, and the gradients of both
        return int(6 * 2 * fields["q"].size * fields["k"].shape[1])
    return 0

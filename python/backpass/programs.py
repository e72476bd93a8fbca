"""The programs of a model: planned and compiled when first asked for, then kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from .backends import Backend, Executor
from .losses import Loss
from .nn import Layer
from .steps import Plan, Spec, plan

T = TypeVar("T")
MOST, LEAST = 256, 16  # plans that are kept; from LEAST on only as long as they fit into
MOST_BYTES = 1 << 28


class Programs:
    """Plans by what they are for, executors by key. All share the parameters of one network."""

    def __init__(
        self,
        net: Layer,
        loss: Loss | None,
        backend: Backend,
        dtype: np.dtype[Any],
        seed: int,
        step: np.ndarray,
        halt: np.ndarray,
    ) -> None:
        self.net, self.loss, self.backend = net, loss, backend
        self.dtype, self.seed, self.step, self.halt = dtype, seed, step, halt
        self.plans: dict[Spec, Plan] = {}  # the oldest first
        self.bytes = 0  # of their buffers
        self.trained: Plan | None = None  # whose buffers hold the last training step
        self.inferring: dict[Any, tuple[Executor, Plan]] = {}  # by the shape of the batch
        self.updating: tuple[Executor, np.ndarray] | None = None  # with the loss (1,) that its guard looks at
        self.whole_batch = any(getattr(layer, "whole_batch", False) for _, layer in net.walk())
        self._outputs: dict[tuple[int, ...], tuple[int, ...]] = {}

    def run_on(self, backend: Backend) -> None:
        """Compile for this backend from now on."""
        self.backend, self.updating = backend, None
        self.inferring.clear()
        for known in self.plans.values():
            known.programs.clear()

    def plan(self, spec: Spec) -> Plan:
        """The buffers and instructions for one shape of batch and one purpose."""
        spec = replace(spec, apart=self.backend.apart)
        if spec not in self.plans:
            made = plan(self.net, self.loss, self.dtype, self.seed, self.step, spec)
            self.plans[spec] = made
            self.bytes += made.bytes
            self._forget()
        return self.plans[spec]

    def _forget(self) -> None:
        """The oldest plans, where there are too many: a program made of ever new shapes must not fill the memory."""
        while len(self.plans) > MOST or (len(self.plans) > LEAST and self.bytes > MOST_BYTES):
            spec = next(iter(self.plans))
            self.bytes -= self.plans.pop(spec).bytes
            if spec == Spec(spec.shape, apart=spec.apart):
                self.inferring.pop(spec.shape, None)

    def of(self, plan: Plan, name: str, make: Callable[[], T]) -> T:
        """What was made of a plan: kept with it, and forgotten with it."""
        if name not in plan.programs:
            plan.programs[name] = make()
        made: T = plan.programs[name]
        return made

    def inference(self, shape: tuple[int, ...]) -> tuple[Executor, Plan]:
        """The forward pass for a batch of this shape, as for inference."""
        if shape not in self.inferring:
            plan = self.plan(Spec(shape))
            self.inferring[shape] = self.backend.compile(plan.forward), plan
        return self.inferring[shape]

    def output_shape(self, inner: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of the output for rows of shape `inner`; ValueError where they do not fit the network."""
        if inner not in self._outputs:
            try:
                found = self.plan(Spec((1, *inner))).out.shape[1:]
            except ValueError as error:
                raise ValueError(f"X does not fit the network: {error}") from None
            if len(self._outputs) > MOST:
                self._outputs.clear()
            self._outputs[inner] = found
        return self._outputs[inner]

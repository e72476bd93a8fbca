"""The programs of a model: planned and compiled when first asked for, then kept."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from .backends import Backend, Executor
from .losses import Loss
from .nn import Layer
from .program import Instruction
from .steps import Plan, Spec, plan


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
        self.plans: dict[Spec, Plan] = {}
        self.trained: Plan | None = None  # whose buffers hold the last training step
        self.inferring: dict[Any, tuple[Executor, Plan]] = {}  # by the shape of the batch
        self._executors: dict[Hashable, Executor] = {}
        self._outputs: dict[tuple[int, ...], tuple[int, ...]] = {}

    def run_on(self, backend: Backend) -> None:
        """Compile for this backend from now on."""
        self.backend = backend
        self.inferring.clear()
        self._executors.clear()

    def plan(self, spec: Spec) -> Plan:
        """The buffers and instructions for one shape of batch and one purpose."""
        if spec not in self.plans:
            self.plans[spec] = plan(self.net, self.loss, self.dtype, self.seed, self.step, spec)
        return self.plans[spec]

    def executor(
        self, key: Hashable, instructions: Callable[[], list[Instruction]], guarded: bool = False
    ) -> Executor:
        """The compiled program of this key; `guarded` ones stop where the halt flag is set."""
        if key not in self._executors:
            halt = self.halt if guarded else None
            self._executors[key] = self.backend.compile(instructions(), halt)
        return self._executors[key]

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
                self._outputs[inner] = self.plan(Spec((1, *inner))).out.shape[1:]
            except ValueError as error:
                raise ValueError(f"X does not fit the network: {error}") from None
        return self._outputs[inner]

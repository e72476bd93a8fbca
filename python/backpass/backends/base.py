"""Backend: what every backend is. Here an op runs as its NumPy reference and a program as a Python loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..ops import REGISTRY
from ..system.signals import deliver, held

# (x, threads) -> output; None if x has another shape or dtype than the program's input.
Inference = Callable[[Any, int], np.ndarray | None]


class Call(Protocol):
    """What a backend needs of an instruction (program.Instruction is one)."""

    @property
    def op(self) -> Any: ...
    @property
    def fields(self) -> dict[str, Any]: ...


class Executor:
    """A program ready to run: the functions and their arguments."""

    def __init__(
        self,
        calls: Sequence[tuple[Callable[..., None], dict[str, Any]]],
        halt: np.ndarray | None = None,
        guard: int = -1,
    ) -> None:
        """guard: which call sets halt."""
        self._calls, self._halt, self._guard = calls, halt, guard

    def run(self, steps: int = 1, threads: int = 0) -> int:
        """Run all instructions `steps` times; stops within a step once the guard sets `halt`. Returns the whole steps done.

        A program with a guard trains: its steps are not torn by a signal.
        """
        with np.errstate(all="ignore"):  # what is not finite is found by the guard, by name
            if self._halt is None:
                for _ in range(steps):
                    for function, fields in self._calls:
                        function(**fields)
                return steps
            with held() as between_steps:
                for done in range(steps):
                    for number, (function, fields) in enumerate(self._calls):
                        function(**fields)
                        if number == self._guard and self._halt[0]:
                            return done
                    if between_steps:
                        deliver()
        return steps

    def inference(self, input: np.ndarray, output: np.ndarray) -> Inference:
        """The program as a function of one input, which copies x into the buffer `input` and `output` out of its buffer."""

        def run(x: Any, threads: int) -> np.ndarray | None:
            if not isinstance(x, np.ndarray) or x.shape != input.shape or x.dtype != input.dtype:
                return None
            input[...] = x
            self.run(1, threads)
            return output.copy()

        return run


def guard_of(instructions: Sequence[Call], halt: np.ndarray | None) -> int:
    """Which instruction sets halt; -1 for none."""
    writes = (any(value is halt for value in i.fields.values()) for i in instructions)
    return -1 if halt is None else next((number for number, sets_halt in enumerate(writes) if sets_halt), -1)


class Backend:
    """The base of all backends: falls back to the reference for every op that a backend does not bring itself."""

    name = "numpy"
    # Whether products are faster where rows of matrices have padding between them (program/layout.py).
    pads_rows = False
    functions: Mapping[str, Callable[..., None]] = {}

    def function(self, name: str) -> Callable[..., None]:
        """This backend's implementation of an op."""
        return self.functions.get(name) or REGISTRY[name].function

    def compile(self, instructions: Sequence[Call], halt: np.ndarray | None = None) -> Executor:
        """Make a program executable. `halt`: int64 (1,), ends the run when an instruction sets it."""
        return Executor(
            [(self.function(i.op.name), i.fields) for i in instructions], halt, guard_of(instructions, halt)
        )

    def run_epochs(
        self, programs: Sequence[tuple[Executor, int]], epochs: int, seconds: float, threads: int = 0
    ) -> int:
        """Run each (program, steps) in turn, all of them `epochs` times; returns the number of whole epochs done.

        They are fewer where a program halts, or where so many seconds have passed at the end of one.
        """
        began = time.perf_counter()
        for epoch in range(epochs):
            for program, steps in programs:
                if program.run(steps, threads) < steps:
                    return epoch
            if time.perf_counter() - began >= seconds:
                return epoch + 1
        return epochs

    def set_num_threads(self, n: int) -> None:
        """Tell a backend that has threads of its own how many a program uses that is run with threads=0."""

    def get_num_threads(self) -> int | None:
        """The same number; None for a backend without."""
        return None

    def call(self, name: str, /, **fields: Any) -> None:
        """Run one op on any arrays, checked: strided, unaligned or byte-swapped ones go through a copy."""
        if name not in REGISTRY:
            raise KeyError(f"no op is called {name!r}; there are {sorted(REGISTRY)}")
        op = REGISTRY[name]
        op.check(fields)
        plain = {
            k: np.require(v, requirements=["C", "A"]) if isinstance(v, np.ndarray) else v
            for k, v in fields.items()
        }
        with np.errstate(all="ignore"):
            self.run_op(name, op.complete(plain))
        for k in op.outputs:
            if plain.get(k) is not fields.get(k):
                fields[k][...] = plain[k]

    def unit(self, precision: str) -> str:
        """What computes products at a precision: "float32" where they are those of float32."""
        return "float32" if precision == "float32" else "emulation"

    def run_op(self, name: str, fields: dict[str, Any]) -> None:
        """Run one op on complete, contiguous, aligned fields."""
        self.function(name)(**fields)

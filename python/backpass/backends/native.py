"""The native backend: programs of C++ kernels, one call for many steps, without the GIL."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from ..ops.contract import CHUNK, MAX_DIMS
from ..ops.expression import FUNCTIONS
from ..ops.formulas import ACTIVATIONS, POINTWISE
from ..ops.precision import PRECISIONS
from .base import Backend, Call, Executor, Inference

STATED_TWICE = {
    "activations": [(name, formula.stores_slope) for name, formula in ACTIVATIONS.items()],
    "pointwise": [*POINTWISE],
    "precisions": [*PRECISIONS],
    "functions": [(name, function.operands) for name, function in FUNCTIONS.items()],
    "chunk": CHUNK,
    "max_dims": MAX_DIMS,
}


def _check_build() -> None:
    """ImportError where the compiled module was built from other sources than this package."""
    for name, here in STATED_TWICE.items():
        compiled = getattr(_core, name, None)
        compiled = compiled() if callable(compiled) else compiled
        if compiled != here:
            raise ImportError(
                f"the compiled module says {name} is {compiled}, the package {here}: install backpass again"
            )


_check_build()


def available_isas() -> list[str]:
    """The instruction sets that this build has and this CPU runs, fastest first."""
    return _core.available_isas()


def caches() -> tuple[int, int, int]:
    """Bytes of the L1 cache, its ways, bytes of the L2 cache: those of BACKPASS_CACHES or of this CPU."""
    return _core.caches()


class NativeExecutor(Executor):
    """A program inside _core."""

    def __init__(
        self, calls: list[tuple[str, dict[str, Any]]], isa: str, halt: np.ndarray | None, unit: str
    ) -> None:
        self.program = _core.Program(calls, isa, halt, unit)

    def run(self, steps: int = 1, threads: int = 0) -> int:
        return self.program.run(steps, threads)

    def costs(self) -> list[tuple[str, float, float]]:
        """(name, floating point operations, bytes moved) of every instruction."""
        return self.program.costs()

    def profile(self, steps: int, threads: int = 0) -> list[float]:
        """Seconds that every instruction takes in so many steps; the clock itself adds some 50 ns to each."""
        return self.program.profile(steps, threads)

    def inference(self, input: np.ndarray, output: np.ndarray) -> Inference:
        return _core.Inference(self.program, input, output).run


class NativeBackend(Backend):
    """C++ kernels for one instruction set: `isa`, or the fastest that this CPU runs (BACKPASS_ISA forces one).

    unit: what multiplies at a precision below float32; "" for the fastest (BACKPASS_UNIT forces one).
    """

    pads_rows = True

    def __init__(self, isa: str = "", unit: str = "") -> None:
        self.isa: str = _core.choose_isa(isa)
        caches()  # a wrong BACKPASS_CACHES is said here, not by the first program
        self.name, self._unit = "native", unit

    def compile(self, instructions: Sequence[Call], halt: np.ndarray | None = None) -> Executor:
        return NativeExecutor([(i.op.name, i.fields) for i in instructions], self.isa, halt, self._unit)

    def run_op(self, name: str, fields: dict[str, Any]) -> None:
        _core.Program([(name, fields)], self.isa, None, self._unit).run(1, 0)

    def unit(self, precision: str) -> str:
        return _core.choose_unit(precision, self.isa, self._unit)

    def run_epochs(
        self, programs: Sequence[tuple[Executor, int]], epochs: int, seconds: float, threads: int = 0
    ) -> int:
        compiled = [(executor.program, steps) for executor, steps in programs]  # type: ignore[attr-defined]
        return _core.run_epochs(compiled, epochs, seconds, threads)

    def set_num_threads(self, n: int) -> None:
        _core.set_num_threads(n)

    def get_num_threads(self) -> int | None:
        return _core.get_num_threads()

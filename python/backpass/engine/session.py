"""Session: a network that is fed step by step, and keeps states, keys and values of the steps before."""

from typing import Any

import numpy as np

from ..backends import Executor
from ..checks import whole
from ..data import arrays
from ..ops import attention_forward
from ..program import Plan, as_given
from ..program.carried import STEPS, Carried, NotStepwise
from ..system.exclusive import computing
from .engine import Engine
from .inputs import taken
from .passes import rows_as_they_are


def attends(plan: Plan) -> bool:
    """Whether steps look at each other by attention, without those of the calls before."""
    return any(instruction.op is attention_forward for instruction in plan.forward)


def positions(engine: Engine) -> int | None:
    """The most steps for which layers have positions; None where none has any."""
    # Of the class: a network's own attributes may have any name.
    lengths = [vars(layer)["max_len"] for _, layer in engine.net.walk() if type(layer).has_positions]
    return min(lengths, default=None)


class Session:
    """A network in use along time: each call goes on where the last one ended (made by `model.session`).

    Attributes:
        batch: the sequences side by side.
        window: the most steps of a sequence; None for a network that keeps states alone.
        steps: how many steps of the window are over.
        carried: the states by name, as arrays (batch, ...), of an attention its keys and values (batch, window, heads, size);
            with a window `steps` (1,) as well.

    Shapes: `step` takes one step of each sequence, (batch,) integers or (batch, features), `read` many, (batch, T, ...).

    Example:
        >>> session = forecaster.session(batch=2)
        >>> session.step(np.zeros((2, 4))).shape
        (2, 1)
    """

    def __init__(
        self, engine: Engine, batch: int, window: int | None = None, carried: Carried | None = None
    ) -> None:
        self.engine, self.batch = engine, whole("batch", batch, 1)
        self.window = positions(engine) if window is None else whole("window", window, 1)
        self._carried = carried or Carried()
        self._plans: dict[tuple[int, ...], tuple[Plan, Executor]] = {}
        self._version = engine.version
        if len(engine.net.takes) > 1:
            raise ValueError(
                f"session: the network takes {len(engine.net.takes)} inputs, expected one: {[*engine.net.takes]}"
            )

    @property
    def carried(self) -> dict[str, np.ndarray]:
        """The states by name; writing into an array changes what goes on."""
        return self._carried.arrays

    @property
    def steps(self) -> int:
        """How many steps of the window are over; 0 without a window."""
        return int(self._carried.steps.item()) if self.window is not None else 0

    @computing
    def step(self, x: Any) -> Any:
        """The output for the next step of each sequence.

        Args:
            x: (batch,) integers, or (batch, features).

        Returns the output of this step, (batch, ...).

        Raises:
            ValueError, TypeError: x does not fit the network, or the window is full.

        Example:
            >>> session.step(np.zeros((2, 4))).shape
            (2, 1)
        """
        array = arrays.as_array("x", x)
        if array.shape[:1] != (self.batch,):
            raise ValueError(
                f"x has shape {array.shape}, expected ({self.batch}, ...), a step of each sequence"
            )
        out = self._run(array.reshape(self.batch, 1, *array.shape[1:]))
        # Of an output for each step, this one.
        return out[:, 0] if isinstance(out, np.ndarray) and out.ndim > 2 and out.shape[1] == 1 else out

    @computing
    def read(self, x: Any) -> Any:
        """The output for the next T steps of each sequence.

        Args:
            x: (batch, T) integers, or (batch, T, features).

        Returns the output, of each step if the network gives one, (batch, T, ...).

        Raises:
            ValueError, TypeError: x does not fit the network, or the window is full.

        Example:
            >>> session.read(np.zeros((2, 10, 4))).shape
            (2, 10, 1)
        """
        array = arrays.as_array("x", x)
        if array.ndim < 2 or len(array) != self.batch or not array.shape[1]:
            raise ValueError(f"x has shape {array.shape}, expected ({self.batch}, steps, ...)")
        return self._run(array)

    def reset(self, rows: Any = slice(None)) -> None:
        """Start anew: all sequences, or those that `rows` chooses; with a window all, which stand at the same step."""
        if self.window is not None and not (isinstance(rows, slice) and rows == slice(None)):
            raise ValueError(
                f"reset: rows is {rows!r:.60}, but all sequences of a session with a window are at the same step; expected"
                " reset() for all, or a session for each"
            )
        self._carried.reset(rows)

    def fork(self) -> "Session":
        """Another session that goes on from here by itself."""
        return Session(self.engine, self.batch, self.window, self._carried.copy())

    def attends(self, x: Any) -> bool:
        """Whether steps of x would look at each other, and this session has no window for them."""
        return attends(self._program(arrays.as_array("x", x))[0])

    def keeps_state(self, x: Any) -> bool:
        """Whether what comes behind x can be given step by step: all that the network knows of x is in states."""
        return not self.attends(x) and bool(self.carried.keys() - {STEPS})

    def _run(self, x: np.ndarray) -> Any:
        start, end = self.steps, self.steps + x.shape[1]
        if self.window is not None and not 0 <= start < end <= self.window:
            raise ValueError(
                f"session: x is the steps from {start} to {end - 1}, expected at most {self.window}, which is window; reset()"
                " starts anew"
            )
        plan, executor = self._program(x)
        if attends(plan) and self.window is None:
            raise ValueError(
                "session: the network attends to earlier steps and no layer says to how many; give window, the most steps"
            )
        plan.x[...] = x
        for here, table in plan.moving:
            here[...] = table[start:end]
        executor.run(1, self.engine.threads)
        if self.window is not None:
            self._carried.steps[0] = end
        return as_given(plan.out.copy())

    def _program(self, x: np.ndarray) -> tuple[Plan, Executor]:
        """The plan for x, which fits it."""
        engine = self.engine
        engine.refresh()
        if engine.version != self._version:
            self._plans.clear()
            self._carried.window = None
            self._version = engine.version
        known = self._plans.get(x.shape)
        if known is None or not self._fits(known[0], x):
            inputs = taken(engine, x, rows_as_they_are)
            known = self._plans.get(x.shape) or self._compiled(
                inputs.specs(self.batch, engine.dtype), x.shape
            )
        return known

    @staticmethod
    def _fits(plan: Plan, x: np.ndarray) -> bool:
        """Whether there is nothing to say against x; where there might be, `taken` looks."""
        if plan.computes_indices:
            return False
        if plan.x.dtype.kind == "f":
            return x.dtype.kind in "fiu"
        if x.dtype.kind not in "iu" or not plan.limits:
            return False
        limits = next(iter(plan.limits.values()))
        if x.size == 1:  # most often, and ten times as fast
            return bool(0 <= x.item() < limits.item())
        return bool((x >= 0).all() and (x < limits).all())

    def _compiled(self, specs: Any, shape: tuple[int, ...]) -> tuple[Plan, Executor]:
        engine = self.engine
        if self.window is not None and self._carried.window is None:
            try:
                self._carried.window = engine.plans.stepwise(specs, self.window)
            except NotStepwise as error:
                raise NotStepwise(f"session: {error}") from None
        plan = engine.plans.build(specs, self._carried)
        self._plans[shape] = plan, engine.backend.compile(plan.forward)
        return self._plans[shape]

    def __repr__(self) -> str:
        return f"Session of {self.batch} sequences, which carries {sorted(self.carried) or 'nothing yet'}"

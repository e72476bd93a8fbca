"""GradientMonitor: per-layer gradients, updates and idle units while a network trains, and a verdict in words."""

import math
import os
import time
from copy import deepcopy
from typing import Any

import numpy as np

from ..backends import Executor
from ..checks import is_name
from ..diagnostics.health import Records, judge, report
from ..diagnostics.through_time import ThroughTime
from ..engine.run import Run
from ..ops import dead_units, part_norms, saturated_units
from ..ops.formulas import ACTIVATIONS
from ..program import Instruction, Plan, address, call, parts_of
from ..system.memory import aligned
from .base import Callback, Logs
from .checkpoint import EVERY

# Share of the time of training that "auto" spends.
BUDGET = 0.01
# Seconds that "auto" spends in any case: a short run has samples, too.
FREE = 0.001
# Seconds that a return to Python costs besides.
SLICE = 2e-5
# Steps between two samples of "auto".
LEAST = 10
# A ReLU is dead if it gave 0 for every row of this many batches.
WINDOW = 5
# A unit is saturated where its slope is below this share of the largest.
FLAT = 0.05
# Of |y| where the slope 1 - y² of a tanh is FLAT.
REACH = math.sqrt(1 - FLAT)


class Units:
    """The activations of a plan's network that can die or saturate, and the share of idle units of each."""

    def __init__(self, plan: Plan | None, sample: np.ndarray) -> None:
        # The layers that compute them, in the order of the forward pass, and how each can be idle: "dead" or "saturated".
        self.layers: list[str] = []
        self.kinds: list[str] = []
        outputs: list[tuple[str, np.ndarray]] = []
        for instruction in plan.forward if plan else ():
            activation, y = instruction.fields.get("activation"), instruction.fields.get("y")
            kind = ACTIVATIONS[activation].idle if activation else ""
            if not kind or activation is None or y is None or plan is None:
                continue
            # An output may well be sure of itself.
            if kind == "saturated" and address(y) in map(address, parts_of(plan.out)):
                continue
            outputs.append((activation, y))
            self.layers.append(instruction.layer)
            self.kinds.append(kind)
        self.shares = np.zeros(len(outputs))
        self.instructions: list[Instruction] = []
        for number, (activation, y) in enumerate(outputs):
            share = self.shares[number : number + 1]
            low, high = ACTIVATIONS[activation].range
            if self.kinds[number] == "dead":
                fired = np.full(y.shape[-1], sample[0] - 1)
                self.instructions.append(
                    call(dead_units, y=y, sample=sample, fired=fired, share=share, window=WINDOW)
                )
            else:
                centre, reach = (low + high) / 2, (high - low) / 2 * REACH
                self.instructions.append(call(saturated_units, y=y, share=share, centre=centre, reach=reach))


def ratio(update: float, weights: float) -> float:
    """update / weights; 0 where nothing changed."""
    return update / weights if weights else 0.0 if not update else math.inf


def records_of(run: Run | None) -> Records:
    """What the GradientMonitor of a run recorded."""
    states = run.as_it_stands(False).states if run else []
    recorded = [state for name, state in states if name == "GradientMonitor" and state]
    if not recorded:
        raise ValueError(
            "no gradients were recorded: train with callbacks=[bp.GradientMonitor()] before plot_gradients()"
        )
    return Records(**recorded[0])


class GradientMonitor(Callback):
    """Health of a run: `verdict()` in a few words, `report()` with a table and advice, `plot()` (guide: docs/guides/health.md).

    Measured are, for each layer with weights, the norm of the gradient (before clipping) and that of one step's update over that
    of the weights; for each ReLU the share of dead units (0 for every row of the last 5 batches measured), for each sigmoid and
    tanh that of saturated outputs (slope below 5 % of the largest; not where they are the network's output). All of it is read
    from the buffers that a step leaves behind. Of recurrent layers the share of a gradient at the last step that reaches the
    first one is measured by a backward pass of its own, through the states of the last batch. A resumed run goes on with what
    was recorded.

    The last batch of an epoch is passed over if it is smaller than the others: the step before it counts.

    Args:
        every: "auto" (default): as often as about 1 % of the time of training pays for, and at least 10 steps apart; "50 steps"
            or "1 epoch" (any number of them): always there, at whatever cost. The first step is measured, too.

    Raises:
        ValueError: another word for every.

    Example:
        >>> monitor = bp.GradientMonitor()
        >>> model.fit(X, y, epochs=2, callbacks=[monitor]) and monitor.verdict()
        'healthy'
    """

    def __init__(self, every: str = "auto") -> None:
        match = EVERY.fullmatch(every) if isinstance(every, str) else None
        unit = match[2].rstrip("s") if match else ""
        number = float(match[1]) if match else 0.0
        whole = unit in ("step", "epoch") and number >= 1 and number.is_integer()
        if not whole and not is_name(every, ("auto",)):
            raise ValueError(
                f"GradientMonitor: every is {every!r}, expected 'auto', or such as '50 steps' or '1 epoch'"
            )
        self.every = every
        self._number, self._epochs = int(number), unit == "epoch"
        self.records = Records()

    # -- what was found ---------------------------------------------------------------------------------------------

    def verdict(self) -> str:
        """In words: "healthy", or what is wrong and where: "vanishing at layer 2 (...)", "exploding from step 310: ..."."""
        return str(judge(self._measured()))

    def report(self) -> str:
        """The verdict, what to do about it, and a table of all layers as they were last."""
        return report(self._measured())

    @property
    def history(self) -> dict[str, Any]:
        """Lists over the samples: "step"; "gradient_norm", "update_ratio", "dead" and "saturated" by layer."""
        r = self.records
        samples: dict[str, Any] = {
            "step": [*r.steps],
            "gradient_norm": {},
            "update_ratio": {},
            "dead": {},
            "saturated": {},
        }
        for column, layer in enumerate(r.layers):
            samples["gradient_norm"][layer] = [row[column] for row in r.norms]
            samples["update_ratio"][layer] = [row[column] for row in r.updates]
        for column, (layer, kind) in enumerate(zip(r.activations, r.kinds, strict=True)):
            samples[kind][layer] = [row[column] for row in r.idle]
        return samples

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The norm of each layer's gradient over the steps; returns the figure. path: see `model.plot_gradients`."""
        from ..drawing.curves import gradient_norms

        return gradient_norms(vars(self._measured()), path)

    def _measured(self) -> Records:
        if not self.records.steps:
            raise RuntimeError("GradientMonitor: nothing was measured yet; train with it among the callbacks")
        if not self.records.layers:
            raise RuntimeError("GradientMonitor: the network has no weights, so there are no gradients")
        return self.records

    # -- when -------------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs) -> None:
        flat = self.model.engine.flat
        self.records = Records()
        ends: list[int] = []  # the parameters of a layer lie together, layer after layer
        for name, layer in self.model.engine.net.walk():
            numbers = [p.number for p in layer.learned.values() if p.number is not None]
            if numbers and flat.offsets[numbers[-1]] >= max(ends, default=0):  # else it was there before
                ends.append(flat.offsets[numbers[-1]] + math.prod(flat.shapes[numbers[-1]]))
                self.records.layers.append(name)
                self.records.shown.append(repr(layer))
                self.records.sizes.append(sum(math.prod(flat.shapes[n]) for n in numbers))
        self._ends = np.array(ends, np.int64)
        self._norms, self._updates, self._weights = (np.zeros(len(ends)) for _ in range(3))
        self._forget()
        self._before = aligned(flat.params.shape, flat.dtype)
        self._at = -1  # the step count at which _before was copied
        self._sample = np.zeros(1, np.int64)
        self._rest = self.params["rows"] % self.params["batch_size"]
        self._first, self._began, self._spent = self._count(), time.perf_counter(), 0.0
        self._next = self._first + 1
        self._remember()

    def pace(self) -> int:
        return max(self._next - 1 - self._count(), 1)

    def on_slice_end(self, step: int, logs: Logs) -> None:
        now = self._count()
        if now < self._next - 1:
            return
        began = time.perf_counter()
        plan = self.model.engine.plans.trained
        if self._rest and plan is not None and len(plan.x) == self._rest:
            self._next = now + 1
        elif self._at == now - 1 and now >= self._next:
            self._record(now)
            self._next = self._following(now)
        if now >= self._next - 1:
            self._remember()
        self._spent += time.perf_counter() - began + SLICE

    def on_train_end(self, logs: Logs) -> None:
        run, plan = self.model.engine.last_run, self.model.engine.plans.trained
        if run is not None and run.broken and plan is not None:
            norm_of_all = self.model.engine.optimizer_state["norm"][0]
            if not np.isfinite([norm_of_all, plan.loss[0], self.model.engine.flat.params.sum()]).all():
                self._record(self._count())
                self.records.norms[-1] = [math.inf] * len(self._ends)
        self._forget()  # a finished run keeps no copy of the weights, and no buffers

    def _following(self, now: int) -> int:
        if self.every == "auto":
            elapsed = time.perf_counter() - self._began
            wait = ((self._spent - FREE) / BUDGET - elapsed) / (elapsed / (now - self._first))
            return now + max(LEAST, math.ceil(wait))
        interval = self._number * (self.params["steps"] if self._epochs else 1)
        step = (now // interval + 1) * interval
        while self._rest and step % self.params["steps"] == 0:
            if step - 1 > now:
                return step - 1
            step += interval
        return step

    def _count(self) -> int:
        return int(self.model.engine.step_count[0])

    # -- what -------------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._before = np.empty(0)
        self._plan: Plan | None = None  # what _units and _program are for
        self._program: Executor | None = None
        self._units: Units | None = None
        self._through: ThroughTime | None = None

    def _remember(self) -> None:
        np.copyto(self._before, self.model.engine.flat.params)
        self._at = self._count()

    def _record(self, now: int) -> None:
        records, plan = self.records, self.model.engine.plans.trained
        if self._program is None or self._units is None or plan is not self._plan:
            self._units, self._plan = Units(plan, self._sample), plan
            self._through = ThroughTime(plan)
            self._program = self._compiled(self._units, self._through)
        self.model.engine.fill_tables()
        self._program.run(1, self.model.engine.threads)
        records.norms.append(self._norms.tolist())
        updates = map(ratio, self._updates.tolist(), self._weights.tolist())
        records.updates.append([*updates] if self._at == now - 1 else [math.nan] * len(self._ends))
        records.idle.append(self._units.shares.tolist())
        records.activations, records.kinds = self._units.layers, self._units.kinds
        assert self._through is not None
        records.reach.append(self._through.reach())
        records.recurrent, records.spans = self._through.layers, self._through.spans
        records.from_the_end = self._through.from_the_end
        records.steps.append(now)
        self._sample += 1

    def _compiled(self, units: Units, through: ThroughTime) -> Executor:
        """The program that measures the step that was made last."""
        flat = self.model.engine.flat
        parts: list[tuple[np.ndarray, np.ndarray | None, np.ndarray]] = [
            (flat.grads, None, self._norms),
            (flat.params, self._before, self._updates),
            (flat.params, None, self._weights),
        ]
        norms = [call(part_norms, flat=f, before=b, ends=self._ends, norms=n) for f, b, n in parts]
        executor: Executor = self.model.engine.backend.compile(
            [*norms, *units.instructions, *through.instructions]
        )
        return executor

    # -- going on ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The records; `model.plot_gradients` reads them, too."""
        return {**vars(self.records)} if self.records.steps and self.records.layers else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if list(state["layers"]) != self.records.layers:
            raise ValueError(
                f"GradientMonitor: the layers are {self.records.layers}, but were {state['layers']}"
            )
        self.records = Records(**deepcopy(state))
        if self.every != "auto":
            self._next = self._following(self._count())

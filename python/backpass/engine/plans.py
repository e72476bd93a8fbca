"""PlanCache: the plans of a model and their executors, made when first asked for, then kept."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..backends import Backend, Executor, Inference
from ..losses import Loss
from ..nn import Module
from ..program import (
    InputSpec,
    Plan,
    Spec,
    build_plan,
    index_inputs,
    indices_of,
    on_each,
    outputs_along,
    parts_of,
    steps_along,
)
from ..program.carried import Carried, Window
from ..program.computed_indices import ComputedIndices
from ..program.plan import BackwardPlan, OwnLossPlan, Target, TrainingPlan
from .advice import unused_parameters

T = TypeVar("T")
NOT_FITTING = "X does not fit the network: "
# Plans that are kept; from FEWEST on only as long as their buffers fit into MOST_BYTES.
MOST, FEWEST = 256, 16
MOST_BYTES = 1 << 28
# Buffers of a plan of `predict` that grow with its rows.
PASS_BYTES = 1 << 26


class PlanCache:
    """Plans by what they are for, executors by plan and name. All share the parameters of one network."""

    def __init__(
        self,
        net: Module,
        loss: Loss | None,
        backend: Backend,
        dtype: np.dtype[Any],
        seed: int,
        step: np.ndarray,
        precision: str,
    ) -> None:
        self.net, self.loss, self.backend = net, loss, backend
        self.dtype, self.seed, self.step = dtype, seed, step
        self.precision = precision
        # Whether batches of training are parts of batches that ranks share.
        self.shared = False
        # The oldest first.
        self.plans: dict[Spec, Plan] = {}
        # Of the buffers of all plans.
        self.bytes = 0
        # The plan whose buffers hold the last training step.
        self.trained: BackwardPlan | None = None
        # The inputs of the last pass.
        self.used: tuple[InputSpec, ...] | None = None
        # Of batches that were one array, by its shape, and of the last pass if it was one: the fastest way from predict to the
        # program.
        self.inferring: dict[Any, tuple[Inference, tuple[InputSpec, ...]]] = {}
        self.last_inference: Inference = fits_nothing
        # What `update` runs, with the loss (1,) that its guard looks at, and the plan of the pass if that matters.
        self.updating: tuple[Executor, np.ndarray, Plan | None] | None = None
        layers = [layer for _, layer in net.walk()]
        self.whole_batch = any(layer.whole_batch for layer in layers)
        # Rows for which the network is tried: several where code of users may treat a single one in another way.
        self.few = 3 if any(layer.has_forward for layer in layers) else 1
        self._outputs: dict[tuple[InputSpec, ...], Any] = {}
        # Inputs of which indices are computed, and what computes these for so many rows.
        self._computing: set[tuple[InputSpec, ...]] = set()
        self._checks: dict[tuple[InputSpec, ...], tuple[Executor, ComputedIndices]] = {}
        self._limits: dict[tuple[InputSpec, ...], dict[str, np.ndarray]] = {}
        self._indexed: dict[tuple[InputSpec, ...], set[str]] = {}
        self._along: dict[tuple[InputSpec, ...], Any] = {}
        self._outputs_along: dict[tuple[InputSpec, ...], Any] = {}
        self._row_bytes: dict[tuple[InputSpec, ...], int] = {}
        # The network over whole windows of sessions.
        self._windows: dict[tuple[InputSpec, ...], Window] = {}
        # What goes on from batch to batch in an evaluation, by the rows of a batch.
        self._carried: dict[int, Carried] = {}
        # Inputs of a few rows for which forward is known to repeat, and whether in training.
        self._repeats: set[tuple[tuple[InputSpec, ...], bool]] = set()

    def run_on(self, backend: Backend) -> None:
        """Compile for this backend from now on."""
        self.backend = backend
        self._row_bytes.clear()
        self.recompile()

    def recompile(self) -> None:
        """Forget all executors, but not the plans."""
        self.updating = None
        self._checks.clear()
        self._forget_inferences()
        for plan in self.plans.values():
            plan.compiled.clear()

    def clear(self) -> None:
        """Forget plans and executors: a layer or the loss has changed."""
        self.plans.clear()
        self.bytes = 0
        self._forget_inferences()
        self._outputs.clear()
        self._limits.clear()
        self._computing.clear()
        self._checks.clear()
        self._indexed.clear()
        self._along.clear()
        self._outputs_along.clear()
        self._row_bytes.clear()
        self._windows.clear()
        self._repeats.clear()
        self._carried.clear()

    def release(self) -> None:
        """Give back the memory of all plans: the next pass makes new ones."""
        self.clear()
        self.trained = self.updating = None

    def _forget_inferences(self) -> None:
        self.inferring.clear()
        self.last_inference = fits_nothing

    def training(
        self,
        inputs: tuple[InputSpec, ...],
        target: Target,
        weight: tuple[int, ...] | None = None,
        carried: Carried | None = None,
    ) -> TrainingPlan:
        """Forward pass, loss and backward pass for one shape of batch.

        target: its shape without the batch, and dtype; weight: the shape of the weights of one row, where there are some.
        """
        plan = self._plan(inputs, target, weight, carried=carried)
        assert isinstance(plan, TrainingPlan)
        return plan

    def own_loss(self, inputs: tuple[InputSpec, ...]) -> OwnLossPlan:
        """Forward and backward pass for one shape of batch, around a loss that is computed outside."""
        self.output_shape(inputs)  # says so if it does not fit
        plan = self._plan(inputs, own_loss=True)
        assert isinstance(plan, OwnLossPlan)
        return plan

    def inference(self, inputs: tuple[InputSpec, ...], carried: Carried | None = None) -> Plan:
        """The forward pass for one shape of batch."""
        return self._plan(inputs, carried=carried)

    def carried(self, rows: int) -> Carried:
        """What goes on from batch to batch of so many rows in an evaluation."""
        return self._carried.setdefault(rows, Carried())

    def build(self, inputs: tuple[InputSpec, ...], carried: Carried) -> Plan:
        """The forward pass for one shape of batch, of which nobody else knows."""
        spec = Spec(inputs, padded=self.backend.pads_rows, carried=carried, precision=self.precision)
        return build_plan(self.net, self.loss, self.dtype, self.seed, self.step, spec)

    def stepwise(self, inputs: tuple[InputSpec, ...], steps: int) -> Window:
        """The network over so many steps, computed a few at a time; ValueError where a step needs more than states keep."""
        from ..program.stepwise import Stepwise, of_steps  # here: `import backpass` is to be quick

        whole = of_steps(inputs, steps)
        if whole not in self._windows:
            if len(self._windows) > MOST:
                self._windows.clear()
            self._windows[whole] = Stepwise(self.net, self.dtype, whole, steps)
        return self._windows[whole]

    def infer(self, inputs: tuple[InputSpec, ...]) -> tuple[Executor, Plan]:
        """The forward pass for one shape of batch, compiled; `inferring` then knows the shape, if the batch is one array."""
        plan = self.inference(inputs)
        executor = self.executor(plan, "forward", lambda: self.backend.compile(plan.forward))
        first = inputs[0]
        plain = len(inputs) == 1 and first.dtype == self.dtype and not first.channels_last
        plain &= not plan.computes_indices  # they are checked first
        if plain and isinstance(plan.out, np.ndarray):
            self.inferring[first.shape] = executor.inference(plan.x, plan.out), inputs
        return executor, plan

    def infer_known(self, x: Any, threads: int) -> np.ndarray | None:
        """The output for a batch that is one array like one before; None for any other."""
        known = self.inferring.get(getattr(x, "shape", None))
        if known is None:
            return None
        inference, inputs = known
        out = inference(x, threads)
        if out is not None:
            self.last_inference, self.used = inference, inputs
        return out

    def used_inputs(self) -> list[tuple[InputSpec, ...]]:
        """The inputs of the last pass, and what the first layer expects: none, one or both."""
        inputs = [] if self.used is None else [self.used]
        row = self.net.row_shape
        if row is not None and len(self.net.takes) == 1:
            inputs.append((InputSpec(next(iter(self.net.takes)), (1, *row), self.dtype),))
        return inputs

    def executor(self, plan: Plan, name: str, make: Callable[[], T]) -> T:
        """What was compiled of a plan: kept with it, and forgotten with it."""
        if name not in plan.compiled:
            plan.compiled[name] = make()
        compiled: T = plan.compiled[name]
        return compiled

    def output_shape(self, inputs: tuple[InputSpec, ...]) -> Any:
        """The shape of one row of the output, or of each of Several; ValueError where the inputs do not fit the network."""
        if inputs not in self._outputs:
            try:
                plan = self._trial(inputs)
                shape = on_each(self._row_shape, plan.out)
            except ValueError as error:
                raise ValueError(f"{NOT_FITTING}{error}") from None
            if len(self._outputs) > MOST:
                self._outputs.clear()
                self._limits.clear()
                self._computing.clear()
                self._checks.clear()
            if plan.limits:
                self._limits[inputs] = plan.limits
            if plan.computes_indices:
                self._computing.add(inputs)
            self._outputs[inputs] = shape
        return self._outputs[inputs]

    def indexed(self, inputs: tuple[InputSpec, ...], columns: bool) -> set[str]:
        """The inputs of integers by which the network chooses; columns: whether numbers are (N, 1) and indices (N,)."""
        if not any(spec.dtype == np.int64 for spec in inputs):
            return set()
        few = of_rows(inputs, self.few)
        if few not in self._indexed:
            names: set[str] = set()
            while True:
                trial = tuple(
                    s._replace(shape=s.shape[:1]) if columns and s.name in names else s for s in few
                )
                # An input that comes after the first use of a wrong shape is found next time.
                found = index_inputs(self.net, self.dtype, trial)
                if found <= names:
                    break
                names |= found
            self._indexed[few] = names
        return self._indexed[few]

    def along(self, inputs: tuple[InputSpec, ...]) -> Any:
        """For each output the dimension along which the steps of rows with lengths lie: `Tensor.along`."""
        few = of_rows(inputs, self.few)
        if few not in self._along:
            self._along[few] = steps_along(self.net, self.dtype, few)
        return self._along[few]

    def outputs_along(self, inputs: tuple[InputSpec, ...]) -> Any:
        """For each output the dimension that holds its outputs, such as channels; 0 where that is not known."""
        shapes = self.output_shape(inputs)
        if all(len(shape) == 1 for shape in parts_of(shapes)):  # most often, and quick
            return on_each(len, shapes)
        few = of_rows(inputs, self.few)
        if few not in self._outputs_along:
            self._outputs_along[few] = outputs_along(self.net, self.dtype, few)
        return self._outputs_along[few]

    def limits(self, inputs: tuple[InputSpec, ...]) -> dict[str, np.ndarray]:
        """Of inputs with indices below which number each has to be: one for each element of a row."""
        self.output_shape(inputs)
        return self._limits.get(inputs, {})

    def index_check(
        self, inputs: tuple[InputSpec, ...], rows: int
    ) -> tuple[Executor, ComputedIndices] | None:
        """What computes the indices of so many rows that are no inputs themselves; None where there are none."""
        if inputs not in self._computing:
            return None
        specs = of_rows(inputs, rows)
        if specs not in self._checks:
            found = indices_of(self.net, self.dtype, specs)
            self._checks[specs] = self.backend.compile(found.calls), found
        return self._checks[specs]

    def rows_a_pass(self, inputs: tuple[InputSpec, ...], most: int) -> int:
        """How many rows `predict` takes at once: `most`, or the power of two whose buffers fit into PASS_BYTES."""
        if inputs not in self._row_bytes:
            if len(self._row_bytes) > MOST:
                self._row_bytes.clear()
            self._row_bytes[inputs] = self._bytes_of_row(inputs, most)
        fitting = PASS_BYTES // self._row_bytes[inputs]
        return min(most, 1 << max(fitting.bit_length() - 1, 0))

    def _bytes_of_row(self, inputs: tuple[InputSpec, ...], most: int) -> int:
        """By how many bytes a plan grows with each row; more than that where `most` rows fit all the same."""
        # A trial uses no memory twice, so that it tells the most that a plan needs.
        size = self._trial(inputs).bytes
        if size * most > PASS_BYTES * self.few:
            # Without what does not grow, such as a transposed weight.
            one, two = (self.inference(of_rows(inputs, rows * self.few)).bytes for rows in (1, 2))
            size = two - one
        return max(1, -(-size // self.few))

    def _trial(self, inputs: tuple[InputSpec, ...]) -> Plan:
        """The forward pass for a few rows, as it was emitted: it tells all but how fast it is."""
        return self._plan(of_rows(inputs, self.few), as_emitted=True)

    def _row_shape(self, out: np.ndarray) -> tuple[int, ...]:
        if out.shape[:1] != (self.few,):
            raise ValueError(f"its output has shape {out.shape} for {self.few} rows")
        return out.shape[1:]

    def _plan(
        self,
        inputs: tuple[InputSpec, ...],
        target: Target = None,
        weight: tuple[int, ...] | None = None,
        own_loss: bool = False,
        carried: Carried | None = None,
        as_emitted: bool = False,
    ) -> Plan:
        self.used, self.last_inference = inputs, fits_nothing
        spec = Spec(
            inputs,
            target,
            weight,
            own_loss,
            self.backend.pads_rows,
            carried,
            as_emitted,
            precision=self.precision,
            shared=self.shared,
        )
        if spec not in self.plans:
            checked = of_rows(inputs, self.few), spec.training
            again = self.few > 1 and checked not in self._repeats
            if again and carried is not None:
                # A second program would find the states that the first one has left.
                alone = Spec(inputs, own_loss=spec.training, precision=self.precision, as_emitted=True)
                build_plan(self.net, None, self.dtype, self.seed, self.step, alone, again)
                again = False
            plan = build_plan(self.net, self.loss, self.dtype, self.seed, self.step, spec, again)
            if self.few > 1:
                self._repeats.add(checked)
            self.plans[spec] = plan
            self.whole_batch |= plan.whole_batch
            if isinstance(plan, BackwardPlan) and self.few > 1:
                unused_parameters(self.net, plan)
            self.bytes += plan.bytes
            self._forget()
        return self.plans[spec]

    def _forget(self) -> None:
        """Drop the oldest plans, where there are too many: ever new shapes must not fill the memory."""
        while len(self.plans) > MOST or (len(self.plans) > FEWEST and self.bytes > MOST_BYTES):
            spec = next(iter(self.plans))
            self.bytes -= self.plans.pop(spec).bytes
            if not spec.training and len(spec.inputs) == 1:
                self.inferring.pop(spec.inputs[0].shape, None)
                self.last_inference = fits_nothing


def of_rows(inputs: tuple[InputSpec, ...], rows: int) -> tuple[InputSpec, ...]:
    """The same inputs for batches of so many rows."""
    return tuple(spec._replace(shape=(rows, *spec.shape[1:])) for spec in inputs)


def fits_nothing(x: Any, threads: int) -> None:
    """In the place of an Inference: no batch was one array yet."""

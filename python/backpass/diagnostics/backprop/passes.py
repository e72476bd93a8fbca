"""One step of a model on a copy of it: forward pass, loss and backward pass with every buffer kept, then the update."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data import arrays
from ...data.inputs import with_targets
from ...data.sparse import SparseRows
from ...data.targets import target_of
from ...engine import weights
from ...engine.engine import Engine, HasEngine
from ...engine.inputs import checked_data
from ...engine.nonfinite import raise_non_finite
from ...engine.own_loss import call_transformed
from ...engine.step import loss_and_gradients, update
from ...program import OwnLossPlan, Spec, TrainingPlan, build_plan, on_each
from ...program.build import UNREAD
from .recorder import Recorder


@dataclass(eq=False)
class Passes:
    """A forward and a backward pass that have run: the copy of the engine, its recorder, the plan with all buffers."""

    engine: Engine
    recorder: Recorder
    plan: TrainingPlan | OwnLossPlan
    # As the loss takes it.
    target: Any

    def gradients(self) -> dict[str, np.ndarray]:
        """Copies of the gradients of the parameters by name; 0 of those that are frozen or not used."""
        net = self.engine.net
        return {
            name: np.array(layer.view(key, gradient=True), order="C")
            for name, layer, key in weights.learned(net)
        }

    def parameters(self) -> dict[str, np.ndarray]:
        """Copies of the parameters by name."""
        return {name: np.array(view, order="C") for name, view in self._views().items()}

    def update(self) -> dict[str, np.ndarray]:
        """By name what the optimizer takes off each parameter, by its own instructions."""
        engine, plan, before = self.engine, self.plan, self.parameters()
        ending = update(engine, plan.loss, engine.counters(), plan=plan, kept=plan.kept, count=plan.count)
        if engine.backend.compile(ending, engine.halt).run(1, engine.threads) < 1:
            raise_non_finite(engine, plan)
        return {name: before[name] - after for name, after in self._views().items()}

    def _views(self) -> dict[str, np.ndarray]:
        return {name: layer.view(key) for name, layer, key in weights.learned(self.engine.net)}


def run_passes(model: HasEngine, x: Any, y: Any, lengths: Any) -> Passes:
    """The passes of one training step of a model on one batch; the model stays as it is."""
    engine = copy(model.engine)  # which copies all that a step changes
    engine.use_backend(model.engine.backend)
    x, y = with_targets(x, y, lengths, engine.net)
    inputs, target, _ = checked_data(engine, x, y, None, take=arrays.features)
    if inputs.streams:
        raise TypeError("x are Streams, expected the rows of one batch")
    if any(isinstance(source, SparseRows) for source in inputs.sources.values()):
        raise TypeError("x is a sparse matrix, expected a dense batch: x.toarray()")
    own = engine.loss_function is not None
    spec = Spec(
        inputs.specs(inputs.rows, engine.dtype), None if own else target_of(target), own_loss=own, as_emitted=True,
        precision=engine.precision,
    )  # fmt: skip
    recorder = Recorder(engine.net)
    plan = build_plan(recorder, engine.builtin_loss, engine.dtype, engine.seed, engine.step_count, spec)
    assert isinstance(plan, TrainingPlan | OwnLossPlan)
    for name, array in inputs.batch(slice(None)).items():
        plan.inputs[name][...] = array
    engine.plans.trained = plan
    if isinstance(plan, OwnLossPlan):
        _run_own_loss(engine, plan, target)
    else:
        _run(engine, plan, target)
    for table in plan.tables:
        table.fill()
    return Passes(engine, recorder, plan, target)


def _run(engine: Engine, plan: TrainingPlan, target: Any) -> None:
    plan.target[...] = target
    engine.backend.compile(loss_and_gradients(plan)).run(1, engine.threads)


def _run_own_loss(engine: Engine, plan: OwnLossPlan, target: Any) -> None:
    if plan.lengths_unread:
        raise ValueError(f"{UNREAD}, and a loss that is a callable does not get it: give it to that in y")
    engine.backend.compile(plan.forward).run(1, engine.threads)
    value, gradient = call_transformed(engine, plan, plan.out.copy(), target)
    plan.loss[0] = value
    plan.dout[...] = on_each(lambda dout: arrays.quiet_cast(dout, engine.dtype), gradient)
    engine.backend.compile(plan.backward).run(1, engine.threads)

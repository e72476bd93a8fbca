"""L2 decay of some parameters alone: what scikit-learn calls alpha, which leaves biases out; and moments that go along."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from ..model import Model


class Progress(NamedTuple):
    """What an optimizer goes on with: its moments, its count of steps, the learning rate."""

    moments: Mapping[str, np.ndarray]
    steps: int
    lr: float

    @classmethod
    def of(cls, model: Model) -> "Progress":
        """Where a model's optimizer stands."""
        engine = model.engine
        moments = {slot: engine.optimizer_state[slot] for slot in model.optimizer.slots}
        return cls(moments, int(engine.optimizer_step[0]), model.lr)

    def give(self, model: Model) -> None:
        """Let a model of a like optimizer go on from here."""
        for slot, array in self.moments.items():
            model.engine.optimizer_state[slot][...] = array
        model.engine.optimizer_step[0] = self.steps
        if model.optimizer.schedule is None and self.lr:
            model.lr = self.lr


def penalise(model: Model, names: Collection[str], weight_decay: float) -> None:
    """Let these parameters decay alone; all that training goes on from stays."""
    progress, old = Progress.of(model), model.optimizer
    others = [name for name, _ in model.named_parameters() if name not in names]
    decay = weight_decay + old.settings["weight_decay"]
    groups = [{"params": [*names], "weight_decay": decay}, {"params": others}]
    model.optimizer = type(old)(groups, **old.settings)  # of groups, in the place of lr
    progress.give(model)

"""Start: what a model begins with, so that one model can train again and again, and its plans are made once."""

from copy import deepcopy

from ..engine import weights
from ..model import Model


class Start:
    """A copy of a model, and all that training changes in it."""

    def __init__(self, model: Model) -> None:
        self.model = deepcopy(model)
        engine = self.model.engine
        self._version = engine.version
        self._kept = [(view, view.copy()) for _, view in weights.views(engine.net)]
        self._kept += [(array, array.copy()) for array in engine.optimizer_state.values()]
        self._kept.append((engine.step_counts, engine.step_counts.copy()))
        self._epoch = engine.epoch

    def again(self) -> bool:
        """Put the model back to where it began; False where a callback has changed settings of it, and it cannot."""
        engine = self.model.engine
        engine.refresh()
        if engine.version != self._version:
            return False
        for array, value in self._kept:
            array[...] = value
        engine.halt[0], engine.epoch, engine.last_run = 0, self._epoch, None
        return True

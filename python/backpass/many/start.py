"""Start: what a model begins with, so that one model can train again and again, and its plans are made once."""

from collections.abc import Callable
from copy import deepcopy
from threading import local

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


class Beginnings(local):
    """The model that many works begin with: each thread has a copy that begins again and again.

    make: gives the model, whenever a thread needs a copy.
    """

    def __init__(self, make: Callable[[], Model]) -> None:
        self.make = make
        self.start: Start | None = None

    def model(self) -> Model:
        """The model of this thread, as it begins."""
        if self.start is None or not self.start.again():
            self.start = Start(self.make())
        return self.start.model

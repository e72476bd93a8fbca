"""Work: the training of one model, as one worker does it; and what came of it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..engine.history import History
from ..errors import NonFiniteError
from ..model import Model
from .directory import Directory
from .judged import Judged


class Work(NamedTuple):
    """One model and what its `fit` is given. data: makes X, y and all that goes with their rows, when the work begins."""

    number: int
    model: Model
    data: Callable[[], dict[str, Any]]
    options: dict[str, Any]

    def put_away(self) -> None:
        """Give back the memory that only training needs: what runs is the bound."""
        self.model.engine.fill_tables()
        self.model.engine.plans.release()


class Outcome(NamedTuple):
    """What came of a work: the history, or the error that ended it; kept: of callbacks, the epoch whose weights stand."""

    number: int
    history: History
    error: Exception | None
    kept: int | None

    def score(self, epochs: int, judged: Judged) -> float:
        """What the best of so many epochs is judged by: less is better, infinity where there is none, or an error."""
        return math.inf if self.error else judged.score(self.history.history.get(judged.monitor, [])[:epochs])


def prepared(number: int, make: Callable[[], Work]) -> Work | Outcome:
    """A work; or the outcome that says why there is none, of what users' functions raise as it is made."""
    try:
        return make()
    except Exception as error:
        return Outcome(number, History(), error, None)


def judgeable(made: Work | Outcome, judged: Judged, validated: bool, first: bool) -> Work | Outcome:
    """A work whose model logs what judges it; or the outcome that says why not. Of the first an error ends the call.

    What the first does not log is misspelt, most often, and nothing has been trained. validated: as in `Judged.check`.
    """

    def checked(work: Work) -> Work:
        judged.check(work.model, work.options["callbacks"], validated)
        return work

    if isinstance(made, Outcome):
        return made
    return checked(made) if first else prepared(made.number, partial(checked, made))


def do(work: Work, leave: Callable[[], bool], directory: Directory | None = None) -> Outcome:
    """Train a model in one thread. An error ends this model alone. leave: asked every 50 ms; True ends the run there."""
    model, options = work.model, dict(work.options)
    engine = model.engine
    history, before = History(), engine.last_run
    error: Exception | None = None
    threads, engine.threads, engine.leave = engine.threads, 1, leave
    try:
        if directory is not None:
            options |= directory.going_on(work.number, model, options["callbacks"])
        history = model.fit(**work.data(), **options)
        if engine.last_run and engine.last_run.broken:
            error = NonFiniteError(
                "TerminateOnNaN ended the run: a loss, gradient or weight is not finite",
                int(engine.step_count[0]),
                "",
            )
    except Exception as caught:
        error = caught
        if engine.last_run and engine.last_run is not before:
            history = engine.last_run.history
    finally:
        engine.threads, engine.leave = threads, None
    return Outcome(work.number, history, error, kept_epoch(options["callbacks"], history))


def kept_epoch(callbacks: Any, history: History) -> int | None:
    """The epoch whose weights a callback such as EarlyStopping brought back, as a place in the history; None: the last."""
    for callback in reversed(callbacks):
        if getattr(callback, "restore_best", False) and getattr(callback, "best_state", None) is not None:
            values = history.history.get(callback.monitor, [])
            return values.index(callback.best) if callback.best in values else None
    return None

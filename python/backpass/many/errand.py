"""Errand: what a worker of a cluster is sent to train one model, and what it sends back."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from ..model import Model
from .changes import Changes, Watched
from .parcel import Parcel, SameParcel
from .work import Outcome, Work, do

# Of a task on a worker, while it runs for somebody.
WANTED = ("executing", "long-running")


class Data(Protocol):
    """The data of all models: what a work's `fit` is given of them."""

    def of(self, number: int, model: Model) -> dict[str, Any]: ...


class Errand:
    """One model, and what its `fit` is given. parcel: None where all models begin as the same one."""

    def __init__(self, number: int, parcel: Parcel | None, options: dict[str, Any]) -> None:
        self.number, self.parcel, self.options = number, parcel, options


class Reply(NamedTuple):
    """What came of an errand; trained: `Engine.trained_state`; changes: of settings."""

    outcome: Outcome
    trained: tuple[Any, ...]
    changes: Changes | None


def run(content: bytes, data: Data, same: SameParcel | None) -> Reply | BaseException:
    """Train a model on this worker. What ends the whole call, such as SystemExit of a callback, comes back as it is."""
    from distributed.protocol import pickle

    errand: Errand = pickle.loads(content)
    model = (errand.parcel or same).model()  # type: ignore[union-attr]
    engine = model.engine
    watched = Watched(engine)
    work = Work(errand.number, model, partial(data.of, errand.number, model), errand.options)
    try:
        outcome = do(work, unwanted())
    except BaseException as error:
        ended: BaseException = sendable(error)
        return ended
    changes = watched.changes()
    if outcome.error is not None:
        outcome = outcome._replace(error=sendable(outcome.error))
    return Reply(outcome, engine.trained_state(), changes)


def unwanted() -> Callable[[], bool]:
    """A function that says whether nobody waits for this thread's task any longer."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def asked() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state not in WANTED

    return asked


def sendable(error: Any) -> Any:
    """An error that another process can read: this one, or its class and message."""
    from distributed.protocol import pickle

    try:
        if str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    except Exception:  # of a class that cannot be made anew from its message
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")

"""fit_many: trains many models at once, each core its own, each as its own `fit` would."""

from __future__ import annotations  # ArrayLike is named, not imported: it costs 1 ms

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from .. import checks
from ..backends import get_num_threads
from ..backends.threads import checked_threads
from ..callbacks import Callback
from ..callbacks.base import Mode
from ..checks import flag
from ..model import Model
from . import options
from .cluster import Cluster
from .directory import Directory
from .judged import Judged, checked_mode
from .progress import Progress
from .runs import Runs
from .shared import BY_ROW, Shared
from .work import Outcome, Work, do, judgeable, prepared
from .workers import results

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Callbacks = Sequence[Callback] | Sequence[Sequence[Callback]] | Callable[[int], Sequence[Callback]]


def fit_many(
    models: Iterable[Model],
    X: ArrayLike | Any,
    y: ArrayLike | Any = None,
    *,
    epochs: int | Sequence[int] = 1,
    batch_size: int | Sequence[int | None] | None = None,
    validation_data: Any = None,
    callbacks: Callbacks = (),
    folds: Any = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    client: Any = None,
    progress: bool = False,
    resume: bool = False,
    directory: str | PathLike[str] | None = None,
    every: str = "10s",
    monitor: str | None = None,
    mode: Mode = "auto",
    **fit: Any,
) -> Runs:
    """Train many models on shared data: cores train models, and each ends with the bits of `model.fit(X, y, ...)` alone.

    The models may differ in everything: network, loss, optimizer, schedule, seed, dtype, backend. Each has its own end. An error,
    NaN or a callback's exception ends that model alone: the table has it. X is shared, and converted once for each dtype.

    Args:
        models: different bp.Models, trained in place.
        X, y: as in `Model.fit`, such as arrays (N, ...) and (N,). Chunks are read by several threads at once.
        epochs, batch_size: as in `Model.fit`, default 1 and 32; or a list with one for each model.
        validation_data: as in `Model.fit`, default None; with `folds` also "rest": the rows that are not in a model's fold.
        callbacks: a list, of which each model gets copies, default empty; a list with a list for each model; or a function from a
            model's number to its list. They run in the threads that train.
        folds: the rows that each model trains on, default all: masks (models, N), or an array of row numbers for each model.
        weights: (models, N) sample weights, a row for each model; default None. "rest" is weighed as well.
        threads: how many models train at once, each in one thread; default None: what bp.get_num_threads() says.
        client: a dask.distributed.Client, whose workers train the models, default None. X and y are sent once, models as bytes of
            checkpoints, callbacks and classes of your own as pickles. Copies of callbacks act on the worker, and write files
            there. A lost worker's models train again. The table is the same; threads is refused.
        progress: whether to show a bar over all models, and a line for each that trains; default False.
        resume: whether each model finishes its interrupted run, as in `Model.fit`; default False.
        directory: a folder for a checkpoint of each model, default None. Called again with the models and data as they were,
            after a kill for example, fit_many goes on from these files, and ends with the same table. Other models are
            refused; of a class of your own the arguments and public numbers and strings tell, not code, nor first weights.
        every: how often the checkpoint of a model is written besides at its end, as in bp.ModelCheckpoint; default "10s". With
            client each is written here, and only when its model is back.
        monitor, mode: the quantity of the logs of which `best` has the best, such as "val_auc", and what is better, "min" or
            "max"; default None, val_loss or loss, and "auto", which knows it of the usual names.
        fit: all other arguments of `Model.fit`, the same for each, such as shuffle, sample_weight or class_weight.

    Returns a Runs: `models`, `histories`, `errors`, `best`, `to_pandas()`.

    Ctrl-C ends all at their next step, within 0.2 s where steps take less; `resume=True` or `directory` goes on from there.

    Raises:
        TypeError, ValueError: name the argument, what was given and what was expected; nothing has been trained then.

    Example:
        >>> models = [bp.Model(nn.Sequential(nn.Linear(4, n), nn.ReLU(), nn.Linear(n, 1))) for n in (4, 8, 16)]
        >>> runs = bp.fit_many(models, X, y, epochs=3, validation_split=0.2, callbacks=[bp.EarlyStopping(patience=2)])
        >>> runs.best
        Model(...)
    """
    found = options.checked_models(models)
    options.check_names("fit_many", fit)
    count = len(found)
    by_row = {"y": y} | {name: fit.pop(name) for name in BY_ROW if name in fit}
    shared = Shared(X, by_row, validation_data, folds, weights, count)
    epochs_of = [checks.whole("epochs", value, 0) for value in options.per_model("epochs", epochs, count)]
    sizes = [options.checked_size(value) for value in options.per_model("batch_size", batch_size, count)]
    own = options.callbacks_of(callbacks, count)
    fit["resume"] = flag("resume", resume)
    options.check_place(client, threads=threads)
    folder = None if directory is None else Directory(directory, every)
    if checked_mode(mode) != "auto" and monitor is None:
        raise ValueError(f"mode is {mode!r} and monitor is None, expected the quantity that it is about")
    cluster = None if client is None else Cluster(client, shared)
    judged = None if monitor is None else Judged(monitor, mode)
    validated = validation_data is not None or bool(fit.get("validation_split"))
    # A function makes the callbacks of a model when its turn comes.
    if judged is not None and not callable(callbacks):
        for number, model in enumerate(found):
            judged.check(model, own(number), validated)

    def work(number: int) -> Work:
        given = fit | {"epochs": epochs_of[number], "batch_size": sizes[number], "callbacks": own(number)}
        return Work(number, found[number], partial(shared.of, number, found[number]), given)

    def task(number: int) -> Work | Outcome:
        made = prepared(number, partial(work, number))
        if judged is not None and callable(callbacks):
            made = judgeable(made, judged, validated, first=not number)
        return shown.begun(made)

    def train(task: Work | Outcome, leave: Callable[[], bool]) -> Outcome:
        if isinstance(task, Outcome):
            return task
        outcome = cluster.do(task, leave, folder) if cluster else do(task, leave, folder)
        task.put_away()
        return outcome

    team = min(cluster.team if cluster else checked_threads(threads) or get_num_threads(), count)
    outcomes: dict[int, Outcome] = {}
    shown = Progress(count, 0 if cluster else team, flag("progress", progress))
    with shown, closing(results(map(task, range(count)), train, team, shown.look)) as come:
        for outcome in come:
            outcomes[outcome.number] = outcome
            shown.ended(outcome)
    runs = Runs(found, [outcomes[number] for number in range(count)], judged)
    runs.warn_of_errors()
    return runs

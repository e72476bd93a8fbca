"""search: trains models of many parameters, each core its own, and stops early those that promise little."""

from __future__ import annotations  # ArrayLike is named, not imported: it costs 1 ms

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from .. import checks
from ..backends import get_num_threads
from ..backends.threads import checked_threads
from ..callbacks.base import Mode
from ..checks import flag, is_name
from ..model import Model
from . import options
from .built import Built
from .cluster import Cluster
from .directory import Directory
from .fit_many import Callbacks
from .judged import Judged
from .progress import Progress
from .schedule import Job, Schedule, rungs_of
from .shared import BY_ROW, Shared
from .space import STRATEGIES, trials_of
from .trials import Trials
from .work import Outcome, Work, do, judgeable, prepared
from .workers import results

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Arguments of Model.fit that a search does not hand on, and what to do instead.
REFUSED = options.OWN | {
    "resume": "give directory=",
    "max_seconds": "no result may depend on the time; strategy='halving' ends what promises little",
}


def search(
    build: Callable[[dict[str, Any]], Model],
    space: Mapping[str, Any],
    X: ArrayLike | Any,
    y: ArrayLike | Any = None,
    *,
    trials: int | None = None,
    strategy: Literal["grid", "random", "halving"] = "random",
    epochs: int = 10,
    factor: int = 3,
    min_epochs: int = 1,
    ahead: int = 16,
    seed: int = 0,
    monitor: str = "val_loss",
    mode: Mode = "auto",
    batch_size: int | None = None,
    validation_data: Any = None,
    callbacks: Callbacks = (),
    threads: int | None = None,
    client: Any = None,
    progress: bool = False,
    directory: str | PathLike[str] | None = None,
    every: str = "10s",
    **fit: Any,
) -> Trials:
    """Search for the parameters of the best model, by val_loss or another quantity; each trains with the bits of its own `fit`.

    "halving" is asynchronous successive halving (Li et al. 2020, ASHA). All trials begin with min_epochs; of those that reached
    a rung the best 1/factor, by the best of their epochs so far, go on to factor times as many, at last to `epochs`.
    The same seed gives the same table for any number of threads. A trial that fails has its error in its row.

    Args:
        build: a function from a dict of parameters to a new bp.Model. It is called in the threads that train, one at a time.
        space: a dict from the name of each parameter to a list, a range, a distribution with rvs (scipy.stats), or a function
            of a NumPy random generator.
        X, y: as in `Model.fit`; shared by all, and converted once for each dtype.
        trials: how many; of a grid None (default), for it tries every combination once. Trial n is the same for more trials.
        strategy: "random" (default), "grid" (lists only) or "halving".
        epochs: of each trial, default 10; where strategy is "halving" of those that come to the top.
        factor, min_epochs: of halving; default 3 and 1.
        ahead: of halving, default 16: at most so many trials train at once. The table depends on it, and not on threads.
        seed: of the parameters, default 0. Each model has the seed that `build` gives it.
        monitor, mode: the quantity of the logs by which trials are judged, such as "val_auc" of models with that metric, and what
            is better, "min" or "max"; default "val_loss" and "auto", which knows it of the usual names.
        batch_size: as in `Model.fit`, default 32.
        validation_data: as in `Model.fit`; either this or validation_split is needed where `monitor` is of data held out.
        callbacks: as in `bp.fit_many`, default empty; those of a trial that goes on to the next rung go on as well.
        threads: how many models train at once, each in one thread; default None: what bp.get_num_threads() says.
        client: as in `bp.fit_many`, default None: a dask.distributed.Client, whose workers train the models. `build` is called
            here. Of halving, `ahead` is best twice the workers' cores. threads is refused.
        progress: whether to show a bar over all trials, and a line for each that trains; default False.
        directory: a folder for a checkpoint of each trial, default None. Called again as before, after a kill for example, the
            search goes on from these files, and ends with the same table. Another space is refused; functions in params are
            told apart by their names.
        every: how often a checkpoint is written besides at the end of a rung, as in bp.ModelCheckpoint; default "10s". With
            client each is written here, and only at the end of a rung.
        fit: all other arguments of `Model.fit`, the same for each, such as validation_split, shuffle or class_weight.

    Returns Trials: `best`, `best_params`, `rows`, `to_pandas()`, `plot()`.

    Raises:
        TypeError, ValueError: name the argument, what was given and what was expected. CheckpointError: the directory is
            another search's.

    Example:
        >>> def build(params):
        ...     net = nn.Sequential(nn.Linear(4, params["width"]), nn.ReLU(), nn.Linear(params["width"], 1))
        ...     return bp.Model(net, optimizer=optim.Adam(lr=params["lr"]))
        >>> space = {"width": [4, 8, 16], "lr": lambda rng: 10 ** rng.uniform(-4, -1)}
        >>> bp.search(build, space, X, y, trials=9, strategy="halving", epochs=9, validation_split=0.2).best_params
        {'width': ..., 'lr': ...}
    """
    if not callable(build):
        raise TypeError(
            f"build is {build!r:.80}, expected a function from a dict of parameters to a bp.Model"
        )
    if not is_name(strategy, STRATEGIES):
        raise ValueError(f"strategy is {strategy!r:.80}, expected one of {[*STRATEGIES]}")
    options.check_names("search", fit, REFUSED)
    judged = Judged(monitor, mode)
    validated = validation_data is not None or bool(fit.get("validation_split"))
    if monitor == "val_loss" and not validated:
        raise ValueError(
            "validation_data is None: a search judges by val_loss; expected (X, y), or validation_split"
        )
    most = checks.whole("epochs", epochs, 1)
    low, eta = checks.whole("min_epochs", min_epochs, 1), checks.whole("factor", factor, 2)
    rungs, ahead = [most], checks.whole("ahead", ahead, 1)
    if strategy == "halving":
        if low > most:
            raise ValueError(f"min_epochs is {low} and epochs is {most}, expected at most as many")
        rungs = rungs_of(most, low, eta)
    seed = checks.seed(seed)
    params = trials_of(space, strategy, trials, seed)
    count = len(params)
    schedule = Schedule(count, rungs, eta, ahead if strategy == "halving" else count)
    by_row = {"y": y} | {name: fit.pop(name) for name in BY_ROW if name in fit}
    shared = Shared(X, by_row, validation_data, None, None, count)
    size = options.checked_size(batch_size)
    own = options.callbacks_of(callbacks, count)
    options.check_place(client, threads=threads)
    folder = None if directory is None else Directory(directory, every)
    cluster = None if client is None else Cluster(client, shared)
    if folder is not None:
        halving = {"trials": count, "factor": eta, "ahead": ahead} if strategy == "halving" else {}
        usual = (judged.monitor, judged.better) == ("val_loss", "min")
        judging = {} if usual else {"monitor": judged.monitor, "better": judged.better}
        folder.claim({"strategy": strategy, "seed": seed, "rungs": rungs, **halving, **judging}, params)
    built = Built(build, params)

    def work(job: Job) -> tuple[Job, Work | Outcome]:
        with schedule.closed_on_error():
            model = built.model(job.trial)
            if isinstance(model, Outcome):
                return job, model

            def asked() -> Work:
                given = {"epochs": rungs[job.rung], "batch_size": size, "callbacks": own(job.trial)}
                data = partial(shared.of, job.trial, model)
                return Work(job.trial, model, data, fit | given | {"resume": True})

            work = judgeable(prepared(job.trial, asked), judged, validated, first=job == (0, 0))
            return job, shown.begun(work)

    def train(task: tuple[Job, Work | Outcome], leave: Callable[[], bool]) -> tuple[Job, Outcome, float]:
        job, asked = task
        start = time.perf_counter()
        with schedule.closed_on_error():
            if isinstance(asked, Outcome):
                outcome = asked
            else:
                outcome = cluster.do(asked, leave, folder) if cluster else do(asked, leave, folder)
                asked.put_away()
        if leave():
            schedule.close()
        schedule.tell(job, outcome.score(rungs[job.rung], judged))
        return job, outcome, time.perf_counter() - start

    outcomes: dict[int, Outcome] = {}
    seconds = dict.fromkeys(range(count), 0.0)
    most_at_once = cluster.team if cluster else checked_threads(threads) or get_num_threads()
    team = min(most_at_once, count, schedule.ahead)
    shown = Progress(count, 0 if cluster else team, flag("progress", progress), "trial {}".format)
    with shown, closing(results(map(work, schedule), train, team, shown.look)) as come:
        for job, outcome, took in come:
            outcomes[job.trial] = outcome
            seconds[job.trial] += took
            (shown.rested if job.rung else shown.ended)(outcome)
    found = Trials(params, built.models, [outcomes[number] for number in range(count)], seconds, judged)
    found.warn_of_errors()
    return found

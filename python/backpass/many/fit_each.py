"""fit_each: a model for each group of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

from .. import checks
from ..backends import get_num_threads
from ..backends.threads import checked_threads
from ..callbacks import Callback
from ..checks import flag
from ..errors import NonFiniteError, warn
from ..model import Model
from ..nn import Module
from ..training.fit import rows_held_out
from . import options
from .by_key import ModelsByKey
from .cluster import Cluster
from .groups import Columns, RowsOfGroups, columns_of, grouped
from .parcel import Parcel
from .progress import Progress
from .runs import row_of
from .stack import Stack, new_like
from .start import Beginnings
from .work import Outcome, Work, do, prepared
from .workers import results

# Arguments of Model.fit that fit_each does not hand on, and what to do instead.
REFUSED = options.OWN | {
    "resume": "each model is a new one",
    "sample_weight": "class_weight weighs the rows of all groups alike",
    "lengths": "fit_many takes a list of models",
    "validation_data": "give validation_split: of each group the last rows",
}


def fit_each(
    build: Model | Callable[[Any], Model],
    data: Any,
    *,
    by: str,
    X: Columns,
    y: Columns,
    epochs: int = 1,
    batch_size: int | None = None,
    callbacks: Sequence[Callback] | Callable[[Any], Sequence[Callback]] = (),
    threads: int | None = None,
    client: Any = None,
    progress: bool = False,
    **fit: Any,
) -> ModelsByKey:
    """Train a model for each group of a table, such as each user, store or sensor; cores train models.

    Each ends with the bits of `model.fit(X of the group, y of the group, ...)`. An error ends that model alone.

    Args:
        build: a bp.Model, of which each group's model is a copy, such as one trained on all groups; its plans are made once.
            Or a function key -> bp.Model, called for one key after the other; all that it makes have one network and loss, but
            for weights. Seed and optimizer of the first are kept.
        data: a pandas or polars frame, or a dict of arrays with a row for each row.
        by: the column with the keys, numbers or strings.
        X, y: a column (N, ...), or a list of columns of numbers.
        epochs, batch_size: as in `Model.fit`, default 1 and 32, at most the rows of the group.
        callbacks: a list, of which each model gets copies, default empty; or a function key -> list.
        threads: how many models train at once, each in one thread; default None: what bp.get_num_threads() says.
        client: as in `bp.fit_many`, default None: a dask.distributed.Client, whose workers train the models. `build` is called
            here, and threads refused.
        progress: whether to show a bar over all models, and a line for each that trains; default False.
        fit: other arguments of `Model.fit`, the same for each, such as validation_split or shuffle.

    Returns a ModelsByKey: a mapping key -> bp.Model with `predict(data)`, `save(path)`, `to_pandas()`.

    Raises:
        TypeError, ValueError: name the argument, what was given and what was expected. Where `build` fails for all keys, what
            it raised for the first.

    Example:
        >>> data = {"user": np.arange(96) % 3, "x": X, "y": y}
        >>> models = bp.fit_each(bp.Model(nn.Linear(4, 1)), data, by="user", X="x", y="y", epochs=2)
        >>> models[2].predict(X).shape
        (96, 1)
    """
    if not isinstance(build, Model) and (isinstance(build, Module) or not callable(build)):
        raise TypeError(f"build is {build!r:.80}, expected a bp.Model or a function key -> bp.Model")
    options.check_names("fit_each", fit, REFUSED)
    groups = grouped(data, by)
    rows, targets = (
        groups.of_rows(name, columns_of(data, name, names)) for name, names in (("X", X), ("y", y))
    )
    shared = RowsOfGroups(rows, targets, groups.slices)
    keys, count = groups.keys, len(groups.keys)
    own = options.callbacks_of(callbacks, count)
    size = options.checked_size(batch_size)
    fit["epochs"] = checks.whole("epochs", epochs, 0)
    split = checks.fraction("validation_split", fit.get("validation_split", 0.0))
    begin = _beginning(build)
    options.check_place(client, threads=threads)
    same: Parcel | None = None
    if client is not None and isinstance(build, Model):
        # Of weights that are not finite the parcel of each key says so, as its error.
        with suppress(NonFiniteError):
            same = Parcel(build.engine, "build")
    cluster = None if client is None else Cluster(client, shared, same)
    # One, like the model of the first key that has one: works are made one after the other, in the order of the keys.
    stacks: list[Stack] = []

    def work(number: int) -> Work:
        part, key = groups.slices[number], keys[number]
        model = begin(key)
        if not stacks:
            stacks.append(Stack(new_like(model), count))
        most = part.stop - part.start - rows_held_out(part.stop - part.start, split)
        given = {
            "batch_size": None if size is None else max(1, min(size, most)),
            "callbacks": own(key if callable(callbacks) else number),
        }
        return Work(number, model, partial(shared.of, number, model), fit | given)

    def train(task: Work | Outcome, leave: Callable[[], bool]) -> Outcome:
        if isinstance(task, Outcome):
            return task
        outcome = cluster.do(task, leave) if cluster else do(task, leave)
        if outcome.error is None:
            try:
                stacks[0].put(task.number, task.model)
            except ValueError as error:  # of another network
                outcome = outcome._replace(error=error)
        return outcome

    team = min(cluster.team if cluster else checked_threads(threads) or get_num_threads(), count)
    table: dict[int, dict[str, Any]] = {}
    failed: dict[int, Exception] = {}
    lines = 0 if cluster else team
    with Progress(count, lines, flag("progress", progress), lambda number: f"{by} {keys[number]}") as shown:
        tasks = (shown.begun(prepared(number, partial(work, number))) for number in range(count))
        with closing(results(tasks, train, team, shown.look)) as come:
            for outcome in come:
                shown.ended(outcome)
                row = row_of(outcome)
                table[outcome.number] = {"key": keys[row.pop("model")]} | row
                if outcome.error:
                    failed[outcome.number] = outcome.error
    if not stacks:
        raise failed[0]
    found = ModelsByKey(keys, stacks[0], by, X)
    for number in sorted(failed):  # not as they came, which depends on the threads
        found.drop(keys[number], failed[number])
    found.rows = [table[number] for number in range(count)]
    if found.errors:
        key, error = next(iter(found.errors.items()))
        warn(
            f"{len(found.errors)} of {count} models failed, see errors; that of {key!r}: {type(error).__name__}: {error}",
            RuntimeWarning,
        )
    return found


def _beginning(build: Model | Callable[[Any], Model]) -> Callable[[Any], Model]:
    """What gives the model that a key begins with."""
    if not isinstance(build, Model):
        return partial(_built, build)
    beginnings = Beginnings(lambda: build)
    return lambda _: beginnings.model()


def _built(build: Callable[[Any], Model], key: Any) -> Model:
    made = build(key)
    if not isinstance(made, Model):
        raise TypeError(f"build made {made!r:.80} for {key!r:.80}, expected a bp.Model")
    return made

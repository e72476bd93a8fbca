"""search: the parameters of trials, successive halving that no thread changes, trials that fail, a directory, a picture."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.many.judged import Judged
from backpass.many.schedule import Job, Schedule, rungs_of
from backpass.many.space import trials_of
from backpass.many.trials import Trials
from backpass.many.workers import results
from helpers.random_models import LABELS, VALIDATION, Counts, X, state_of

SPACE = {"width": [4, 8, 16], "lr": lambda rng: 10 ** rng.uniform(-4, -0.5)}


def build(params: dict[str, Any]) -> bp.Model:
    net = nn.Sequential(nn.Linear(6, params["width"]), nn.ReLU(), nn.Linear(params["width"], 3))
    return bp.Model(net, "cross_entropy", optim.Adam(lr=params["lr"]))


def halve(**changed: Any) -> Trials:
    options = {"trials": 14, "strategy": "halving", "epochs": 9, "ahead": 5, "validation_data": VALIDATION}
    return bp.search(build, SPACE, X, LABELS, **options | changed)


def rows(trials: Trials) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in trials.rows]


# -- the space -----------------------------------------------------------------------------------------------------------


def test_a_grid_has_every_point_once() -> None:
    points = trials_of({"a": [1, 2], "b": ("x", None), "c": range(2)}, "grid", None, 0)
    assert len({tuple(p.values()) for p in points}) == 8
    assert points[1] == {"a": 1, "b": "x", "c": 1}


def test_trials_are_a_function_of_seed_and_number() -> None:
    stats = pytest.importorskip("scipy.stats")
    space = SPACE | {"p": stats.uniform(0, 0.5), "n": stats.randint(1, 9)}
    few, many = trials_of(space, "random", 5, 3), trials_of(space, "random", 50, 3)
    assert few == many[:5] != trials_of(space, "random", 5, 4)
    assert {type(value) for params in many for value in params.values()} == {int, float}
    assert {params["width"] for params in many} == {4, 8, 16}
    points = trials_of({"a": range(4), "b": range(5)}, "random", 20, 0)
    assert len({tuple(p.values()) for p in points}) == 20


# -- the schedule --------------------------------------------------------------------------------------------------------


def played(schedule: Schedule, threads: int) -> list[Job]:
    """The jobs of a schedule whose trials take any time; a trial's number is its score."""
    naps = np.random.default_rng(threads).uniform(0, 0.003, schedule.trials)

    def train(job: Job, leave: Callable[[], bool]) -> Job:
        time.sleep(naps[job.trial])
        schedule.tell(job, job.trial)
        return job

    assert {*results(schedule, train, threads)} == {*schedule.jobs}
    return schedule.jobs


def test_halving_depends_on_no_order_in_which_jobs_end() -> None:
    orders = [played(Schedule(27, [1, 3, 9], 3, 6), threads) for threads in (1, 3, 8)]
    assert orders[0] == orders[1] == orders[2]
    jobs = orders[0]
    assert len({*jobs}) == len(jobs)
    assert [sum(job.rung == rung for job in jobs) for rung in range(3)] == [27, 9, 3]
    assert Job(0, 2) in jobs
    assert jobs.index(Job(0, 1)) < 9, "it waited for all trials to begin"


def test_the_best_comes_to_the_top_of_few_trials() -> None:
    assert played(Schedule(2, [1, 3], 3, 4), 1)[-1] == Job(0, 1)
    assert rungs_of(10, 1, 3) == [1, 3, 9, 10]
    assert rungs_of(1, 1, 3) == [1]


# -- the search ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halved() -> Trials:
    return halve(threads=1)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_same_table_for_any_number_of_threads(halved: Trials, threads: int) -> None:
    again = halve(threads=threads)
    assert rows(again) == rows(halved)
    assert [state_of(m) for m in again.models] == [state_of(m) for m in halved.models]


def test_each_trial_has_the_bits_of_its_own_fit(halved: Trials) -> None:
    epochs = [row["epochs"] for row in halved.rows]
    assert {1, 3, 9} == {*epochs}
    for number in (epochs.index(1), epochs.index(9)):
        alone = build(halved.params[number])
        alone.fit(X, LABELS, epochs=epochs[number], validation_data=VALIDATION)
        assert state_of(halved.models[number]) == state_of(alone)
    best = halved.best_number
    assert halved.rows[best]["val_loss"] == min(row["val_loss"] for row in halved.rows)
    assert halved.best_params == halved.params[best]
    assert halved.rows[best]["param_lr"] == halved.best_params["lr"]
    assert halved.rows[best]["seconds"] > 0
    assert "14 trials" in repr(halved)


def test_early_stopping_goes_on_over_the_rungs() -> None:
    searched = halve(callbacks=[bp.EarlyStopping(patience=2)], epochs=27, trials=6)
    number = max(range(6), key=lambda n: searched.rows[n]["epochs"])
    alone = build(searched.params[number])
    history = alone.fit(
        X, LABELS, epochs=27, validation_data=VALIDATION, callbacks=[bp.EarlyStopping(patience=2)]
    )
    assert searched.histories[number].history == history.history
    assert searched.models[number].evaluate(*VALIDATION)["loss"] == searched.rows[number]["val_loss"]


def test_trials_that_fail_are_told_in_their_rows() -> None:
    def sometimes(params: dict[str, Any]) -> bp.Model:
        if params["lr"] == 2:
            raise OSError("no such net")
        return bp.Model(
            nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 3)), "cross_entropy", optim.SGD(lr=params["lr"])
        )

    with pytest.warns(
        RuntimeWarning, match=r"2 of 3 trials failed.*trial 1, {'lr': 2}: OSError: no such net"
    ):
        found = bp.search(
            sometimes, {"lr": [0.1, 2, 1e30]}, X, LABELS, strategy="grid", epochs=3, validation_split=0.2
        )
    assert found.rows[1]["error"] == "OSError: no such net"
    assert found.models[1] is None
    assert isinstance(found.errors[2], bp.NonFiniteError)
    assert found.best is found.models[0] is found.trained[0]
    assert len(found.to_pandas()) == 3
    with pytest.warns(RuntimeWarning, match="2 of 2"):
        none = bp.search(sometimes, {"lr": [2, 1e30]}, X, LABELS, strategy="grid", validation_split=0.2)
    with pytest.raises(ValueError, match="no trial finished an epoch"):
        none.plot()


def test_an_exit_ends_a_search_that_waits_for_results() -> None:
    class Exits(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            raise SystemExit(3)

    with pytest.raises(SystemExit):
        halve(callbacks=[Exits()], threads=3, ahead=2)


def test_a_directory_goes_on_and_refuses_another_search(halved: Trials, tmp_path: Path) -> None:
    counting: dict[str, Any] = {"directory": tmp_path, "callbacks": [Counts()], "threads": 2}
    Counts.taken()
    assert rows(halve(**counting)) == rows(halved)
    assert Counts.taken() == sum(row["epochs"] for row in halved.rows)
    (tmp_path / "00003.safetensors").unlink()  # as if it had not begun
    again = halve(**counting)
    assert Counts.taken() == halved.rows[3]["epochs"]
    assert rows(again) == rows(halved)
    assert [state_of(m) for m in again.models] == [state_of(m) for m in halved.models]
    for changed in ({"seed": 1}, {"epochs": 12}, {"strategy": "random"}, {"trials": 15}):
        with pytest.raises(bp.CheckpointError, match="holds another search"):
            halve(directory=tmp_path, **changed)
    random = {"strategy": "random", "epochs": 1, "directory": tmp_path / "more", "callbacks": [Counts()]}
    few, more = halve(**random, trials=2), halve(**random, trials=4)
    assert rows(more)[:2] == rows(few)
    assert rows(halve(**random, trials=3)) == rows(more)[:3]
    assert Counts.taken() == 4


def test_a_directory_refuses_another_space(tmp_path: Path) -> None:
    def grid(**space: Any) -> Trials:
        return bp.search(
            lambda params: build({"width": 4, "lr": 0.1}), space, X, LABELS, strategy="grid", epochs=1,
            validation_split=0.2, directory=tmp_path,
        )  # fmt: skip

    long = np.arange(2000.0)
    grid(scale=[0.1, 0.5], where=[long])
    for other in ({"scale": [0.1, 5], "where": [long]}, {"scale": [0.1, 0.5], "where": [np.sqrt(long)]}):
        with pytest.raises(bp.CheckpointError, match=r"holds another search: trial [01] {'scale'"):
            grid(**other)
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(bp.CheckpointError, match="no note of a search: 'search' is missing"):
        grid(scale=[0.1, 0.5], where=[long])


def test_the_picture_has_an_axis_for_each_parameter_and_a_line_for_each_trial(
    halved: Trials, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    axes = halved.plot(tmp_path / "search.png").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["width", "lr", "val_loss"]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 14
    best = lines[-1]
    assert best.get_color() == "C3"
    assert best.get_ydata()[2] == 0.0 == min(line.get_ydata()[2] for line in lines)
    wanted = {4: 0.0, 8: 1 / 3, 16: 1.0}
    assert best.get_ydata()[0] == pytest.approx(wanted[halved.best_params["width"]])
    assert (tmp_path / "search.png").stat().st_size > 10_000


def test_a_trial_that_was_ended_before_it_was_judged_is_not_in_the_picture() -> None:
    pytest.importorskip("matplotlib")

    class Breaks(bp.Callback):
        def on_train_begin(self, logs: Any) -> None:
            self.model.optimizer.lr = 1e30

    def callbacks(number: int) -> list[bp.Callback]:
        if number == 1:
            raise OSError("no more")
        return [[], [], [Breaks(), bp.TerminateOnNaN()]][number]

    with pytest.warns(RuntimeWarning, match=r"2 of 3 trials failed.*trial 1.*OSError: no more"):
        trials = bp.search(
            build, {"width": [4, 8, 16], "lr": [0.1]}, X, LABELS, strategy="grid", epochs=1, callbacks=callbacks,
            validation_data=VALIDATION,
        )  # fmt: skip
    assert trials.best_number == 0
    lines = [line for line in trials.plot().axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) == 1


ONE = build({"width": 4, "lr": 0.1})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"build": 3}, "build is 3, expected a function"),
        ({"build": lambda params: nn.Linear(6, 3)}, "build returned Linear"),
        ({"build": lambda params: ONE}, "build returned the same model again"),
        ({"strategy": "bayes"}, "strategy is 'bayes', expected one of"),
        ({"space": []}, r"space is \[\], expected a dict"),
        ({"space": {}}, r"space is \{\}, expected a dict"),
        ({"space": {3: [1]}}, "space has the key 3"),
        ({"space": {"lr": []}}, r"space\['lr'\] is empty"),
        ({"space": {"lr": "adam"}}, r"space\['lr'\] is 'adam', expected a list"),
        ({"space": {"lr": 0.1}}, r"space\['lr'\] is 0.1, expected a list"),
        ({"strategy": "grid"}, r"space\['lr'\] is <function .* strategy is 'grid', expected a list"),
        ({"strategy": "grid", "space": {"width": [4, 8]}, "trials": 3}, "trials is 3, but the grid has 2 points"),
        ({"space": {"width": [4, 8]}, "trials": 3}, "trials is 3, but space has 2 points"),
        ({"trials": None}, "trials is None and strategy is 'random'"),
        ({"trials": 0}, "trials is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"factor": 1}, "factor is 1"),
        ({"ahead": 0}, "ahead is 0"),
        ({"min_epochs": 5, "strategy": "halving", "epochs": 4}, "min_epochs is 5 and epochs is 4"),
        ({"validation_data": None}, "validation_data is None: a search judges by val_loss"),
        ({"client": 1}, "threads is 2 and client is given"),
        ({"threads": 0}, "threads is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_seconds": 1}, "no argument 'max_seconds': no result may depend on the time"),
        ({"space": {"lr": np.array(0.1)}}, r"space\['lr'\] is the single number array\(0.1\), expected a list"),
        ({"resume": True}, "search.. has no argument 'resume'"),
    ],
)  # fmt: skip
def test_refused(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "build": build, "space": SPACE, "trials": 3, "epochs": 1, "threads": 2, "validation_data": VALIDATION,
    }  # fmt: skip
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        bp.search(**given | changed, X=X, y=LABELS)
    assert not re.search("NoneType|object at", str(caught.value))


def watching(params: dict[str, Any]) -> bp.Model:
    """A model whose seed decides."""
    return bp.Model(
        nn.Linear(6, 3),
        "cross_entropy",
        optim.SGD(lr=0.0),
        seed=params["seed"],
        metrics=["auc", ("own", own)],
    )


class Heads(nn.Module):
    """Two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 1), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return {"left": self.left(x), "right": self.right(x)}


def own(y: Any, pred: Any) -> float:
    return float(len(y))


SEEDS = {"seed": [3, 1, 4, 1, 5]}


def test_another_quantity_judges() -> None:
    labels = np.random.default_rng(0).integers(0, 3, len(X))
    trials = bp.search(
        watching, SEEDS, X, labels, strategy="grid", epochs=1, validation_split=0.3, monitor="val_auc"
    )
    scores = [row["val_auc"] for row in trials.rows]
    assert scores[trials.best_number] == max(scores) > min(scores)
    models = [watching({"seed": seed}) for seed in SEEDS["seed"]]
    runs = bp.fit_many(models, X, labels, validation_split=0.3, monitor="val_auc")
    assert runs.best_number == trials.best_number
    worst = bp.fit_many(models, X, labels, validation_split=0.3, monitor="val_auc", mode="min")
    assert worst.best_number == scores.index(min(scores))
    halved = bp.search(
        watching,
        SEEDS,
        X,
        labels,
        strategy="halving",
        trials=5,
        epochs=3,
        validation_split=0.3,
        monitor="auc",
        threads=1,
    )
    assert halved.rows[halved.best_number]["epochs"] == 3
    assert halved.rows[halved.best_number]["auc"] == max(row["auc"] for row in halved.rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"monitor": 3}, "monitor is 3, expected a name"),
        ({"monitor": "val_auc", "mode": "most"}, "mode is 'most', expected 'auto', 'min' or 'max'"),
        ({"monitor": "val_auk"}, "monitor is 'val_auk', which the models do not log.*did you mean 'val_auc'"),
        ({"monitor": "val_own"}, "monitor is 'val_own', of which less or more may be better"),
    ],
)
def test_quantities_that_cannot_judge(options: dict[str, Any], message: str) -> None:
    labels = np.arange(len(X)) % 3
    with pytest.raises((TypeError, ValueError), match=message):
        bp.search(watching, SEEDS, X, labels, strategy="grid", validation_split=0.3, **options)
    with pytest.raises((TypeError, ValueError), match=message):
        bp.fit_many([watching({"seed": 0})], X, labels, validation_split=0.3, **options)
    with pytest.raises((TypeError, ValueError), match=message):
        bp.fit_many(
            [watching({"seed": 0})],
            X,
            labels,
            validation_split=0.3,
            callbacks=lambda number: [],
            **options,
        )


def test_what_judges_has_to_be_logged() -> None:
    labels = np.arange(len(X)) % 3
    models = [watching({"seed": seed}) for seed in range(2)]
    for callbacks in ([], [[], []], lambda number: []):
        with pytest.raises(ValueError, match="monitor is 'val_auc', but there are no data to validate with"):
            bp.fit_many(models, X, labels, monitor="val_auc", callbacks=callbacks)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode is 'bogus', expected 'auto', 'min' or 'max'"):
        bp.fit_many(models, X, labels, mode="bogus")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode is 'max' and monitor is None, expected the quantity"):
        bp.fit_many(models, X, labels, mode="max")
    assert not any(model.epoch for model in models)

    class Silent:
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            """It might log something."""

    runs = bp.fit_many(models, X, labels, monitor="cost", mode="min", callbacks=lambda number: [Silent()])
    with pytest.raises(ValueError, match="no model logged a number for 'cost', which is to judge them"):
        _ = runs.best


class Scores(bp.Callback):
    """Logs a quantity of one's own."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["val_custom"] = float(self.model.seed)


@pytest.mark.parametrize("callbacks", [[Scores()], lambda number: [Scores()]])
def test_a_quantity_of_a_callback_judges_without_data_held_out(callbacks: Any) -> None:
    labels = np.arange(len(X)) % 3
    call: dict[str, Any] = {"epochs": 1, "monitor": "val_custom", "mode": "max", "callbacks": callbacks}
    trials = bp.search(watching, SEEDS, X, labels, strategy="grid", **call)
    assert trials.best_number == SEEDS["seed"].index(max(SEEDS["seed"]))
    with pytest.raises(ValueError, match="monitor is 'val_auc', but there are no data to validate with"):
        bp.search(watching, SEEDS, X, labels, strategy="grid", monitor="val_auc")


def test_a_model_says_what_is_better_of_its_outputs() -> None:
    model = bp.Model(Heads(), {"left": "mse", "right": "cross_entropy"}, metrics={"left": ["r2"]})
    for monitor, better in (("left_loss", "min"), ("val_left_r2", "max")):
        judged = Judged(monitor, "auto")
        assert (judged.better, judged.sign) == ("auto", 1.0)
        judged.check(model, [], validated=True)
        assert judged.better == better
        assert judged.score([1.0, 3.0]) == (1.0 if better == "min" else -3.0)


def test_a_model_that_logs_something_else_has_its_error() -> None:
    """Only what the first model does not log is refused at once, as it is misspelt."""
    labels = np.arange(len(X)) % 3
    call: dict[str, Any] = {"epochs": 1, "validation_split": 0.3, "monitor": "val_auc", "threads": 1}

    def some(params: dict[str, Any]) -> bp.Model:
        model = watching(params)
        if params["seed"] == 4:
            model.metrics = ["top_2"]
        return model

    with pytest.warns(RuntimeWarning, match="1 of 5 trials failed"):
        trials = bp.search(some, SEEDS, X, labels, strategy="grid", **call)
    assert [*trials.errors] == [2]
    assert "monitor is 'val_auc', which the models do not log" in trials.rows[2]["error"]
    models = [some({"seed": seed}) for seed in SEEDS["seed"]]
    with pytest.raises(ValueError, match="which the models do not log"):
        bp.fit_many(models, X, labels, **call)
    assert not any(model.epoch for model in models)
    with pytest.warns(RuntimeWarning, match="1 of 5 models failed"):
        runs = bp.fit_many(models, X, labels, callbacks=lambda number: [], **call)
    assert [*runs.errors] == [2]
    assert runs.best_number == trials.best_number
    with pytest.raises(ValueError, match="which the models do not log"):
        bp.fit_many(models[2:], X, labels, callbacks=lambda number: [], **call)


def test_a_directory_knows_what_judges(tmp_path: Path) -> None:
    def judged(**options: Any) -> Trials:
        labels = np.arange(len(X)) % 3
        return bp.search(
            watching, {"seed": [1, 2]}, X, labels, strategy="grid", epochs=1, validation_split=0.3,
            directory=tmp_path / options.get("monitor", "val_loss"), **options,
        )  # fmt: skip

    first = judged()
    assert rows(judged(mode="min")) == rows(first)
    with pytest.raises(
        bp.CheckpointError, match=r"holds another search: settings .*may also be of another version"
    ):
        judged(mode="max")
    judged(monitor="val_auc")
    judged(monitor="val_auc", mode="max")
    with pytest.raises(bp.CheckpointError, match=r"'better': 'max'.* and here .*'better': 'min'"):
        judged(monitor="val_auc", mode="min")

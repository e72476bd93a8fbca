"""client=: the workers of a dask cluster train the models, to the bits and the table of this machine alone; workers are lost."""

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.checkpoint.save import save
from backpass.many import cluster
from backpass.many.directory import Directory
from backpass.many.shared import Shared
from backpass.many.work import Work
from helpers.nets import small
from helpers.random_models import LABELS, VALIDATION, X, random_callbacks, random_model, state_of

distributed = pytest.importorskip("distributed")
SEEDS = range(6)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 2, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as local, distributed.Client(local) as client:
        yield client


def rows(table: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table.rows]


def test_each_has_the_bits_of_its_own_fit(client: Any) -> None:
    alone = [random_model(seed) for seed in SEEDS]
    for seed, model in enumerate(alone):
        model.fit(X, LABELS, epochs=2 + seed, callbacks=random_callbacks(seed), validation_data=VALIDATION)
    runs = bp.fit_many(
        [random_model(seed) for seed in SEEDS],
        X, LABELS, epochs=[2 + seed for seed in SEEDS], callbacks=random_callbacks, validation_data=VALIDATION, client=client,
    )  # fmt: skip
    assert runs.errors == {}
    for model, expected in zip(runs.models, alone, strict=True):
        assert state_of(model) == state_of(expected), model
        kept, expected_kept = (m.engine.last_run.states for m in (model, expected))  # type: ignore[union-attr]
        assert repr(kept) == repr(expected_kept)


class Doubled(nn.Module):
    """A class that no checkpoint describes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.Linear(8, 3))

    def forward(self, x: Any) -> Any:
        return 2 * self.inner(x)


class Squares(nn.MSELoss):
    """A loss that no checkpoint describes."""


class Slower(optim.SGD):
    """An optimizer that no checkpoint describes."""


def squares(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    return float(np.mean((pred - y) ** 2)), 2 * (pred - y) / pred.size


def furthest(y: np.ndarray, pred: np.ndarray) -> float:
    return float(np.abs(pred - y).max())


def test_classes_and_functions_of_users_folds_and_an_interrupted_run(client: Any) -> None:
    targets = np.eye(3, dtype=np.float32)[LABELS]
    masks = np.arange(len(X)) % 2 != np.arange(2)[:, None]

    def models() -> list[bp.Model]:
        found = [
            bp.Model(Doubled(), squares, metrics=["mae", furthest], seed=1),
            bp.Model(Doubled(), metrics=["r2"], backend="numpy", dtype="float64", seed=2),
        ]
        for model, mask in zip(found, masks, strict=True):
            model.fit(X[mask], targets[mask], epochs=4, batch_size=9, max_seconds=1e-9)
            assert 0 < model.engine.last_run.position.rows < 45  # type: ignore[union-attr]
        return found

    together, apart = models(), models()
    runs = bp.fit_many(together, X, targets, folds=masks, epochs=4, resume=True, client=client)
    for model, mask in zip(apart, masks, strict=True):
        model.fit(X[mask], targets[mask], epochs=4, resume=True)
    assert runs.errors == {}
    assert [state_of(model) for model in together] == [state_of(model) for model in apart]
    assert together[1].backend.name == "numpy"


def build(params: dict[str, Any]) -> bp.Model:
    if params["width"] == 5:
        raise ValueError("no net has this width")
    net = nn.Sequential(nn.Linear(6, params["width"]), nn.ReLU(), nn.Linear(params["width"], 3))
    return bp.Model(net, "cross_entropy", optim.Adam(lr=params["lr"]))


@pytest.mark.filterwarnings("ignore:.* of 12 trials failed:RuntimeWarning")
@pytest.mark.parametrize("strategy", ["random", "halving"])
def test_a_search_has_the_same_table(client: Any, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if strategy == "halving":
        # Models of any size go to the workers directly.
        monkeypatch.setattr(cluster, "LARGE", 0)
    space = {"width": [4, 5, 8, 16], "lr": lambda rng: 10 ** rng.uniform(-4, -0.5)}
    options: dict[str, Any] = {
        "trials": 12, "strategy": strategy, "epochs": 4, "factor": 2, "ahead": 5, "validation_data": VALIDATION,
        "callbacks": [bp.EarlyStopping(patience=2)],
    }  # fmt: skip
    here = bp.search(build, space, X, LABELS, **options, threads=1)
    there = bp.search(build, space, X, LABELS, **options, client=client)
    assert rows(there) == rows(here)
    assert there.errors
    assert np.array_equal(there.best.predict(X), here.best.predict(X))


@pytest.mark.parametrize("built", ["model", "function"])
def test_a_model_for_each_key(client: Any, built: str) -> None:
    keys = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 12))
    data = {"key": keys, "x": np.random.default_rng(1).standard_normal((240, 4)), "y": keys % 3 * 1.0}
    call: dict[str, Any] = {"by": "key", "X": "x", "y": "y", "epochs": 2, "batch_size": 8}

    def make(key: Any) -> bp.Model:
        return bp.Model(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Linear(4, 1)), seed=3)

    begin: Any = make if built == "function" else make(0)
    here, there = bp.fit_each(begin, data, **call, threads=1), bp.fit_each(begin, data, **call, client=client)
    assert there.rows == here.rows
    assert len(there) == 20
    assert np.array_equal(there.predict(data), here.predict(data))


@pytest.mark.filterwarnings("ignore:.* models failed:RuntimeWarning")
def test_weights_that_are_not_finite_are_the_same_error_as_here(client: Any) -> None:
    def broken() -> bp.Model:
        model = small("cross_entropy")
        model.net[0].weight[0, 0] = np.nan
        return model

    data = {"key": np.arange(len(X)) % 3, "x": X, "y": LABELS}
    call: dict[str, Any] = {"by": "key", "X": "x", "y": "y"}
    here, there = bp.fit_each(broken(), data, **call), bp.fit_each(broken(), data, **call, client=client)
    assert {type(error) for error in there.errors.values()} == {bp.NonFiniteError}
    assert there.rows == here.rows
    runs = [bp.fit_many([broken()], X, LABELS, client=where) for where in (None, client)]
    assert runs[0].rows == runs[1].rows
    assert isinstance(runs[1].errors[0], bp.NonFiniteError)


class Unfreezes(bp.Callback):
    """Changes a setting, after which no model begins again."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.model.net.inner[0].requires_grad_(epoch > 0)


@pytest.mark.parametrize("callbacks", [[], [Unfreezes()]], ids=["again", "anew"])
def test_each_key_begins_with_a_network_loss_and_optimizer_of_ones_own(
    client: Any, callbacks: list[Any]
) -> None:
    keys = np.repeat(np.arange(12), 10)
    data = {"key": keys, "x": np.random.default_rng(1).standard_normal((120, 6)), "y": np.eye(3)[keys % 3]}
    call: dict[str, Any] = {"by": "key", "X": "x", "y": "y", "epochs": 3, "callbacks": callbacks}
    begin = bp.Model(Doubled(), Squares(), Slower(lr=1e-3, momentum=0.5), metrics=["mae", furthest], seed=1)
    here, there = bp.fit_each(begin, data, **call, threads=1), bp.fit_each(begin, data, **call, client=client)
    assert there.errors == {}
    assert there.rows == here.rows
    assert np.array_equal(there.predict(data), here.predict(data))


class Kills(bp.Callback):
    """Ends processes by SIGKILL, once, in the middle of the run of a model."""

    def __init__(self, marker: Path, pids: list[int]) -> None:
        self.marker, self.pids = marker, pids

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch == 2 and not self.marker.exists():
            self.marker.touch()
            # Its own process is the last to go.
            for pid in sorted(self.pids or [os.getpid()], key=os.getpid().__eq__):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("killed", ["one", "all"])
def test_a_lost_workers_models_train_again(client: Any, tmp_path: Path, killed: str) -> None:
    """Where all are lost at once, the data are sent again."""
    before = {*client.run(os.getpid).values()}
    others = [pid for pid in before if killed == "all"]
    alone = [random_model(seed) for seed in SEEDS]
    for model in alone:
        model.fit(X, LABELS, epochs=5)
    runs = bp.fit_many(
        [random_model(seed) for seed in SEEDS],
        X, LABELS, epochs=5, client=client,
        callbacks=lambda number: [Kills(tmp_path / "killed", others)] if number == 2 else [],
    )  # fmt: skip
    assert runs.errors == {}
    assert [state_of(model) for model in runs.models] == [state_of(model) for model in alone]
    client.wait_for_workers(2, timeout=30)
    assert len(before & {*client.run(os.getpid).values()}) == (1 if killed == "one" else 0)


class OddError(Exception):
    """No pickle makes it anew."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Fails(bp.Callback):
    """What goes wrong in a run, by name."""

    def __init__(self, how: str) -> None:
        self.how = how

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if self.how == "odd" and epoch:
            raise OddError(1, 2)
        if self.how == "nan":
            self.model.net[0].weight[:] = np.nan
        if self.how == "precision":
            self.model.precision = "bf16x3"


@pytest.mark.filterwarnings("ignore:.* of 5 models failed:RuntimeWarning")
def test_an_error_ends_its_model_alone(client: Any) -> None:
    hows = ["", "odd", "nan", "precision", ""]
    held = [[Fails(how)] for how in hows]
    held[4][0].lock = lambda: (_ for _ in ())  # type: ignore[attr-defined]
    models = [small("cross_entropy", seed=seed) for seed in range(5)]
    runs = bp.fit_many(models, X, LABELS, epochs=3, callbacks=held, client=client)
    assert [*runs.errors] == [1, 2, 3]
    assert runs.rows[1]["error"] == "RuntimeError: OddError: 1 and 2"
    assert len(runs.histories[1].epoch) == 2
    assert isinstance(runs.errors[2], bp.NonFiniteError)
    assert runs.errors[2].step > 0
    assert np.isnan(models[2].net[0].weight).any()
    assert "a callback changed backend or precision" in str(runs.errors[3])
    alone = small("cross_entropy", seed=0)
    alone.fit(X, LABELS, epochs=3)
    assert state_of(models[0]) == state_of(alone)


class Changes(bp.Callback):
    """Changes settings in the middle of a run."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch == 1 and self.model.seed == 2:
            self.model.optimizer = optim.SGD(lr=0.2, momentum=0.5)
        elif epoch == 1:
            self.model.optimizer.lr = 0.03
            self.model.net[2].requires_grad_(False)
            self.model.loss.label_smoothing = 0.1


def test_changed_settings_come_back(client: Any) -> None:
    together, apart = ([small("cross_entropy", seed=seed) for seed in range(3)] for _ in range(2))
    runs = bp.fit_many(together, X, LABELS, epochs=3, callbacks=[Changes()], client=client)
    assert runs.errors == {}
    for model, expected in zip(together, apart, strict=True):
        expected.fit(X, LABELS, epochs=3, callbacks=[Changes()])
        for one in (model, expected):
            one.fit(X, LABELS, epochs=1)
        assert state_of(model) == state_of(expected)
        assert repr(model) == repr(expected)


class Exits(bp.Callback):
    """Ends the process, as it thinks."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        raise SystemExit(3)


def test_system_exit_ends_all(client: Any) -> None:
    with pytest.raises(SystemExit):
        bp.fit_many([small("cross_entropy")], X, LABELS, callbacks=[Exits()], client=client)


def test_a_run_that_is_left_ends_on_its_worker(client: Any) -> None:
    model = small("cross_entropy")
    shared = Shared(X, {"y": LABELS}, None, None, None, 1)
    work = Work(0, model, partial(shared.of, 0, model), {"epochs": 10**9, "callbacks": []})
    end = time.monotonic() + 1
    cluster.Cluster(client, shared).do(work, lambda: time.monotonic() > end)
    assert model.epoch == 0

    def executing(dask_worker: Any) -> int:
        return len(dask_worker.state.executing) + sum(
            task.state == "cancelled" for task in dask_worker.state.tasks.values()
        )

    while any(client.run(executing).values()):
        assert time.monotonic() < end + 5
        time.sleep(0.05)


class Notes(bp.Callback):
    """Writes down each epoch where all processes can read it, and fails once."""

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number = path, number

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        with self.path.open("a") as file:
            file.write(f"{self.number} {epoch}\n")
        failed = self.path.with_suffix(".failed")
        if (self.number, epoch) == (2, 1) and not failed.exists():
            failed.touch()
            raise OSError("the disk is full")


@pytest.mark.filterwarnings("ignore:1 of 4 models failed:RuntimeWarning")
def test_with_a_directory_what_is_back_is_not_trained_again(client: Any, tmp_path: Path) -> None:
    notes, folder = tmp_path / "notes", tmp_path / "runs"

    def run(**where: Any) -> Any:
        return bp.fit_many(
            [random_model(seed) for seed in range(4)], X, LABELS, epochs=4, validation_data=VALIDATION,
            callbacks=lambda number: [*random_callbacks(number), Notes(notes, number)], **where,
        )  # fmt: skip

    def noted() -> dict[int, int]:
        found = [int(line.split()[0]) for line in notes.read_text().splitlines()]
        notes.write_text("")
        return {number: found.count(number) for number in {*found}}

    first = run(client=client, directory=folder)
    assert [*first.errors] == [2]
    files = [file.name for file in sorted(folder.iterdir())]
    assert files == ["00000.safetensors", "00001.safetensors", "00003.safetensors"]
    noted()
    second = run(client=client, directory=folder)
    assert noted() == {2: second.rows[2]["epochs"]}
    alone = run()
    noted()
    for again in (second, run(client=client, directory=folder), run(directory=folder)):
        assert again.rows == alone.rows
        assert [state_of(model) for model in again.models] == [state_of(model) for model in alone.models]
    assert noted() == {}


def test_a_search_with_a_directory_goes_on_here_and_there(client: Any, tmp_path: Path) -> None:
    space = {"width": [4, 8, 16], "lr": lambda rng: 10 ** rng.uniform(-4, -0.5)}
    options: dict[str, Any] = {
        "strategy": "halving", "epochs": 4, "factor": 2, "ahead": 4, "validation_data": VALIDATION
    }  # fmt: skip

    def searched(trials: int, **where: Any) -> Any:
        return bp.search(build, space, X, LABELS, trials=trials, **options, **where)

    expected = rows(searched(6))
    found = searched(6, client=client, directory=tmp_path)
    assert rows(found) == expected
    assert len([*tmp_path.glob("*.safetensors")]) == 6
    assert rows(searched(6, directory=tmp_path)) == expected
    assert rows(searched(6, client=client, directory=tmp_path)) == expected


def test_a_file_that_cannot_be_written_is_the_error_of_its_model(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a full disk would.
    monkeypatch.setattr(
        Directory, "write", lambda self, number, engine: save(engine, tmp_path / "none" / "file")
    )
    with pytest.warns(RuntimeWarning, match="1 of 1 models failed"):
        runs = bp.fit_many([small("cross_entropy")], X, LABELS, client=client, directory=tmp_path)
    assert isinstance(runs.errors[0], bp.CheckpointError)
    assert int(runs.models[0].engine.step_count[0]) > 0


def test_a_client_without_workers_is_refused() -> None:
    options = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**options) as local,
        distributed.Client(local) as empty,
        pytest.raises(ValueError, match=r"client has no workers, expected at least one: client\.wait_for"),
    ):
        bp.fit_many([small("cross_entropy")], X, LABELS, client=empty)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threads": 2}, "threads is 2 and client is given"),
        ({"client": 1}, "client is 1, expected a dask.distributed.Client"),
    ],
)
def test_refused(client: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bp.fit_many([small("cross_entropy")], X, LABELS, **{"client": client} | given)
    search = {"space": {"width": [4], "lr": [0.1]}, "validation_data": VALIDATION, "trials": 1}
    with pytest.raises((TypeError, ValueError), match=message):
        bp.search(build, X=X, y=LABELS, **{"client": client} | search | given)  # type: ignore[arg-type]

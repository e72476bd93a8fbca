"""Checkpoints: training goes on to the same bits, nothing is ever lost, and no file makes trouble."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import checkpoint, nn, optim, storage, tensors
from backpass.optim import schedules

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 6)).astype(np.float32)
LABELS = RNG.integers(0, 3, 90)
XV, LABELS_V = RNG.standard_normal((30, 6)).astype(np.float32), RNG.integers(0, 3, 30)
TESTS = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(Path(bp.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
}


def network() -> nn.Layer:
    """Every kind of state: running statistics, dropout, a layer that stands in two places."""
    shared = nn.Linear(8, 8, init="he_normal")
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), shared, nn.GELU("tanh"), shared,
        nn.Residual(nn.Linear(8, 8, bias=False), nn.LayerNorm((8,)), nn.BatchNorm1d(8, momentum=None), nn.ELU(0.5)),
        nn.Linear(8, 3),
    )  # fmt: skip


def own_loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """A loss that no file can describe."""
    difference = pred - np.eye(3)[y]
    return float((difference**2).mean()), 2 * difference / difference.size


def model(optimizer: Any = "adam", loss: Any = "cross_entropy", **options: Any) -> bp.Model:
    return bp.Model(network(), loss, optimizer, **options)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: name for name in sorted(optim.NAMES)},
    "nesterov": lambda: optim.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01, clip_grad_norm=0.5),
    "amsgrad": lambda: optim.Adam(1e-2, betas=(0.8, 0.99), amsgrad=True, clip_grad_value=0.1),
    "centered": lambda: optim.RMSprop(momentum=0.5, centered=True),
    "accumulator": lambda: optim.Adagrad(initial_accumulator_value=0.1, lr_decay=0.01),
    "step": lambda: optim.SGD(schedules.step(0.1, 7, 0.5), momentum=0.9),
    "exponential": lambda: optim.SGD(schedules.exponential(0.1, 7, 0.5)),
    "cosine": lambda: optim.AdamW(schedules.cosine(0.01, 50, 0.001)),
    "warmup_cosine": lambda: optim.NAdam(schedules.warmup_cosine(0.01, 10, 50)),
    "one_cycle": lambda: optim.Lion(schedules.one_cycle(0.001, 60)),
    "piecewise": lambda: optim.Adadelta(schedules.piecewise(0.5, {8: 0.5, 20: 0.1})),
}


def bits(trained: bp.Model) -> dict[str, Any]:
    """All that training goes on from, as hexadecimal digits."""
    arrays = trained.state_dict() | {slot: trained.optimizer_state[slot] for slot in trained.optimizer.slots}
    found = {name: array.tobytes().hex() for name, array in arrays.items()}
    return found | {"epoch": trained.epoch, "steps": int(trained.step_count[0]), "lr": trained.lr.hex()}


def stopping(restore: bool) -> bp.EarlyStopping:
    return bp.EarlyStopping("val_loss", patience=6, restore_best=restore)


def fit(trained: bp.Model, epochs: int, name: str, **options: Any) -> bp.Model:
    """What is the same in all runs."""
    if name.startswith("early"):
        options |= {"validation_data": (XV, LABELS_V), "callbacks": [stopping(name == "early_best")]}
    if name == "plateau":
        callback = bp.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=0.05)
        options |= {"callbacks": [callback]}
    trained.fit(X, LABELS, epochs=epochs, batch_size=20, **options)
    return trained


CASES: dict[str, Callable[[], bp.Model]] = {
    **{name: lambda make=make: model(make()) for name, make in OPTIMIZERS.items()},
    "float64": lambda: model(dtype="float64", seed=2**63 - 1),
    "weighted": lambda: model(loss=nn.CrossEntropyLoss(np.array([1, 2, 0.3]), label_smoothing=0.1)),
    "numpy": lambda: model(backend="numpy"),
    "early_best": lambda: model(optim.SGD(0.2)),
    "early_last": lambda: model(optim.SGD(0.2)),
    "plateau": lambda: model(optim.SGD(0.2)),
    "callable": lambda: model(loss=own_loss),
}


def go_on(folder: Path) -> None:
    """The second process: load each file, train on, print the bits."""
    found = {}
    for name in CASES:
        options = {"loss": own_loss} if name == "callable" else {}
        backend = "numpy" if name == "numpy" else "auto"
        loaded = bp.load(folder / f"{name}.safetensors", backend, **options)
        found[name] = bits(fit(loaded, 6, name))
    print(json.dumps(found))


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """fit(4), save, new process, load, fit(6): the bits of every case."""
    folder = tmp_path_factory.mktemp("resumed")
    for name, make in CASES.items():
        fit(make(), 4, name).save(folder / f"{name}.safetensors")
    command = f"import test_checkpoint as t, pathlib; t.go_on(pathlib.Path({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=TESTS,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# ---- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_ten_epochs_are_four_and_six(name: str, resumed: dict[str, Any]) -> None:
    whole = fit(CASES[name](), 10, name)
    assert resumed[name] == bits(whole)
    assert bits(fit(fit(CASES[name](), 4, name), 6, name)) == bits(whole)  # in one process, too


def test_early_stopping_had_something_to_do() -> None:
    best, last = fit(CASES["early_best"](), 10, "early_best"), fit(CASES["early_last"](), 10, "early_last")
    assert bits(best) != bits(last)
    rates = [fit(CASES["plateau"](), epochs, "plateau").lr for epochs in (4, 10)]
    assert rates[1] < rates[0]


class Stop(bp.Callback):
    """An accident after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def pace(self) -> int:
        return max(self.steps - int(self.model.step_count[0]), 1)

    def on_slice_end(self, step: int, logs: Any) -> None:
        if self.model.step_count[0] >= self.steps:
            raise RuntimeError("an accident")


@pytest.mark.parametrize("loss", ["cross_entropy", own_loss])
@pytest.mark.parametrize("steps", [2, 3, 5, 6, 7, 10, 11, 14])
def test_resume_in_mid_epoch(tmp_path: Path, steps: int, loss: Any) -> None:
    path, options = tmp_path / "run.safetensors", {} if isinstance(loss, str) else {"loss": loss}
    arguments: dict[str, Any] = {"batch_size": 20, "validation_data": (XV, LABELS_V)}
    whole, broken = model(loss=loss), model(loss=loss)
    history = whole.fit(X, LABELS, epochs=3, callbacks=[stopping(False)], **arguments)
    callbacks = [bp.ModelCheckpoint(path, every="1 step"), Stop(steps), stopping(False)]
    with pytest.raises(RuntimeError, match="an accident"):
        broken.fit(X, LABELS, epochs=3, callbacks=callbacks, **arguments)
    loaded = bp.load(path, **options)
    assert loaded.step_count[0] == steps - 1  # the accident came before the checkpoint of its slice
    again = loaded.fit(
        X, LABELS, epochs=3, validation_data=(XV, LABELS_V), callbacks=[stopping(False)], resume=True
    )
    assert bits(loaded) == bits(whole)
    assert again.history == history.history
    assert again.epoch == history.epoch
    broken.fit(
        X, LABELS, epochs=3, callbacks=[stopping(False)], resume=True, **arguments
    )  # in the same process
    assert bits(broken) == bits(whole)


def test_resume_without_shuffling_and_with_weights(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"epochs": 3, "sample_weight": np.arange(90.0), "class_weight": "balanced"}
    whole, part = model(), model()
    whole.fit(X, LABELS, batch_size=7, shuffle=False, **arguments)
    part.fit(X, LABELS, batch_size=7, shuffle=False, max_seconds=0, **arguments)
    part.save(tmp_path / "part")
    loaded = bp.load(tmp_path / "part")
    loaded.fit(X, LABELS, resume=True, **arguments)  # batch_size and shuffle are taken over
    assert bits(loaded) == bits(whole)


def test_many_short_runs_make_a_long_one(tmp_path: Path) -> None:
    whole, path = model("nadam"), tmp_path / "run"
    whole.fit(X, LABELS, epochs=4, batch_size=20)
    model("nadam").save(path)
    runs, part = 0, bp.load(path)
    while part.epoch < 4:
        part, runs = bp.load(path), runs + 1
        part.fit(X, LABELS, epochs=4, batch_size=20, max_seconds=0, callbacks=[Every()], resume=True)
        part.save(path)
    assert runs >= 20  # a step each
    assert bits(part) == bits(whole)


class Every(bp.Callback):
    """Every batch is a slice."""

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        pass


def test_max_seconds() -> None:
    big = np.resize(X, (200_000, 6))
    trained = model()
    history = trained.fit(big, np.resize(LABELS, len(big)), epochs=1000, batch_size=10, max_seconds=0.2)
    run = trained.last_run
    assert run is not None
    assert trained.step_count[0] == len(history.epoch) * 20_000 + -(-run.at.rows // 10) > 0
    with pytest.raises(ValueError, match="max_seconds is -1, expected None or a number of at least 0"):
        trained.fit(big, np.resize(LABELS, len(big)), max_seconds=-1)


def test_resume_after_the_end_and_from_nothing() -> None:
    fresh, whole = model(), model()
    fresh.fit(X, LABELS, epochs=2, resume=True)
    fresh.fit(X, LABELS, epochs=2, resume=True)  # nothing is left to do
    fresh.fit(X, LABELS, epochs=5, resume=True)  # counts from the start of the run
    whole.fit(X, LABELS, epochs=5)
    assert bits(fresh) == bits(whole)


def test_a_run_that_was_stopped_early_is_over(tmp_path: Path) -> None:
    def fitted(trained: bp.Model, **options: Any) -> bp.History:
        callbacks = [bp.ModelCheckpoint(tmp_path / "run"), bp.EarlyStopping("val_loss", patience=1)]
        return trained.fit(
            X, LABELS, epochs=60, validation_data=(XV, LABELS_V), callbacks=callbacks, **options
        )

    trained = model(optim.SGD(0.5))
    stopped = len(fitted(trained).epoch)
    assert stopped < 60
    loaded = bp.load(tmp_path / "run")
    assert len(fitted(loaded, resume=True).epoch) == stopped
    assert bits(loaded) == bits(trained)  # the best weights came back
    assert len(fitted(loaded).epoch) >= 2  # a new run has new patience


def test_new_data_make_a_new_run(tmp_path: Path) -> None:
    trained = fit(model(), 4, "early_best")
    other = X + 1
    callback = stopping(True)
    callback.patience = 1000
    trained.fit(other, LABELS, epochs=3, validation_data=(XV + 1, LABELS_V), callbacks=[callback])
    assert trained.last_run is not None
    losses = trained.last_run.history.history["val_loss"]
    assert len(losses) == 3
    assert callback.best == min(losses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": X[:80], "y": LABELS[:80]}, "X, y, sample_weight or class_weight are not those"),
        ({"X": X + 1}, "X, y, sample_weight or class_weight are not those"),
        ({"y": (LABELS + 1) % 3}, "X, y, sample_weight or class_weight are not those"),
        ({"sample_weight": np.ones(90)}, "X, y, sample_weight or class_weight are not those"),
        ({"validation_data": (X, LABELS)}, "validation_data are not those"),
        ({"batch_size": 21}, "batch_size is 21, but in the interrupted run it was 20"),
        ({"shuffle": False}, "shuffle is False, but in the interrupted run it was True"),
    ],
)
def test_resume_wants_the_same_run(change: dict[str, Any], message: str) -> None:
    trained = model()
    trained.fit(X, LABELS, epochs=2, batch_size=20, max_seconds=0)
    before = bits(trained)
    with pytest.raises(ValueError, match=message):
        trained.fit(**({"X": X, "y": LABELS, "epochs": 2, "resume": True} | change))
    assert bits(trained) == before
    trained.step(X[:5], LABELS[:5])
    with pytest.raises(ValueError, match="the model made other steps"):
        trained.fit(X, LABELS, epochs=2, resume=True)


def test_resume_says_what_is_missing() -> None:
    trained = model()
    trained.fit(X, LABELS, epochs=9, max_seconds=0, callbacks=[bp.EarlyStopping("loss", patience=5)])
    with pytest.warns(UserWarning, match="the interrupted run had EarlyStopping among its callbacks"):
        trained.fit(X, LABELS, epochs=1, resume=True)
    trained.fit(X, LABELS, epochs=9, max_seconds=0, callbacks=[bp.EarlyStopping("loss", patience=5)])
    with pytest.raises(ValueError, match=r"EarlyStopping cannot go on: .*monitor is 'lr', but"):
        trained.fit(X, LABELS, epochs=2, resume=True, callbacks=[bp.EarlyStopping("lr")])


@pytest.mark.parametrize("which", ["best_state", "last_state"])
def test_the_state_of_a_callback_fits_the_network_or_is_refused(which: str) -> None:
    def stopping() -> bp.EarlyStopping:
        return bp.EarlyStopping("loss", patience=5)

    trained = model()
    trained.fit(X, LABELS, epochs=9, max_seconds=0, callbacks=[stopping()])
    assert trained.last_run is not None
    [(name, state)] = trained.last_run.states
    trained.last_run.states = [(name, state | {which: {"another": np.zeros(3)}, "best": -99.0})]
    with pytest.raises(ValueError, match=r"EarlyStopping cannot go on: .*unknown keys \['another'\]"):
        trained.fit(X, LABELS, epochs=9, resume=True, callbacks=[stopping()])
    afresh = stopping()
    trained.fit(X, LABELS, epochs=1, callbacks=[afresh])
    assert afresh.best > 0  # nothing of the state that does not fit was taken


def test_csv_log_goes_on(tmp_path: Path) -> None:
    logs = [tmp_path / "whole.csv", tmp_path / "parts.csv"]
    whole = model()
    whole.fit(X, LABELS, epochs=6, batch_size=20, callbacks=[bp.CSVLogger(str(logs[0]))])
    part = model()
    checkpoints = bp.ModelCheckpoint(tmp_path / "run", every="3 epochs")
    with pytest.raises(RuntimeError, match="an accident"):
        part.fit(
            X, LABELS, epochs=6, batch_size=20, callbacks=[bp.CSVLogger(str(logs[1])), checkpoints, Stop(22)]
        )
    assert len(logs[1].read_text().splitlines()) == 5  # four epochs, one more than the checkpoint has seen
    with open(logs[1], "a") as file:
        file.write("4,0.5")  # the beginning of another
    loaded = bp.load(tmp_path / "run")
    loaded.fit(X, LABELS, epochs=6, callbacks=[bp.CSVLogger(str(logs[1]))], resume=True)
    assert logs[0].read_text() == logs[1].read_text()


def test_a_copy_resumes_like_the_original() -> None:
    import copy

    whole, part = model(), model()
    whole.fit(X, LABELS, epochs=2, batch_size=20)
    part.fit(X, LABELS, epochs=2, batch_size=20, max_seconds=0)
    other = copy.deepcopy(part)
    other.fit(X, LABELS, epochs=2, resume=True)
    assert bits(other) == bits(whole)


# ---- what a file says ------------------------------------------------------------------------------------------------


def test_loaded_is_what_was_saved(tmp_path: Path) -> None:
    trained = fit(model(optim.Adam(schedules.cosine(0.01, 99)), seed=5), 2, "")
    trained.save(tmp_path / "run.safetensors")
    loaded = bp.load(str(tmp_path / "run.safetensors"), backend="numpy", threads=1)
    assert bits(loaded) == bits(trained)
    assert (loaded.backend.name, loaded.threads, loaded.seed) == ("numpy", 1, 5)
    assert repr(loaded.net) == repr(trained.net)
    assert repr(loaded.optimizer) == repr(trained.optimizer)
    assert loaded.net[4] is loaded.net[6]  # still shared
    assert [*tmp_path.iterdir()] == [tmp_path / "run.safetensors"]


def test_other_tools_can_read_it(tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.numpy").load_file
    trained = fit(model(), 1, "")
    trained.save(tmp_path / "run.safetensors")
    tensors = load_file(tmp_path / "run.safetensors")
    for name, array in trained.state_dict().items():
        assert np.array_equal(tensors[f"model.{name}"], array)
    assert tensors["optimizer.m.0.weight"].shape == (8, 6)


@pytest.mark.parametrize("dtype", [*tensors.DTYPES.values()])
def test_the_format_is_that_of_the_library(tmp_path: Path, dtype: str) -> None:
    library = pytest.importorskip("safetensors.numpy")
    numbers = np.arange(1, 25)
    arrays = {
        "matrix": numbers.astype(dtype).reshape(2, 12),
        "transposed": numbers.astype(dtype).reshape(4, 6).T,
        "strided": numbers.astype(dtype)[::3],
        "swapped": numbers.astype(np.dtype(dtype).newbyteorder()),
        "one": np.array(7, dtype),
        "none": np.zeros((3, 0), dtype),
        'other ü "': np.ones(3, np.int64),
    }
    header, order = tensors.encode(
        {k: v for k, v in arrays.items() if k != "swapped"}, {"sha256": "x", "ü": '"'}
    )
    ours = header + b"".join(bytes(tensors.raw(arrays[name])) for name in order)
    plain = {
        name: np.array(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()
    }
    assert bytes(tensors.raw(arrays["swapped"])) == plain["swapped"].tobytes()
    plain.pop("swapped")
    theirs = library.save(plain, {"sha256": "x", "ü": '"'})
    for data in (ours, theirs):
        found = library.load(data)
        assert found.keys() == plain.keys()
        assert all(
            found[name].dtype == array.dtype and np.array_equal(found[name], array)
            for name, array in plain.items()
        )
        end = 8 + int.from_bytes(data[:8], "little")
        metadata, entries = tensors.decode(data[8:end])
        assert metadata == {"sha256": "x", "ü": '"'}
        assert len(entries) == len(plain)
        for name, kind, shape, start, stop in entries:
            array = np.frombuffer(data[end + start : end + stop], kind).reshape(shape)
            assert array.dtype == plain[name].dtype
            assert np.array_equal(array, plain[name])


class Doubled(nn.Layer):
    """A layer of the user's."""

    def emit(self, builder: Any, x: Any) -> Any:
        return builder.emit("add", a=x, b=x)


def test_what_a_file_cannot_describe(tmp_path: Path) -> None:
    def make() -> nn.Layer:
        return nn.Sequential(nn.Linear(6, 4), Doubled(), nn.Linear(4, 3))

    path = tmp_path / "run"
    trained = bp.Model(make(), own_loss, "adam")
    fit(trained, 2, "").save(path)
    with pytest.raises(
        bp.CheckpointError, match=r"its net \(Doubled is not a class of backpass\).*bp.load\(path, net="
    ):
        bp.load(path)
    with pytest.raises(
        bp.CheckpointError, match=r"its loss \(function is not a class of backpass\).*loss=\.\.\."
    ):
        bp.load(path, net=make())
    with pytest.raises(
        bp.CheckpointError, match=r"model.0.weight is float32 \(4, 6\), expected float32 \(5, 6\)"
    ):
        bp.load(path, net=nn.Sequential(nn.Linear(6, 5)), loss=own_loss)
    loaded = bp.load(path, net=make(), loss=own_loss)
    assert bits(fit(loaded, 2, "")) == bits(fit(trained, 2, ""))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: setattr(m.net[3], "p", 0.9), r"p of layer 3 \(Dropout\(p=0.9\)\) was changed"),
        (lambda m: m.net.layers.insert(5, nn.Tanh()), "layers were added"),
        (lambda m: m.net.layers.__setitem__(5, nn.Tanh()), "layers were added"),
        (lambda m: m.optimizer.scalars.update(beta1=0.5), "scalars of Adam was changed"),
        (
            lambda m: setattr(m.loss, "label_smoothing", 0.5),
            "label_smoothing of CrossEntropyLoss was changed",
        ),
    ],
)
def test_what_was_changed_after_it_was_made(tmp_path: Path, change: Callable[[Any], None], what: str) -> None:
    trained = model()
    change(trained)
    trained.save(tmp_path / "run")
    with pytest.raises(bp.CheckpointError, match=what):
        bp.load(tmp_path / "run")


# ---- ModelCheckpoint -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_keep(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "run.safetensors"
    model().fit(X, LABELS, epochs=5, callbacks=[bp.ModelCheckpoint(path, keep=keep)])
    files = [path, *(tmp_path / f"run.safetensors.{n}" for n in range(1, keep))]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert [bp.load(file).epoch for file in files] == [5, 4, 3][:keep]


def test_falls_back_to_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    whole = model()
    whole.fit(X, LABELS, epochs=5, callbacks=[bp.ModelCheckpoint(path, keep=3)])
    for epoch, damage in ((4, lambda: path.write_bytes(path.read_bytes()[:-1])), (4, path.unlink)):
        damage()
        with pytest.warns(
            RuntimeWarning, match=r"run.safetensors (is damaged|does not exist).*Loaded .*\.1, the"
        ):
            loaded = bp.load(path)
        assert loaded.epoch == epoch
    loaded.fit(X, LABELS, epochs=5, resume=True)
    assert bits(loaded) == bits(whole)
    (tmp_path / "run.safetensors.1").write_bytes(b"")
    with pytest.warns(RuntimeWarning, match=r"Loaded .*\.2, the"):
        assert bp.load(path).epoch == 3
    link = tmp_path / "elsewhere" / "latest"
    link.parent.mkdir()
    link.symlink_to(path)
    with pytest.warns(RuntimeWarning, match=r"Loaded .*run.safetensors\.2, the"):
        assert bp.load(link).epoch == 3  # the older ones are where the file is
    (tmp_path / "run.safetensors.2").unlink()
    with pytest.raises(bp.CheckpointError, match=r"run.safetensors does not exist"):
        bp.load(path)


def test_falls_back_where_the_medium_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO is damage; no right to read is not, and says so."""
    path, header = tmp_path / "run", storage._header
    model().fit(X, LABELS, epochs=3, callbacks=[bp.ModelCheckpoint(path, keep=2)])

    def failing(code: int) -> Callable[..., Any]:
        def read(name: Path, file: Any) -> Any:
            if name == path:
                raise OSError(code, os.strerror(code))
            return header(name, file)

        return read

    monkeypatch.setattr(storage, "_header", failing(errno.EIO))
    with pytest.warns(RuntimeWarning, match=r"cannot be read: .*Loaded .*\.1, the"):
        assert bp.load(path).epoch == 2
    monkeypatch.setattr(storage, "_header", failing(errno.EACCES))
    with pytest.raises(bp.CheckpointError, match="cannot be read"):
        bp.load(path)


def test_a_damaged_file_does_not_push_out_a_good_one(tmp_path: Path) -> None:
    path, older = tmp_path / "run", tmp_path / "run.1"
    trained = model()
    trained.fit(X, LABELS, epochs=2, callbacks=[bp.ModelCheckpoint(path, keep=2)])
    path.write_bytes(path.read_bytes()[:-1])
    good = older.read_bytes()
    with pytest.raises(RuntimeError, match="an accident"):
        trained.fit(
            X, LABELS, batch_size=30, callbacks=[bp.ModelCheckpoint(path, every="1 step", keep=2), Stop(8)]
        )
    assert older.read_bytes() == good
    assert bp.load(path).step_count[0] == 7
    trained.fit(X, LABELS, epochs=2, callbacks=[bp.ModelCheckpoint(path, keep=2)])
    assert bp.load(older).epoch == bp.load(path).epoch - 1


@pytest.mark.parametrize("links", [True, False])
def test_the_newest_file_is_never_missing(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the file system has no links: whoever looks whether there is a checkpoint finds one."""
    path, replace = tmp_path / "run", os.replace

    def watched(*names: Any) -> None:
        assert path.exists()
        replace(*names)
        assert path.exists()

    trained = model()
    trained.save(path)
    monkeypatch.setattr(os, "replace", watched)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: full())
    trained.fit(X, LABELS, epochs=4, callbacks=[bp.ModelCheckpoint(path, keep=3)])
    assert [bp.load(tmp_path / name).epoch for name in ("run", "run.1", "run.2")] == [4, 3, 2]
    assert len([*tmp_path.iterdir()]) == 3


def test_several_writers_of_one_file(tmp_path: Path) -> None:
    """Two processes and two threads: every call succeeds, and whatever file is there is whole."""
    path = tmp_path / "run"
    code = "import sys, test_checkpoint as t; m = t.model(); [t.checkpoint.save(m, sys.argv[1], 3) for _ in range(100)]"
    command = [sys.executable, "-c", code, str(path)]
    others = [subprocess.Popen(command, cwd=TESTS, env=ENVIRONMENT, stderr=subprocess.PIPE) for _ in range(2)]
    models = [model(seed=seed) for seed in (0, 1)]
    failed: list[Exception] = []

    def write(trained: bp.Model) -> None:
        try:
            while any(other.poll() is None for other in others):
                checkpoint.save(trained, path, 3)
                storage.read(path)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[trained]) for trained in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.communicate()[1] for other in others] == [b"", b""]
    assert not failed
    assert all(storage.is_whole(tmp_path / name) for name in ("run", "run.1", "run.2"))


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run"
    model().save(path)
    path.chmod(0o600)
    model().save(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_steps_and_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        checkpoint, "save", lambda model, *_, **options: seen.append(int(model.step_count[0]))
    )
    model().fit(
        X, LABELS, epochs=3, batch_size=20, callbacks=[bp.ModelCheckpoint(tmp_path / "a", every="4 steps")]
    )
    assert seen == [4, 8, 12, 15]  # and the end
    seen.clear()
    model().fit(
        X, LABELS, epochs=4, batch_size=20, callbacks=[bp.ModelCheckpoint(tmp_path / "a", every="2 epochs")]
    )
    assert seen == [10, 20]
    seen.clear()
    callbacks = [bp.ModelCheckpoint(tmp_path / "a", every="999999999s"), Every()]
    model().fit(X, LABELS, epochs=2, batch_size=20, callbacks=callbacks)
    assert seen == [10]
    seen.clear()
    callbacks = [bp.ModelCheckpoint(tmp_path / "a", every="0.0000001 s"), Every()]
    model().fit(X, LABELS, epochs=2, batch_size=20, callbacks=callbacks)
    assert seen == [*range(1, 11)]


def test_only_the_best(tmp_path: Path) -> None:
    trained, path = model(optim.SGD(0.5)), tmp_path / "best"
    callback = bp.ModelCheckpoint(path, monitor="val_loss")
    history = trained.fit(X, LABELS, epochs=12, validation_data=(XV, LABELS_V), callbacks=[callback])
    losses = history.history["val_loss"]
    assert bp.load(path).epoch == 1 + int(np.argmin(losses)) < 12
    assert bp.load(path).evaluate(XV, LABELS_V)["loss"] == min(losses)


@pytest.mark.parametrize(
    "options",
    [{"every": e} for e in ("", "5", "0 steps", "1.5 steps", "s", "3 hours", 5, None)]
    + [{"keep": k} for k in (0, -1, 1.5, True)]
    + [{"monitor": "loss", "every": "3 steps"}],
)
def test_model_checkpoint_checks_its_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ModelCheckpoint: (every|keep) is"):
        bp.ModelCheckpoint("run", **options)


# ---- files that are not what they should be --------------------------------------------------------------------------


def forge(
    path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], Any], version: str = "1"
) -> None:
    """A file with a good checksum and other contents."""
    tensors, metadata = storage.read(path)
    contents = json.loads(metadata["backpass"])
    change(contents, tensors)
    storage.write(path, tensors, {"backpass_format": version, "backpass": json.dumps(contents)})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run.safetensors"
    fit(model(), 1, "early_best").save(path)
    return path


def refused(path: Path, match: str | None = None) -> None:
    with pytest.raises(bp.CheckpointError, match=match) as caught:
        bp.load(path)
    assert str(path) in str(caught.value)


def test_truncated(saved: Path) -> None:
    whole = saved.read_bytes()
    for size in [*range(64), *range(64, len(whole), len(whole) // 60), len(whole) - 1]:
        saved.write_bytes(whole[:size])
        refused(saved, "damaged")
    saved.write_bytes(whole + b"\0")
    refused(saved, "damaged: its header promises")


def test_flipped_bits(saved: Path) -> None:
    whole, moments = saved.read_bytes(), random.Random(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(64), *(8 * moments.randrange(header) + moments.randrange(8) for _ in range(150))]
    places += [8 * moments.randrange(header, len(whole)) + moments.randrange(8) for _ in range(100)]
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        saved.write_bytes(flipped)
        refused(saved)


def test_headers_that_lie(saved: Path, tmp_path: Path) -> None:
    tracemalloc.start()
    for claimed in (2**63, 2**64 - 1, 10**9, 10**8, saved.stat().st_size):
        saved.write_bytes(claimed.to_bytes(8, "little") + b"{}" * 5000)
        refused(saved, "its header claims")
    for header in (
        b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b"[]",
        b'{"__metadata__":[]}',
        b'{"__metadata__":{"sha256":1}}',
        b'{"a":{"data_offsets":"many"}}',
        b'{"a":{"data_offsets":[0,1e999]}}',
        b"\xff" * 100,
    ):
        saved.write_bytes(len(header).to_bytes(8, "little") + header)
        refused(saved)
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as file:
        file.truncate(1 << 40)
    refused(sparse, "no header")
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


def test_overlapping_tensors(saved: Path) -> None:
    import hashlib

    blank = "0" * 64
    entries = {
        "__metadata__": {"backpass_format": "1", "backpass": "{}", "sha256": blank},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    }
    header = json.dumps(entries, separators=(",", ":"))
    data = len(header).to_bytes(8, "little") + header.encode() + bytes(12)
    digest = hashlib.sha256(data).hexdigest()
    saved.write_bytes(data.replace(blank.encode(), digest.encode()))
    refused(saved, "damaged")


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    refused(tmp_path, "a directory")
    refused(tmp_path / "nothing", "does not exist")
    (tmp_path / "empty").write_bytes(b"")
    refused(tmp_path / "empty", "it has 0 bytes")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        refused(tmp_path / "pipe", "no regular file")
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file({"weight": np.zeros(3)}, tmp_path / "other")
    refused(tmp_path / "other", "backpass did not write it")


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]
LINEAR = {"class": "Linear", "args": [10**9, 10**9], "kwargs": {}}
BOMB = [{"class": "ReLU", "args": [], "kwargs": {}}] + [
    {"class": "Sequential", "args": [{"layer": i}, {"layer": i}], "kwargs": {}} for i in range(60)
]
FORGED: dict[str, tuple[Change, str]] = {
    "shape": (
        lambda c, t: t.update({"model.0.bias": t["model.0.bias"][:-1]}),
        r"model.0.bias is float32 \(7,\)",
    ),
    "dtype": (
        lambda c, t: t.update({"model.0.bias": t["model.0.bias"].astype("f8")}),
        "model.0.bias is float64",
    ),
    "missing": (lambda c, t: t.pop("model.0.bias"), "model.0.bias is missing"),
    "moment missing": (lambda c, t: t.pop("optimizer.m.0.bias"), "optimizer.m.0.bias' is missing"),
    "moment shape": (
        lambda c, t: t.update({"optimizer.m.0.bias": np.zeros(3, "f")}),
        "optimizer.m.0.bias is float32",
    ),
    "moment NaN": (
        lambda c, t: _poison(t, "optimizer.m.0.bias"),
        "holds NaN",
    ),
    "more": (lambda c, t: t.update(more=np.zeros(3)), "it holds 'more'"),
    "NaN": (lambda c, t: _poison(t, "model.0.weight"), "model.0.weight holds NaN or infinity"),
    "count": (
        lambda c, t: t.update({"model.1.num_batches_tracked": np.array(-1)}),
        "num_batches_tracked holds -1, expected a count",
    ),
    "lr": (lambda c, t: t.update({"optimizer.lr": np.array([-1.0])}), "lr is -1.0"),
    "huge": (lambda c, t: c["model"]["net"].update(layers=[LINEAR]), "model.weight is missing"),
    "bomb": (lambda c, t: c["model"]["net"].update(layers=BOMB), "more than 131,072 layers"),
    "deep": (
        lambda c, t: c["model"]["net"].update(
            layers=[BOMB[0]]
            + [{"class": "Residual", "args": [{"layer": i}], "kwargs": {}} for i in range(5000)]
        ),
        "recursion",
    ),
    "cycle": (
        lambda c, t: c["model"]["net"].update(
            layers=[{"class": "Residual", "args": [{"layer": 0}], "kwargs": {}}]
        ),
        "there is no layer 0",
    ),
    "no layers": (lambda c, t: c["model"]["net"].update(layers=[]), "does not describe a model"),
    "class": (
        lambda c, t: c["model"]["net"]["layers"][0].update({"class": "os.system"}),
        "there is no 'os.system'",
    ),
    "loss class": (lambda c, t: c["model"]["loss"].update({"class": "Linear"}), "there is no 'Linear'"),
    "arguments": (lambda c, t: c["model"]["optimizer"].update(kwargs={"lr": "high"}), "lr is 'high'"),
    "unknown argument": (lambda c, t: c["model"]["optimizer"].update(kwargs={"x": 1}), "unexpected keyword"),
    "zero": (
        lambda c, t: c["model"]["optimizer"].update(
            args=[
                {
                    "schedule": "step_schedule",
                    "args": {"pairs": [["lr", 0.1], ["every", 0], ["factor", 1.0]]},
                }
            ]
        ),
        "every is 0",
    ),
    "model dtype": (lambda c, t: c["model"].update(dtype="object"), "dtype is 'object'"),
    "seed": (lambda c, t: c["model"].update(seed=-1), "seed is -1"),
    "step": (lambda c, t: c.update(step=2**63), "step is 9223372036854775808"),
    "epoch": (lambda c, t: c.update(epoch=1.5), "epoch is 1.5"),
    "cursor": (lambda c, t: c["run"].update(at=[-20, 0.0, 0.0]), "cursor is -20"),
    "cursor beyond": (lambda c, t: c["run"].update(at=[200, 0.0, 0.0]), "cursor is 200"),
    "cursor between": (lambda c, t: c["run"].update(at=[7, 0.0, 0.0]), "contradict"),
    "batch": (lambda c, t: c["run"].update(batch_size=0), "contradict"),
    "sampler": (lambda c, t: c["run"].update(sampler="fair"), "sampler is 'fair'"),
    "run": (lambda c, t: c["run"].pop("rows"), "'rows' is missing"),
    "callbacks": (
        lambda c, t: c["run"].update(callbacks=[["EarlyStopping", 5]]),
        "does not describe a model",
    ),
    "nothing": (lambda c, t: c.clear(), "'model' is missing"),
}


def _poison(tensors: dict[str, np.ndarray], name: str) -> None:
    tensors[name] = np.full_like(tensors[name], np.nan)


@pytest.mark.parametrize("name", FORGED)
def test_good_checksum_bad_contents(saved: Path, name: str) -> None:
    change, message = FORGED[name]
    forge(saved, change)
    tracemalloc.start()
    refused(saved, message)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


def test_a_newer_format(saved: Path) -> None:
    forge(saved, lambda c, t: None, version="2")
    refused(saved, "format 2, of a newer backpass")
    for version in ("0", "-1"):
        forge(saved, lambda c, t: None, version=version)
        refused(saved, "which no backpass ever wrote")


# ---- writing that fails ----------------------------------------------------------------------------------------------


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(saved: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(bp.CheckpointError, match="cannot be written: No space left") as caught:
            model().save(saved)
    assert str(saved) in str(caught.value)
    assert saved.read_bytes() == before
    assert [*saved.parent.iterdir()] == [saved]


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_file_that_may_not_grow(saved: Path) -> None:
    before = saved.read_bytes()
    code = (
        "import resource, sys, test_checkpoint as t\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "try: t.model().save(sys.argv[1])\n"
        "except t.bp.CheckpointError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, saved],
        cwd=TESTS,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: File too large" in done.stdout, done.stderr
    assert saved.read_bytes() == before
    assert [*saved.parent.iterdir()] == [saved]


def test_a_full_disk_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, path = model(), tmp_path / "run"
    calls = 0
    sync = os.fsync

    def sometimes(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if 3 <= calls < 6:  # the second checkpoint, and some after it: each good one syncs file and folder
            full()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sometimes)
    with pytest.warns(RuntimeWarning, match="training goes on, with the file before"):
        trained.fit(X, LABELS, epochs=8, callbacks=[bp.ModelCheckpoint(path)])
    assert bits(bp.load(path)) == bits(trained)
    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.warns(RuntimeWarning, match="training goes on"),
        pytest.raises(bp.CheckpointError, match="No space"),
    ):
        trained.fit(X, LABELS, epochs=2, callbacks=[bp.ModelCheckpoint(path)])  # the end is not passed over
    assert bp.load(path).epoch == 8


def test_weights_that_are_not_finite_do_not_replace_good_ones(saved: Path) -> None:
    trained, before = model(), saved.read_bytes()
    trained.net[0].weight[0, 0] = np.nan
    with pytest.raises(bp.CheckpointError, match=r"model.0.weight holds NaN or infinity"):
        trained.save(saved)
    assert saved.read_bytes() == before


@pytest.mark.parametrize("place", ["", "missing/run"])
def test_where_nothing_can_be_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(bp.CheckpointError, match="cannot be written"):
        model().save(tmp_path / place)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_and_leftovers(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "run"
    link.symlink_to(tmp_path / "real" / "run")
    leftover, young = (tmp_path / "real" / f".run.{n}-0123abcd.tmp" for n in (1, 2))
    for file in (leftover, young):
        file.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    model().save(link)
    assert link.is_symlink()
    assert sorted(file.name for file in (tmp_path / "real").iterdir()) == [young.name, "run"]
    bp.load(link)


ODD_STATES = [5, {"x": object()}, {(1, 2): 3}, {"x": np.array(["a"])}, {"x": 2**70}, "raises"]


@pytest.mark.parametrize("state", ODD_STATES, ids=["number", "object", "key", "text", "large", "raises"])
def test_a_state_that_could_not_be_read_back_is_not_written(saved: Path, state: Any) -> None:
    """A warning, the file before stays, the run goes on; at the end it is an error."""

    class Odd(bp.Callback):
        def state_dict(self) -> Any:
            if state == "raises":
                raise OSError("an accident")
            return state

    before, trained = saved.read_bytes(), model()
    what = "cannot be (read back|written down)"
    with (
        pytest.warns(RuntimeWarning, match=f"{what}.*training goes on"),
        pytest.raises(OSError if state == "raises" else bp.CheckpointError, match=f"{what}|an accident"),
    ):
        trained.fit(X, LABELS, epochs=2, callbacks=[Odd(), bp.ModelCheckpoint(saved)])
    assert trained.epoch == 2
    assert saved.read_bytes() == before


# ---- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="needs fork and SIGKILL"
)
def test_killed_at_random_moments() -> None:
    command = [sys.executable, "-W", "ignore", TESTS / "long" / "kills.py", "--kills", "8"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_forged_files() -> None:
    command = [sys.executable, TESTS / "long" / "hostile.py", "--cases", "200", "--seed", "3701721945"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_warns(saved: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.load(saved)

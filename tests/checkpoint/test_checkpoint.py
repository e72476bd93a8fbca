"""What a checkpoint holds, and how ModelCheckpoint writes it."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.checkpoint import files as storage
from backpass.checkpoint import safetensors as tensors
from backpass.checkpoint import save as checkpoint
from backpass.ops import add
from backpass.optim import schedules
from helpers import nets
from helpers.checkpoints import (
    LABELS,
    LABELS_V,
    XV,
    Every,
    Stop,
    X,
    bits,
    fit,
    full,
    model,
    own_loss,
)
from helpers.processes import ENVIRONMENT
from helpers.registered import sample_losses

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


@pytest.mark.parametrize("name", sample_losses())
def test_every_loss_is_loaded_as_it_was_saved(tmp_path: Path, name: str) -> None:
    sample = sample_losses()[name]
    trained = bp.Model(sample.net(nn.Linear(6, sample.outputs)), sample.make())
    trained.fit(nets.X, sample.y)
    trained.save(tmp_path / "run")
    loaded = bp.load(tmp_path / "run")
    assert repr(loaded.loss) == repr(trained.loss)
    assert loaded.evaluate(nets.X, sample.y) == trained.evaluate(nets.X, sample.y)


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


class Doubled(nn.Module):
    """A layer of the user's."""

    def emit(self, builder: Any, x: Any) -> Any:
        return builder.emit(add, a=x, b=x)


def test_what_a_file_cannot_describe(tmp_path: Path) -> None:
    def make() -> nn.Module:
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
        (lambda m: m.net.__dict__.update(layers=m.net.layers[:3]), "layers were added"),
        (lambda m: m.optimizer.scalars.update(beta1=0.5), "scalars of Adam was changed"),
    ],
)
def test_what_was_changed_after_it_was_made(tmp_path: Path, change: Callable[[Any], None], what: str) -> None:
    trained = model()
    change(trained)
    with pytest.warns(RuntimeWarning, match=f"cannot describe its .*{what}"):
        trained.save(tmp_path / "run")
    with pytest.raises(bp.CheckpointError, match=what):
        bp.load(tmp_path / "run")


# ---- ModelCheckpoint -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, 3, 2**62])
def test_keep(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "run.safetensors"
    model().fit(X, LABELS, epochs=5, callbacks=[bp.ModelCheckpoint(path, keep=keep)])
    files = [path, *(tmp_path / f"run.safetensors.{n}" for n in range(1, min(keep, 5)))]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert [bp.load(file).epoch for file in files] == [5, 4, 3, 2, 1][:keep]


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
        def read(name: Path, file: Any, size: int) -> Any:
            if name == path:
                raise OSError(code, os.strerror(code))
            return header(name, file, size)

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
    assert bp.load(path).engine.step_count[0] == 7
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
    code = (
        "import sys; from backpass.checkpoint.save import save; from helpers.checkpoints import model; m = model();"
        "[save(m.engine, sys.argv[1], 3) for _ in range(100)]"
    )
    command = [sys.executable, "-c", code, str(path)]
    others = [subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE) for _ in range(2)]
    models = [model(seed=seed) for seed in (0, 1)]
    failed: list[Exception] = []

    def write(trained: bp.Model) -> None:
        try:
            while any(other.poll() is None for other in others):
                checkpoint.save(trained.engine, path, 3)
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
        checkpoint, "save", lambda engine, *_, **options: seen.append(int(engine.step_count[0]))
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

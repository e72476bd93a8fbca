"""No file makes trouble: damaged, forged, or one that cannot be written; and nothing is ever lost."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass.checkpoint import files as storage
from helpers.checkpoints import LABELS, X, bits, fit, full, model
from helpers.processes import ENVIRONMENT, LONG

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
    "unknown argument": (
        lambda c, t: c["model"]["optimizer"].update(kwargs={"x": 1}),
        "Adam has no argument 'x'",
    ),
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
        "import resource, sys, backpass as bp\n"
        "from helpers.checkpoints import model\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "try: model().save(sys.argv[1])\n"
        "except bp.CheckpointError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, saved],
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


FULL_DISK = """
import os, sys, warnings
from pathlib import Path
import backpass as bp
from helpers.checkpoints import LABELS, X, bits, fit, model
folder = Path(sys.argv[1])
path, rest = folder / "run", folder / "rest"
def listed(): return sorted(os.listdir(folder)) == ["rest", "run"]
def fill():
    with open(rest, "wb", buffering=0) as file:
        try:
            while True: file.write(bytes(4096))
        except OSError: pass
        file.truncate(file.tell() - 4096)  # room for a part of a checkpoint
made = fit(model(), 1, "adam")
made.save(path)
before = path.read_bytes()
assert len(before) > 2 * 4096
fill()
try: fit(made, 1, "adam").save(path)
except bp.CheckpointError as error: print(error)
print(path.read_bytes() == before, listed())
class Space(bp.Callback):
    def on_epoch_begin(self, epoch, logs):
        if made.epoch == 5: os.truncate(rest, 0)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    try: fit(made, 2, "adam", callbacks=[bp.ModelCheckpoint(path, keep=2)])
    except bp.CheckpointError as error: print(error)  # at the end it is an error
    print(len(told), "training goes on" in str(told[0].message), path.read_bytes() == before, listed())
    fit(made, 3, "adam", callbacks=[Space(), bp.ModelCheckpoint(path)])
print(len(told), made.epoch, bits(bp.load(path)) == bits(made), listed())
"""


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A real one, of 128 KiB, in a mount namespace that ends with the process."""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount += ['mount -t tmpfs -o size=128k backpass "$0" && exec "$@"', str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("this process may not mount a tmpfs (unshare --user --mount)")
    command = [*mount, sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    full_disk = f"{tmp_path / 'run'} cannot be written: No space left on device"
    assert done.stdout.splitlines() == [
        full_disk, "True True", full_disk, "2 True True True", "3 7 True True"
    ], done.stdout + done.stderr  # fmt: skip


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
    command = [sys.executable, "-W", "ignore", LONG / "kills.py", "--kills", "8"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_forged_files() -> None:
    command = [sys.executable, LONG / "hostile.py", "--cases", "200", "--seed", "3701721945"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_warns(saved: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.load(saved)

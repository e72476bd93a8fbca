"""bp.TensorBoard: what its event files hold, read back; resumed runs; what is refused."""

import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")

import backpass as bp
from helpers.nets import X, Y, small


def events(folder: Path) -> list[Any]:
    """The events of all files of a folder, in their order."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):  # length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += 16 + length
    return found


def values(folder: Path) -> dict[tuple[str, int], Any]:
    return {(value.tag, event.step): value for event in events(folder) for value in event.summary.value}


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    return {
        key: v.simple_value for key, v in values(folder).items() if v.WhichOneof("value") == "simple_value"
    }


def test_files_hold_what_the_history_holds(tmp_path: Path) -> None:
    model = small(metrics=["mae"])
    board = bp.TensorBoard(tmp_path / "run", histograms=2)
    history = model.fit(X, Y, epochs=4, validation_split=0.2, callbacks=[board])
    train, validation = tmp_path / "run" / "train", tmp_path / "run" / "validation"
    columns = history.history
    expected = {(name, e): columns[name][e] for name in ("loss", "mae", "lr") for e in range(4)}
    assert scalars(train) == pytest.approx(expected, rel=1e-6)
    expected = {(name, e): columns[f"val_{name}"][e] for name in ("loss", "mae") for e in range(4)}
    assert scalars(validation) == pytest.approx(expected, rel=1e-6)
    histograms = {key: v.histo for key, v in values(train).items() if v.HasField("histo")}
    names = [name for name, _ in model.named_parameters()]
    kinds = ("weights", "gradients")
    assert {*histograms} == {(f"{kind}/{name}", e) for kind in kinds for name in names for e in (1, 3)}
    weight = dict(model.named_parameters())["0.weight"]
    last = histograms["weights/0.weight", 3]
    assert (last.num, last.min, last.max) == pytest.approx((weight.size, weight.min(), weight.max()))
    gradient = histograms["gradients/2.bias", 3]
    assert gradient.sum == pytest.approx(model.gradients()[3].sum(), rel=1e-5)


def test_verdict_of_a_monitor(tmp_path: Path) -> None:
    model = small(backend="numpy")
    monitor = bp.GradientMonitor(every="1 epoch")
    model.fit(X, Y, epochs=3, callbacks=[monitor, bp.TensorBoard(tmp_path, histograms=0)])
    found = values(tmp_path / "train")
    texts = {key: v.tensor.string_val[0].decode() for key, v in found.items() if v.HasField("tensor")}
    assert [*texts] == [("verdict/text_summary", 0)]  # it stayed the same
    (text,) = texts.values()
    assert monitor.verdict() in text
    assert "gradient norm" in text
    assert not any(tag.startswith("weights") for tag, _ in found)


def test_without_validation_there_is_one_run(tmp_path: Path) -> None:
    small().fit(X, Y, epochs=1, callbacks=[bp.TensorBoard(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_resumed_run_goes_on_in_the_folder(tmp_path: Path) -> None:
    class Leave(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            if self.model.epoch == 2:
                raise KeyboardInterrupt

    model, board = small(), bp.TensorBoard(tmp_path, histograms=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=4, callbacks=[board, Leave()])
    pickle.dumps(board)
    history = model.fit(X, Y, epochs=4, callbacks=[board], resume=True)
    losses = {step: value for (tag, step), value in scalars(tmp_path / "train").items() if tag == "loss"}
    assert losses == pytest.approx(dict(enumerate(history.history["loss"])), rel=1e-6)
    # TensorBoard forgets what a killed run wrote of epochs that come again.
    assert [e.step for e in events(tmp_path / "train") if e.session_log.status] == [2]


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, error, message in (
        ({"logdir": 3}, TypeError, "TensorBoard: logdir is 3"),
        ({"logdir": "x", "histograms": -1}, ValueError, "TensorBoard: histograms is -1"),
        ({"logdir": "x", "histograms": "all"}, ValueError, "histograms is 'all'"),
    ):
        with pytest.raises(error, match=message):
            bp.TensorBoard(**wrong)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    model = small()
    with pytest.raises(ImportError, match=r'pip install "backpass\[tensorboard\]"'):
        model.fit(X, Y, callbacks=[bp.TensorBoard(tmp_path)])
    assert not model.engine.step_count[0]
    assert np.isfinite(model.predict(X)).all()

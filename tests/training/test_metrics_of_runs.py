"""Metrics of runs: of the rows that are trained on and of validation, in history and callbacks, in every kind of loop."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.nets import LABELS, X, Y, on, small

WEIGHT = np.random.default_rng(5).uniform(0.1, 2, len(X))
STILL = bp.optim.SGD(lr=0.0)
OF_NUMBERS = ["mae", "rmse", "r2"]
OF_CLASSES = ["f1", "auc", "top_2"]


def still(loss: Any = "mse", metrics: Any = OF_NUMBERS, **arguments: Any) -> bp.Model:
    """A model whose weights stand still: what training measures is what evaluation measures."""
    return small(loss, optimizer=bp.optim.SGD(lr=0.0), metrics=metrics, **arguments)


def same(history: bp.History, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert history.history[name] == pytest.approx([value] * len(history.epoch), rel=1e-5), name


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "bce_with_logits", "nll"])
def test_training_measures_as_evaluation_does(loss: str, weight: Any, backend: Backend) -> None:
    metrics = {"mse": OF_NUMBERS, "bce_with_logits": ["f1", "auc"]}.get(loss, OF_CLASSES)
    y = Y if loss == "mse" else LABELS[:, None] == np.arange(3) if loss == "bce_with_logits" else LABELS
    model = on(backend, still(loss, metrics))
    history = model.fit(
        X,
        y,
        epochs=2,
        batch_size=16,
        sample_weight=weight,
        validation_data=(X, y, weight) if weight is not None else (X, y),
    )
    evaluation = model.evaluate(X, y, sample_weight=weight)
    assert {*metrics} < {*evaluation}
    same(history, evaluation | {f"val_{name}": value for name, value in evaluation.items()})
    assert [*history.history][-1] == "lr"


def test_without_metrics_a_step_has_no_more_instructions() -> None:
    def instructions(model: bp.Model) -> int:
        compiled: list[int] = []
        backend = bp.get_backend("numpy")
        compile_ = type(backend).compile
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                type(backend),
                "compile",
                lambda self, found, *rest: (compiled.append(len(found)), compile_(self, found, *rest))[1],
            )
            model.fit(X, Y, batch_size=35)
        return max(compiled)

    plain, watched = small(backend="numpy"), small(backend="numpy", metrics=["mae"])
    # Output and targets are kept.
    assert instructions(watched) == instructions(plain) + 2


def test_measured_are_the_outputs_before_each_update() -> None:
    seen: list[np.ndarray] = []

    class Watch(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            seen.append(np.array(self.model.engine.plans.trained.out))

    def kept(y: Any, pred: Any) -> float:
        assert np.array_equal(pred, np.concatenate(seen))
        assert np.array_equal(y, Y)
        return float(len(pred))

    model = small(metrics=[kept])
    history = model.fit(X, Y, epochs=1, batch_size=16, shuffle=False, callbacks=[Watch()])
    assert history.history["kept"] == [70.0]


def test_shuffled_rows_keep_their_targets() -> None:
    def first(y: Any, pred: Any) -> float:
        found.append(y)
        return 0.0

    found: list[np.ndarray] = []
    small(metrics=[first]).fit(X, Y, epochs=2, batch_size=16)
    orders = [[np.flatnonzero((row == Y).all(axis=1))[0] for row in y] for y in found]
    assert sorted(orders[0]) == sorted(orders[1]) == [*range(70)]
    assert orders[0] != orders[1]


def test_chunks_streams_and_losses_that_are_callables() -> None:
    model = still()
    chunks = [(X[:40], Y[:40]), (X[40:], Y[40:])]
    expected = model.evaluate(X, Y)
    same(
        model.fit(chunks, epochs=2, batch_size=16, validation_data=chunks),
        expected | {f"val_{k}": v for k, v in expected.items()},
    )
    assert model.evaluate(chunks) == pytest.approx(expected)
    model = still("cross_entropy", ["auc"])
    chunks = [(X[:40], LABELS[:40], WEIGHT[:40]), (X[40:], LABELS[40:])]
    weight = np.r_[WEIGHT[:40], np.ones(30)]
    assert model.evaluate(chunks)["auc"] == pytest.approx(
        model.evaluate(X, LABELS, sample_weight=weight)["auc"], rel=1e-6
    )

    def mean_square(pred: Any, y: Any) -> Any:
        return ((pred - y) ** 2).mean(), 2 * (pred - y) / pred.size

    model = still(mean_square)
    same(model.fit(X, Y, epochs=2, batch_size=16), model.evaluate(X, Y))

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(2, 3), nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0])

    series = np.random.default_rng(0).normal(size=(121, 2)).astype(np.float32)
    streams = bp.Streams(series[:-1], series[1:], batch=4, steps=5)
    model = bp.Model(Counts(), "mse", STILL, metrics=["mae"])
    same(model.fit(streams, epochs=2), model.evaluate(streams))


def test_images_and_sparse_matrices(backend: Backend) -> None:
    images = np.random.default_rng(0).normal(size=(20, 2, 5, 5)).astype(np.float32)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 1))
    model = on(backend, bp.Model(net, "mse", STILL, metrics=OF_NUMBERS))
    y = images[:, :, 1:4, 1:4]
    same(model.fit(images, y, epochs=1, batch_size=8), model.evaluate(images, y))
    scipy_sparse = pytest.importorskip("scipy.sparse")
    model = on(backend, still("cross_entropy", OF_CLASSES))
    matrix = scipy_sparse.csr_matrix(np.where(X > 0.5, X, 0))
    same(model.fit(matrix, LABELS, epochs=1, batch_size=8), model.evaluate(matrix, LABELS))


def test_padding_does_not_count(backend: Backend) -> None:
    rng = np.random.default_rng(0)
    rows, steps = 20, 6
    x, lengths = rng.normal(size=(rows, steps, 2)).astype(np.float32), rng.integers(1, steps + 1, rows)
    counted = np.arange(steps) < lengths[:, None]
    seen: list[Any] = []

    def own(y: Any, pred: Any) -> float:
        seen.append((y, pred))
        return float(len(y))

    net = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 3))
    classes, numbers = rng.integers(0, 3, (rows, steps)), rng.normal(size=(rows, steps, 3)).astype(np.float32)
    for loss, y, metrics in (
        ("cross_entropy", classes, ["f1", "auc", own]),
        ("mse", numbers, ["mae", "r2", own]),
    ):
        model = on(
            backend, bp.Model(nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 3)), loss, STILL, metrics=metrics)
        )
        history = model.fit(x, y, lengths=lengths, epochs=2, batch_size=7)
        expected = model.evaluate(x, y, lengths=lengths)
        same(history, expected)
        assert expected["own"] == counted.sum() == len(seen[-1][1])
        if loss == "mse":
            assert expected["mae"] == pytest.approx(
                np.abs(model.predict(x, lengths) - y)[counted].mean(), rel=1e-5
            )
        weighted = model.evaluate(
            x, y, lengths=lengths, sample_weight=np.arange(rows) % 2, metrics=metrics[:2]
        )
        half = slice(1, None, 2)
        assert weighted[metrics[0]] == pytest.approx(
            model.evaluate(x[half], y[half], lengths=lengths[half], metrics=metrics[:2])[metrics[0]], rel=1e-5
        )
    traced = bp.Model(net, nn.traced(lambda p, y: ((p - y) ** 2).mean(dim=-1)), metrics=["mae"])
    with pytest.raises(ValueError, match="metrics has 'mae' and lengths is given, but the loss does not say"):
        traced.fit(x, numbers, lengths=lengths)


def test_chunks_some_of_which_have_lengths() -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(12, 4, 2)).astype(np.float32) for _ in range(2))
    lengths = np.r_[[1, 2, 3, 4, 2, 1], np.full(6, 4)]
    net = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 2))
    model = bp.Model(net, "mse", STILL, metrics=["mae", "r2", ("steps", lambda y, pred: float(len(y)))])
    expected = model.evaluate(x, y, lengths=lengths)
    assert expected["steps"] == lengths.sum()
    some, rest = ({"x": x[:6], "lengths": lengths[:6]}, y[:6]), (x[6:], y[6:])
    for chunks in ([some, rest], [rest, some]):
        assert model.evaluate(chunks) == pytest.approx(expected, rel=1e-5)
        history = model.fit(x, y, epochs=1, validation_data=chunks).history
        found = {name: history[f"val_{name}"][0] for name in expected}
        assert found == pytest.approx(model.evaluate(x, y, lengths=lengths), rel=1e-5)


def test_chunks_of_other_steps_are_refused_by_name() -> None:
    model = bp.Model(nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 2)), metrics=["mae"])
    chunks = [(np.zeros((5, steps, 2)), np.ones((5, steps, 2))) for steps in (4, 4, 6)]
    message = r"\[2\]: a row of the network's output is \(6, 2\), expected \(4, 2\) as of {}\[0\]"
    with pytest.raises(ValueError, match="X" + message.format("X")):
        model.evaluate(chunks)
    with pytest.raises(ValueError, match="validation_data" + message.format("validation_data")):
        model.fit(*chunks[0], validation_data=chunks)
    assert not model.engine.step_count[0]
    assert [*model.evaluate(chunks, metrics=[])] == ["loss"]


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return {"number": self.a(x), "kind": self.b(x)}


class Pair(Two):
    def forward(self, x: Any) -> Any:
        return self.a(x), self.b(x)


def test_several_outputs() -> None:
    targets = {"number": Y, "kind": LABELS}
    losses = {"number": "mse", "kind": "cross_entropy"}
    model = bp.Model(Two(), losses, STILL, metrics={"number": ["mae"], "kind": ["auc"]})
    history = model.fit(X, targets, epochs=2, batch_size=16, validation_data=(X, targets))
    evaluation = model.evaluate(X, targets)
    assert {"number_mae", "kind_auc", "kind_accuracy", "number_loss"} < {*evaluation}
    for name in ("number_mae", "kind_auc"):
        same(history, {name: evaluation[name], f"val_{name}": evaluation[name]})
    assert evaluation["number_mae"] == pytest.approx(np.abs(model.predict(X)["number"] - Y).mean(), rel=1e-5)
    pair = bp.Model(Pair(), ["mse", "mse"], STILL, metrics=["mae"])
    same(
        pair.fit(X, (Y, Y), epochs=1),
        {k: pair.evaluate(X, (Y, Y))[k] for k in ("output_0_mae", "output_1_mae")},
    )
    pair.metrics = [["mae"], []]
    assert "output_1_mae" not in pair.evaluate(X, (Y, Y))
    with pytest.raises(ValueError, match="'mae', which needs targets that are numbers"):
        bp.Model(Two(), losses, metrics=["mae"])
    with pytest.raises(ValueError, match="expected a list for all outputs, or a dict with"):
        bp.Model(Two(), losses, metrics={"other": ["mae"]})


def test_mixed_rows_are_measured_in_validation_alone() -> None:
    net = nn.Sequential(nn.MixUp(0.4), nn.Linear(6, 3))
    history = bp.Model(net, "cross_entropy", metrics=["auc"]).fit(X, LABELS, epochs=2, validation_split=0.2)
    assert "auc" not in history.history
    assert len(history.history["val_auc"]) == 2


def test_callbacks_know_which_way_is_better(tmp_path: Path) -> None:
    model = still("cross_entropy", [*OF_CLASSES, ("own", lambda y, pred: 0.0)])
    stop = bp.EarlyStopping("val_auc", patience=2)
    plateau = bp.ReduceLROnPlateau("top_2", patience=1)
    best = bp.ModelCheckpoint(tmp_path / "best", monitor="val_f1")
    history = model.fit(X, LABELS, epochs=9, validation_split=0.3, callbacks=[stop, plateau, best])
    assert len(history.epoch) == 3
    assert stop.sign == plateau.sign == best.sign == -1
    assert still("mse").fit(X, Y, epochs=1, callbacks=[stop_on := bp.EarlyStopping("rmse")]) is not None
    assert stop_on.sign == 1
    with pytest.raises(ValueError, match="monitor is 'val_own', of which less or more may be better"):
        model.fit(X, LABELS, validation_split=0.3, callbacks=[bp.EarlyStopping("val_own")])
    with pytest.raises(ValueError, match=r"monitor is 'auk', but an epoch logs only .*did you mean 'auc'"):
        model.fit(X, LABELS, callbacks=[bp.EarlyStopping("auk", mode="max")])


def test_logs_of_csv_bar_and_params(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Names(bp.Callback):
        def on_train_begin(self, logs: Any) -> None:
            assert {"mae", "val_mae"} < {*self.params["metrics"]}

    path = tmp_path / "log.csv"
    model = small(metrics=["mae"])
    callbacks = [bp.CSVLogger(path), bp.ProgressBar("lines"), Names()]
    history = model.fit(X, Y, epochs=2, validation_split=0.2, callbacks=callbacks)
    assert path.read_text().splitlines()[0] == "epoch,loss,mae,val_loss,val_mae,lr"
    assert f"val_mae {history.history['val_mae'][-1]:.4g}" in capsys.readouterr().err


class Leave(bp.Callback):
    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        if batch == 4 and self.model.epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["arrays", "chunks", "callable"])
def test_an_interrupted_epoch_goes_on_to_the_same_bits(kind: str, tmp_path: Path) -> None:
    def mean_square(pred: Any, y: Any) -> Any:
        return ((pred - y) ** 2).mean(), 2 * (pred - y) / pred.size

    loss = mean_square if kind == "callable" else "mse"
    # A callable loss gets targets as they are.
    y = Y.astype(np.float64) if kind == "callable" else Y
    data = ([(X[:40], Y[:40]), (X[40:], Y[40:])],) if kind == "chunks" else (X, y)

    def trained(model: bp.Model, *callbacks: Any, **options: Any) -> dict[str, list[float]]:
        return model.fit(*data, epochs=3, batch_size=8, callbacks=callbacks, **options).history

    whole = trained(small(loss, metrics=OF_NUMBERS, seed=1))
    model = small(loss, metrics=OF_NUMBERS, seed=1)
    with pytest.raises(KeyboardInterrupt):
        trained(model, Leave())
    path = tmp_path / "run.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it cannot describe a function
        model.save(path)
    loaded = bp.load(path, loss=mean_square) if kind == "callable" else bp.load(path)
    assert loaded.metrics == OF_NUMBERS
    assert trained(loaded, resume=True) == whole
    assert trained(model, resume=True) == whole
    assert not model.engine.last_run.outputs


def test_metrics_that_come_up_within_an_epoch_are_refused() -> None:
    model = small()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, batch_size=8, callbacks=[Leave()])
    model.metrics = ["mae"]
    with pytest.raises(ValueError, match=r"metrics is \['mae'\], but the interrupted run had none"):
        model.fit(X, Y, epochs=3, resume=True)
    model.metrics = []
    assert len(model.fit(X, Y, epochs=3, resume=True).epoch) == 3


def test_metrics_change_only_where_they_are_assigned() -> None:
    given: Any = ["mae"]
    model = still(metrics=given)
    given.append("rmse")
    model.metrics.append("r2")  # type: ignore[union-attr]
    assert model.metrics == ["mae"]
    several: Any = {"number": ["mae"], "kind": ["auc"]}
    losses = {"number": "mse", "kind": "cross_entropy"}
    both = bp.Model(Two(), losses, metrics=several)
    several["number"].append("rmse")
    both.metrics["kind"].append("f1")  # type: ignore[call-overload]
    assert both.metrics == {"number": ["mae"], "kind": ["auc"]}
    pair = bp.Model(Pair(), ["mse", "mse"], metrics=[["mae"], []])
    pair.metrics[1].append("r2")
    assert pair.metrics == [["mae"], []]


def test_copies_and_files_keep_names(tmp_path: Path) -> None:
    from copy import deepcopy

    model = small(metrics=["mae", ("own", abs_error)])
    assert deepcopy(model).metrics == model.metrics
    model.save(tmp_path / "m")
    with pytest.warns(RuntimeWarning, match=r"holds no function: metrics \['own'\] .* model.metrics = "):
        loaded = bp.load(tmp_path / "m")
    assert loaded.metrics == ["mae"]
    assert bp.load(tmp_path / "m", metrics=model.metrics).metrics == model.metrics


def test_metrics_of_a_file_that_do_not_fit(tmp_path: Path) -> None:
    import json

    from backpass.checkpoint import files

    small(metrics=["mae"]).save(tmp_path / "m")
    with pytest.raises(
        ValueError, match=r"loss is 'cross_entropy', which the metrics of .*m do not fit .*metrics= as"
    ):
        bp.load(tmp_path / "m", loss="cross_entropy")
    assert bp.load(tmp_path / "m", loss="cross_entropy", metrics=["f1"]).metrics == ["f1"]
    assert bp.load(tmp_path / "m", loss="huber").metrics == ["mae"]
    tensors, metadata = files.read(tmp_path / "m")
    for forged in ([["bogus"], []], [["f1"], []], [{"a": ["mae"]}, []], [["mae", "mae"], []]):
        metadata["backpass"] = json.dumps(json.loads(metadata["backpass"]) | {"metrics": forged})
        files.write(tmp_path / "forged", tensors, metadata)
        with pytest.raises(bp.CheckpointError, match="forged does not describe a model: metrics"):
            bp.load(tmp_path / "forged")


def abs_error(y: Any, pred: Any) -> float:
    return float(np.abs(y - pred).mean())

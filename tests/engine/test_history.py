"""History: what of an epoch's logs it keeps, and how it is drawn."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, :1]


class Score(bp.Callback):
    """A metric of the user's own: from epoch 2 on, not in epoch 4, changed logs besides."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch >= 2 and epoch != 4:
            logs["val_f1"] = np.float32(epoch)
        logs["loss"] += 10.0
        logs["confusion"], logs["note"] = np.eye(2), "no number"


def test_what_callbacks_add_to_the_logs(tmp_path: Path) -> None:
    """As in Keras; checkpoints have it, the callbacks behind it see it, and every list has its place for each epoch."""
    watcher, path = bp.EarlyStopping("val_f1", patience=99), tmp_path / "run.safetensors"

    class Seen(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            logs.setdefault("val_f1", math.nan)

    model = bp.Model(nn.Linear(3, 1), "mse")
    callbacks: list[Any] = [bp.ModelCheckpoint(path), Score(), Seen(), watcher]
    history = model.fit(X, Y, epochs=6, callbacks=callbacks)
    assert [*history.history] == ["loss", "lr", "val_f1"]
    assert history.history["val_f1"] == pytest.approx([math.nan] * 2 + [2, 3, math.nan, 5], nan_ok=True)
    assert all(isinstance(value, float) for value in history.history["val_f1"])
    assert min(history.history["loss"]) > 10
    assert watcher.best == 5
    saved = bp.load(path).engine.last_run
    assert saved is not None
    assert repr(saved.history.history) == repr(history.history)
    again = bp.Model(nn.Linear(3, 1), "mse").fit(X, Y, epochs=6, callbacks=[Score()])
    assert again.history["val_f1"] == pytest.approx([math.nan] * 2 + [2, 3, math.nan, 5], nan_ok=True)


def test_a_callback_that_saves_the_model_saves_its_epoch(tmp_path: Path) -> None:
    class Save(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.model.save(tmp_path / "run.safetensors")

    bp.Model(nn.Linear(3, 1), "mse").fit(X, Y, epochs=3, callbacks=[Save()])
    saved = bp.load(tmp_path / "run.safetensors").engine.last_run
    assert saved is not None
    assert saved.history.epoch == [0, 1, 2]
    assert len(saved.history.history["loss"]) == 3


def test_the_progress_bar_shows_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    bp.Model(nn.Linear(3, 1), "mse").fit(X, Y, epochs=3, callbacks=[Score()], progress=True)
    assert "val_f1" in capsys.readouterr().err


def drawn(epochs: int, **options: Any) -> Any:
    """The panels of a run."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    figure = bp.Model(nn.Linear(3, 1), "mse").fit(X, Y, epochs=epochs, **options).plot()
    figure.draw_without_rendering()
    return figure.axes


def test_training_and_validation_look_different() -> None:
    (axes,) = drawn(5, validation_data=(X, Y))
    training, validation = axes.lines
    assert training.get_color() != validation.get_color()
    assert [line.get_marker() for line in axes.lines] == ["", ""]


def test_a_single_epoch_is_points_above_one_tick() -> None:
    (axes,) = drawn(1, validation_data=(X, Y))
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    training, validation = axes.lines
    assert (training.get_marker(), training.get_linestyle()) == ("o", "None")
    assert training.get_markerfacecolor() != validation.get_markerfacecolor()


def test_every_metric_has_a_panel() -> None:
    losses, f1 = drawn(6, callbacks=[Score()])
    assert [axes.get_ylabel() for axes in (losses, f1)] == ["loss", "f1"]
    (line,) = f1.lines
    assert line.get_label() == "validation"
    assert line.get_xdata()[-1] == 6
    assert line.get_ydata()[-1] == 5


def test_paths_may_be_paths(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    bp.Model(nn.Linear(3, 1), "mse").fit(X, Y, epochs=2).plot(tmp_path / "curves.svg")
    assert "<svg" in (tmp_path / "curves.svg").read_text("utf-8")


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_learning_curves(tmp_path: Path) -> None:
    history = bp.History()
    for epoch in range(3):
        history.append(epoch, {"loss": 3.0 - epoch, "val_loss": 3.5 - epoch, "val_accuracy": epoch / 3})
    figure = history.plot(str(tmp_path / "one.png"))
    losses, accuracy = figure.axes
    assert [line.get_linestyle() for line in losses.lines] == ["-", "--"]
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["training", "validation"]
    assert list(losses.lines[0].get_xdata()) == [1, 2, 3]
    assert accuracy.get_ylabel() == "accuracy [%]"
    assert (tmp_path / "one.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="no epoch"):
        bp.History().plot()


def test_a_rate_that_changes_has_a_panel() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    histories = {}
    for name, factor in (("steady", 1.0), ("falling", 0.1)):
        model = bp.Model(nn.Linear(3, 1), "mse", bp.optim.SGD(bp.optim.schedules.exponential(0.1, 4, factor)))
        histories[name] = model.fit(X, Y, epochs=4)
    assert len(histories["steady"].plot().axes) == 1
    _, rates = histories["falling"].plot().axes
    assert (rates.get_ylabel(), rates.get_yscale(), rates.get_legend()) == ("learning rate", "log", None)
    assert list(rates.lines[0].get_ydata()) == histories["falling"].history["lr"]
    both = bp.plots.learning_curves({name: (h.epoch, h.history) for name, h in histories.items()})
    assert [text.get_text() for text in both.axes[1].get_legend().get_texts()] == ["steady", "falling"]


def test_html_for_notebooks() -> None:
    history = bp.History()
    assert "<table" not in history._repr_html_()
    for epoch in range(30):
        history.append(
            epoch, {"loss": 1 / (epoch + 1), "val_loss": math.nan if epoch == 2 else 2.0, "<b>": 1.0}
        )
    text = history._repr_html_()
    assert "History of 30 epochs" in text
    assert text.count("<tr>") == 12  # the head, five first, a row of dots, five last
    assert text.count("<polyline") == 2
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "nan" not in text[: text.index("<table")]
    assert len(text) < 12_000
    assert "http" not in text
    model = bp.Model(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), *(nn.Linear(4, 4) for _ in range(70))), "mse")
    text = model._repr_html_()
    for expected in ("Linear(3, 4)", "(4,)", ">16</td>", "12 more", "1,416 parameters", "loss MSELoss()"):
        assert expected in text
    assert "Model(" in repr(model)

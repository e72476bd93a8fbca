"""bp.find_lr: what it suggests, that the model stays as it is, its picture, what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.plots.find_lr import RateSweep
from helpers.nets import LABELS, RNG, X, Y, small

LINE = RNG.standard_normal((200, 3)).astype(np.float32)
TARGET = LINE @ np.array([1.0, -2.0, 0.5], np.float32)


def line(optimizer: Any = "sgd", **arguments: Any) -> bp.Model:
    return bp.Model(nn.Linear(3, 1), "mse", optimizer, **arguments)


def test_suggestion_trains_and_a_much_larger_rate_does_not() -> None:
    sweep = bp.find_lr(line(), LINE, TARGET, batch_size=50)
    assert sweep.suggestion is not None
    assert 1e-2 < sweep.suggestion < 1  # beyond 1 it diverges: the inputs have unit variance
    losses = line(optim.SGD(lr=sweep.suggestion)).fit(LINE, TARGET, epochs=5, batch_size=50).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
    assert len(sweep.lrs) == len(sweep.losses) == len(sweep.smoothed) < 100  # it ended where it diverged
    assert sweep.lrs[[0, 1]] == pytest.approx([1e-6, 1e-6 * 1e7 ** (1 / 99)])


def test_losses_are_those_of_the_batches() -> None:
    sweep = bp.find_lr(line(), LINE, TARGET, low=1e-12, high=1e-11, steps=8, batch_size=50, shuffle=False)
    model = line()
    parts = [slice(50 * i, 50 * i + 50) for i in (0, 1, 2, 3)] * 2
    assert sweep.losses == pytest.approx(
        [model.evaluate(LINE[p], TARGET[p])["loss"] for p in parts], rel=1e-5
    )
    assert sweep.suggestion is None
    assert repr(sweep) == "RateSweep(suggestion=None, 8 steps)"


def test_smoothing_shifts_nothing() -> None:
    lrs = np.geomspace(1e-6, 10, 100)
    losses = 2 + np.tanh(-2 * np.log(lrs / 0.01))
    assert RateSweep(lrs.tolist(), losses.tolist(), 100).suggestion == pytest.approx(0.01, rel=0.2)


OPTIMIZERS: dict[str, Any] = {
    "adam": lambda: "adam",
    "schedule": lambda: optim.SGD(lr=optim.schedules.warmup_cosine(0.1, 10, 100)),
    "groups": lambda: optim.SGD([{"params": "0", "lr": 0.1}, {"params": "2"}], lr=0.01),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_model_stays_as_it_is(make: Any) -> None:
    def trained(model: bp.Model, look: bool) -> Any:
        model.fit(X, LABELS, epochs=1)
        if look:
            before = [a.copy() for a in (*model.parameters(), *model.gradients())]
            rate, steps = model.lr, model.engine.step_counts.copy()
            bp.find_lr(model, X, LABELS, steps=12)
            assert (model.lr, model.metrics) == (rate, ["f1"])
            assert np.array_equal(model.engine.step_counts, steps)
            assert all(map(np.array_equal, before, (*model.parameters(), *model.gradients())))
        return model.fit(X, LABELS, epochs=2).history

    models = [small("cross_entropy", optimizer=make(), metrics=["f1"]) for _ in range(2)]
    assert trained(models[0], True) == trained(models[1], False)


def test_divergence_weights_and_chunks_are_taken() -> None:
    wild = bp.find_lr(line("sgd", dtype="float32"), 1e18 * LINE, TARGET, high=1e30)
    assert len(wild.losses) < 100
    weighted = bp.find_lr(
        line(), LINE, TARGET, sample_weight=np.r_[np.zeros(199), 1.0], steps=3, shuffle=False
    )
    assert weighted.losses[0] == 0
    chunks = [(LINE[:100], TARGET[:100]), (LINE[100:], TARGET[100:])]
    assert len(bp.find_lr(line(), chunks, steps=5).losses) == 5


def test_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    sweep = bp.find_lr(line(), LINE, TARGET, batch_size=50)
    axes = sweep.plot(tmp_path / "sweep.png").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("learning rate", "loss", "log")
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["loss of a batch", "smoothed", f"falls most steeply: {sweep.suggestion:.2g}"]
    assert (tmp_path / "sweep.png").stat().st_size > 1000
    none = bp.find_lr(line(), LINE, TARGET, high=1e-5, steps=4).plot().axes[0]
    assert len(none.get_legend().get_texts()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0}, "low is 0, expected a finite number above 0"),
        ({"low": "1e-5"}, "low is '1e-5'"),
        ({"high": 1e-7}, "high is 1e-07, expected a finite number above low, which is 1e-06"),
        ({"steps": 1}, "steps is 1, expected an integer of at least 2"),
        ({"epochs": 3}, r"find_lr\(\) has no argument 'epochs'; expected one of \['batch_size'"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bp.find_lr(line(), LINE, TARGET, **arguments)
    with pytest.raises(TypeError, match="model is 'm'"):
        bp.find_lr("m", X, Y)  # type: ignore[arg-type]

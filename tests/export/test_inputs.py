"""The shape of a row that an exporter takes: that of the model's last pass, whatever the pass was."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import backpass as bp
from backpass import nn

LABELS = np.arange(12) % 2
PASSES: dict[str, Callable[[bp.Model, np.ndarray], object]] = {
    "predict": lambda model, x: model.predict(x),
    "fit": lambda model, x: model.fit(x, LABELS, epochs=1),
    "evaluate": lambda model, x: model.evaluate(x, LABELS),
    "step": lambda model, x: model.step(x, LABELS),
    "forward": lambda model, x: model.forward(x),
}


def rows(length: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 1, length)).astype(np.float32)


def signals() -> bp.Model:
    """A network that takes signals of any length."""
    return bp.Model(nn.Sequential(nn.Conv1d(1, 2, 3), nn.GlobalAvgPool(), nn.Linear(2, 2)), "cross_entropy")


def length_in_c(model: bp.Model, folder: Path) -> int:
    bp.export.c(model, folder / "m.c")
    (size,) = re.findall(r"#define MODEL_INPUTS (\d+)", (folder / "m.c").read_text("ascii"))
    return int(size)


@pytest.mark.parametrize("what", PASSES)
def test_the_last_pass_counts(what: str, tmp_path: Path) -> None:
    """Plans of both lengths are known already, so that nothing new is made in it."""
    model, run = signals(), PASSES[what]
    for length in (10, 20):
        run(model, rows(length))
        model.predict(rows(length))
    for length in (10, 20, 10):
        run(model, rows(length))
        assert length_in_c(model, tmp_path) == length
        assert f"({2}, {length - 2})" in model.summary()


def test_a_prediction_by_the_fastest_way_counts(tmp_path: Path) -> None:
    model = signals()
    for length in (10, 20):
        for _ in range(3):
            model.predict(rows(length))
    model.fit(rows(20), LABELS, epochs=1)
    model.predict(rows(10))
    assert length_in_c(model, tmp_path) == 10
    model.fit(rows(20), LABELS, epochs=1)
    assert length_in_c(model, tmp_path) == 20
    model.predict(rows(10))
    assert length_in_c(model, tmp_path) == 10


def test_a_changed_setting_forgets_no_shape(tmp_path: Path) -> None:
    model = bp.Model(nn.Sequential(nn.Conv1d(1, 2, 3), nn.LeakyReLU(0.1)))
    model.predict(rows(10))
    model.net[1].negative_slope = 0.5
    assert length_in_c(model, tmp_path) == 10

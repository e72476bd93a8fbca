"""GradientMonitor's verdicts: networks that vanish, explode, die or saturate, and what cures them."""

import os
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="once is enough: no kernel is tested here"
)

rng = np.random.default_rng(0)
y = rng.integers(0, 4, 640)
X = (rng.standard_normal((4, 16))[y] + 0.7 * rng.standard_normal((640, 16))).astype(np.float32)


def deep(
    activation: type[nn.Module],
    init: str = "torch",
    norm: bool = False,
    behind: type[nn.Module] | None = None,
    residual: bool = False,
    depth: int = 20,
) -> nn.Sequential:
    """A classifier of `depth` linear layers; normalised before each activation, or behind it."""
    layers: list[nn.Module] = [nn.Linear(16, 24, init=init), activation()]
    for _ in range(depth - 2):
        inner = [nn.Linear(24, 24, init=init), *([nn.LayerNorm(24)] if norm else []), activation()]
        inner += [behind(24)] if behind else []  # type: ignore[call-arg]
        layers += [nn.Residual(nn.Sequential(*inner))] if residual else inner
    return nn.Sequential(*layers, nn.Linear(24, 4))


def watched(
    net: nn.Module, optimizer: Any = "adam", x: np.ndarray = X, epochs: int = 8
) -> tuple[bp.GradientMonitor, bp.Model]:
    """Train it, watched."""
    monitor, model = bp.GradientMonitor("10 steps"), bp.Model(net, "cross_entropy", optimizer)
    model.fit(x, y, epochs=epochs, callbacks=[monitor, bp.TerminateOnNaN()])
    return monitor, model


def test_twenty_sigmoids_vanish() -> None:
    monitor, model = watched(deep(nn.Sigmoid))
    assert monitor.verdict().startswith("vanishing at layer ")
    assert "Linear(24, 24)) and " in monitor.verdict()
    norms = monitor.history["gradient_norm"]
    assert norms["0"][-1] < 1e-8 * norms["38"][-1]
    for remedy in ("nn.ReLU", "he_normal", "nn.LayerNorm", "behind each activation", "nn.Residual"):
        assert remedy in monitor.report()
    assert model.evaluate(X, y)["accuracy"] < 0.5


@pytest.mark.parametrize(
    "remedy",
    [
        {"activation": nn.ReLU, "init": "he_normal"},
        {"activation": nn.ReLU, "norm": True},
        {"activation": nn.Sigmoid, "behind": nn.LayerNorm},
        {"activation": nn.Sigmoid, "behind": nn.BatchNorm1d},
        {"activation": nn.Sigmoid, "residual": True},
    ],
    ids=["ReLU and He", "ReLU and norm", "sigmoid and LayerNorm", "sigmoid and BatchNorm", "residual"],
)
def test_what_the_report_advises_cures_it(remedy: dict[str, Any]) -> None:
    monitor, model = watched(deep(**remedy))
    assert monitor.verdict() == "healthy"
    assert model.evaluate(X, y)["accuracy"] > 0.9


def test_plain_initial_weights_are_too_small_for_twenty_relus() -> None:
    monitor, _ = watched(deep(nn.ReLU), epochs=1)
    assert monitor.verdict().split(" at ")[0] in ("vanishing", "dead units")


def test_steps_that_are_too_large_explode_and_clipping_cures_it() -> None:
    monitor, _ = watched(deep(nn.ReLU, "he_normal"), optim.SGD(lr=0.5), 10 * X)
    assert monitor.verdict().startswith("exploding from step ")
    assert "clip_grad_norm=1.0" in monitor.report()
    monitor, model = watched(deep(nn.ReLU, "he_normal"), optim.SGD(lr=0.02, clip_grad_norm=1.0), 10 * X, 20)
    assert monitor.verdict() == "healthy"
    assert model.evaluate(10 * X, y)["accuracy"] > 0.9


def test_weights_that_are_too_large_explode_towards_the_input_and_normalisation_cures_it() -> None:
    for norm in (False, True):
        model = bp.Model(
            deep(nn.Tanh, "xavier_normal", norm=norm, depth=40), "cross_entropy", optim.SGD(lr=1e-6)
        )
        for _, weights in model.named_parameters():
            if weights.ndim == 2 and len(weights) == 24:  # all but the output layer's
                weights *= 5.0
        model.fit(X, y, callbacks=[monitor := bp.GradientMonitor("5 steps")])
        if norm:
            assert monitor.verdict() == "healthy"
        else:
            assert monitor.verdict().startswith(
                "exploding at layer 0 (Linear(16, 24, init='xavier_normal')): the gradient"
            )
            assert monitor.verdict().endswith(" times larger than at layer 78 (Linear(24, 4))")
            assert "nn.LayerNorm" in monitor.report()


def test_a_run_that_ends_in_nan_explodes_at_the_step_of_the_error() -> None:
    monitor, model = (
        bp.GradientMonitor("50 steps"),
        bp.Model(deep(nn.ReLU, "he_normal"), "cross_entropy", optim.SGD(lr=5.0)),
    )
    with pytest.raises(bp.NonFiniteError) as error:
        model.fit(X, y, epochs=20, callbacks=[monitor])
    assert error.value.step < 50
    assert monitor.records.steps[-1] == error.value.step
    assert monitor.verdict() == f"exploding from step {error.value.step}: the gradient is not finite"
    assert "nan" not in monitor.report()


def test_it_explodes_from_the_step_at_which_the_rate_goes_up() -> None:
    """The gradient of a quadratic: it shrinks for 200 steps, then a hundredfold learning rate blows it up."""
    net = nn.Sequential(nn.Linear(16, 1))
    rate = optim.schedules.piecewise(0.01, {200: 20.0})
    monitor, model = bp.GradientMonitor("1 step"), bp.Model(net, "mse", optim.SGD(lr=rate))
    target = X[:, :1] + 0.5
    model.fit(X, target, epochs=11, batch_size=32, shuffle=False, callbacks=[monitor])
    step = int(monitor.verdict().removeprefix("exploding from step ").split(":")[0])
    assert 200 < step <= 215


def test_dead_units() -> None:
    net = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4))
    model, monitor = bp.Model(net, "cross_entropy"), bp.GradientMonitor("5 steps")
    net[0].bias[:21] = -100.0
    model.fit(X, y, epochs=2, callbacks=[monitor])
    assert monitor.verdict() == "dead units at layer 0 (Linear(16, 24)): 88%"
    assert "nn.LeakyReLU" in monitor.report()
    assert "88%" in monitor.report().splitlines()[-2]


def test_saturated_units() -> None:
    net = [nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 4)) for _ in range(2)]
    monitor, _ = watched(net[0], x=100 * X, epochs=2)
    assert monitor.verdict().startswith("saturated units at layer 0 (Linear(16, 24)): 9")
    assert "Standardise the inputs" in monitor.report()
    monitor, _ = watched(net[1], epochs=2)
    assert monitor.verdict() == "healthy"


def test_an_output_may_be_sure_of_itself() -> None:
    net = nn.Sequential(nn.Linear(16, 1), nn.Sigmoid())
    monitor, model = bp.GradientMonitor("5 steps"), bp.Model(net, "mse")
    net[0].bias[:] = 40.0
    model.fit(X, np.ones((640, 1)), callbacks=[monitor])
    assert monitor.history["saturated"] == {}

"""A NaN that arises at a known layer and step is reported with both, on every backend, and the last good weights are kept."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

X = np.random.default_rng(1).standard_normal((60, 6))
Y = np.arange(60) % 3
LAYERS = ["0", "1", "3.inner.0", "4", "6"]


def network() -> nn.Module:
    """Every kind of layer that learns, one of them nested."""
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Residual(nn.Linear(8, 8), nn.Tanh()),
        nn.LayerNorm(8), nn.Dropout(0.1), nn.Linear(8, 3),
    )  # fmt: skip


def model(backend: Backend, loss: Any = "cross_entropy", optimizer: Any = "adam") -> bp.Model:
    made = bp.Model(network(), loss, optimizer, backend="numpy", seed=1)
    made.backend = backend
    return made


class Poison(bp.Callback):
    """Writes a value into a weight after so many steps; remembers what was there before."""

    def __init__(self, layer: str, step: int, value: float) -> None:
        self.layer, self.step, self.value = layer, step, value

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        if self.model.engine.step_count[0] == self.step:
            self.good = self.model.state_dict()
            self.moments = {k: v.copy() for k, v in self.model.engine.optimizer_state.items()}
            dict(self.model.net.walk())[self.layer].weight.flat[3] = self.value


def learned(made: bp.Model) -> dict[str, bytes]:
    """The weights without running statistics, which one's own forward(training=True) moves."""
    return {name: array.tobytes() for name, array in made.named_parameters()}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("step", "value"), [(1, np.nan), (8, np.inf), (13, np.nan)])
def test_an_injected_value_is_reported(backend: Backend, layer: str, step: int, value: float) -> None:
    """Six steps an epoch: in the first, the second and the third epoch."""
    made, poison = model(backend), Poison(layer, step, value)
    with pytest.raises(bp.NonFiniteError) as caught:
        made.fit(X, Y, epochs=4, batch_size=10, callbacks=[poison])
    assert (caught.value.step, caught.value.layer) == (step, layer)
    assert f"step {step}: layer {layer} " in str(caught.value)
    assert made.engine.step_count[0] == step
    dict(made.net.walk())[layer].weight.flat[3] = poison.good[f"{layer}.weight"].flat[3]
    kept = {name: array.tobytes() for name, array in made.state_dict().items()}  # running statistics, too
    assert kept == {name: array.tobytes() for name, array in poison.good.items()}, "not the last good weights"
    for name in made.optimizer.slots:
        assert np.array_equal(made.engine.optimizer_state[name], poison.moments[name]), f"{name} moved"
    assert np.isfinite(made.fit(X, Y).history["loss"]).all()


def test_a_gradient_of_ones_own(backend: Backend) -> None:
    """gradient in, gradient out: one that is not finite never reaches the weights."""
    made = model(backend, optimizer=optim.SGD(0.1, momentum=0.9, clip_grad_norm=1.0))
    for step in range(3):
        out = made.forward(X, training=True)
        made.backward(np.ones_like(out))
        made.update()
        assert made.engine.step_count[0] == step + 1
    before, dout = learned(made), np.ones_like(out)
    dout[7, 1] = np.nan
    made.forward(X, training=True)
    made.backward(dout)
    with pytest.raises(bp.NonFiniteError, match="step 3") as caught:
        made.update()
    assert caught.value.step == 3
    assert learned(made) == before


def test_a_callable_loss(backend: Backend) -> None:
    calls = 0

    def loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal calls
        calls += 1
        return 1.0, np.full_like(pred, np.nan if calls == 5 else 0.1)

    made = model(backend, loss)
    with pytest.raises(bp.NonFiniteError) as caught:
        made.fit(X, Y, epochs=2, batch_size=10)
    assert caught.value.step == made.engine.step_count[0] == 4
    assert all(np.isfinite(array).all() for array in made.parameters())


def test_a_norm_that_overflows_though_every_gradient_is_finite(backend: Backend) -> None:
    """Possible in float64 alone: squares of float32 are summed in float64."""
    made = bp.Model(network(), "mse", dtype="float64", backend="numpy")
    made.backend = backend
    made.forward(X, training=True)
    made.backward(np.full((60, 3), 1e200))
    with pytest.raises(
        bp.NonFiniteError, match=r"layer 6 .*its gradient reaches .*e\+20\d, and the norm"
    ) as caught:
        made.update()
    assert caught.value.layer == "6"


def test_gradients_whose_squares_overflow_are_clipped(backend: Backend) -> None:
    made = bp.Model(nn.Linear(6, 3), optimizer=optim.SGD(1.0, clip_grad_norm=1.0), backend="numpy")
    made.backend = backend
    before = made.parameters()[0].copy()
    made.forward(X, training=True)
    made.backward(np.full((60, 3), 1e22, np.float32))
    made.update()
    weight, bias = (gradient.astype(np.float64) for gradient in made.gradients())
    norm = np.sqrt((weight**2).sum() + (bias**2).sum())
    assert made.engine.optimizer_state["norm"][0] == pytest.approx(norm, rel=1e-5)
    np.testing.assert_allclose(before - made.parameters()[0], weight / norm, rtol=1e-5, atol=1e-6)


def test_activations_that_overflow(backend: Backend) -> None:
    """Finite data and weights, but products beyond float32: the first layer that shows it is named, at step 0."""
    made = bp.Model(
        nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), "cross_entropy", backend="numpy"
    )
    made.backend = backend
    made.parameters()[0][...] = 10
    with pytest.raises(bp.NonFiniteError) as caught:
        made.fit(np.full_like(X, 1e38), Y)
    assert (caught.value.step, caught.value.layer) == (0, "0")

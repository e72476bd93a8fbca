"""Layers on channels: what is dropped, which memory they take; the numbers are those of test_torch_channels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import Calls, assert_same, on

RNG = np.random.default_rng(0)


class Pointwise(nn.Module):
    """A convolution of size 1, which leaves the channels last in memory."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out)

    def forward(self, x: Any) -> Any:
        last, first = ((0, 2, 3, 1), (0, 3, 1, 2)) if x.ndim == 4 else ((0, 2, 1), (0, 2, 1))
        return self.linear(x.permute(*last)).permute(*first)


# -- dropout ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize(
    ("make", "rest"),
    [
        (lambda: nn.Dropout1d(0.4), (7,)),
        (lambda: nn.Dropout2d(0.4), (4, 5)),
        (lambda: Calls(lambda x: F.dropout1d(x, 0.4)), (7,)),
        (lambda: Calls(lambda x: F.dropout2d(x, 0.4)), (4, 5)),
    ],
    ids=["1d", "2d", "F.1d", "F.2d"],
)
def test_whole_channels_are_dropped(
    backend: Backend, make: Callable[[], nn.Module], rest: tuple[int, ...], last: bool
) -> None:
    net = nn.Sequential(Pointwise(6, 6), make()) if last else nn.Sequential(make())
    model = on(backend, bp.Model(net, lambda pred, y: (0.0, np.zeros_like(pred)), dtype="float64", seed=3))
    x = RNG.uniform(1, 2, (50, 6, *rest))
    plain = model.predict(x)
    factors = model.forward(x, training=True) / plain
    assert np.allclose(factors, factors[:, :, *[slice(0, 1)] * len(rest)])
    assert {*np.unique(factors.round(9))} == {0.0, round(1 / 0.6, 9)}
    dropped = (factors == 0).reshape(50, 6, -1)[:, :, 0]
    assert abs(dropped.mean() - 0.4) < 0.1
    assert len({row.tobytes() for row in dropped}) > 20
    dx = model.backward(np.ones_like(plain))
    if not last:
        assert np.allclose(dx, factors)
    again = model.forward(x, training=True) / plain
    assert np.array_equal(again, factors)  # the same step


def test_every_backend_drops_the_same() -> None:
    def factors(name: str) -> np.ndarray:
        model = bp.Model(nn.Dropout2d(0.5), backend=name, seed=5)
        return model.forward(np.ones((9, 70, 3, 2)), training=True)

    names = bp.available_backends()
    for name in names[1:]:
        assert np.array_equal(factors(name), factors(names[0])), name


# -- memory and rows ----------------------------------------------------------------------------------------------------------


def net(norm: Callable[[int], nn.Module], channels: int = 5) -> nn.Module:
    return nn.Sequential(
        Pointwise(3, channels), norm(channels), nn.ReLU(), nn.Residual(Pointwise(channels, channels), norm(channels)),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Dropout2d(0.2), nn.Flatten(), nn.Linear(channels * 48, 2),
    )  # fmt: skip


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: (
        nn.GroupNorm(channels // 2 or 1, channels // 2 * 2 or 1)
        if channels % 2 == 0 or channels == 1
        else nn.GroupNorm(1, channels)
    ),
    "instance": nn.InstanceNorm2d,
}


@pytest.mark.parametrize("channels", [1, 4, 5])
@pytest.mark.parametrize("norm", NORMS)
def test_a_row_is_predicted_alone_as_among_others(native: Backend, norm: str, channels: int) -> None:
    model = on(native, bp.Model(net(NORMS[norm], channels)))
    x = RNG.standard_normal((9, 3, 3, 4))
    model.step(x, np.zeros((9, 2)))
    whole = model.predict(x)
    assert all(np.array_equal(whole[i], model.predict(x[i : i + 1])[0]) for i in range(9))


@pytest.mark.parametrize("norm", NORMS)
def test_strided_images_are_what_plain_ones_are(backend: Backend, norm: str) -> None:
    x = RNG.standard_normal((9, 3, 3, 4)).astype(np.float32)
    y = RNG.standard_normal((9, 2))
    layouts = [
        x,
        np.asfortranarray(x),
        np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        x[:, :, ::-1][:, :, ::-1],
    ]
    models = [on(backend, bp.Model(net(NORMS[norm]), "mse", optim.SGD(0.01), seed=1)) for _ in layouts]
    for _ in range(3):
        losses = {model.step(given, y) for model, given in zip(models, layouts, strict=True)}
        assert len(losses) == 1
    for model in models[1:]:
        assert_same(model, models[0])


def test_parts_of_rows_for_any_number_of_threads(native: Backend) -> None:
    """Batch normalisation of enough pixels for several parts."""

    def trained(threads: int) -> bp.Model:
        block = [Pointwise(3, 16), nn.BatchNorm2d(16), nn.ReLU(), Pointwise(16, 16), nn.BatchNorm2d(16)]
        model = bp.Model(
            nn.Sequential(*block, nn.Flatten(), nn.Linear(16 * 400, 2)), "mse", threads=threads, seed=2
        )
        on(native, model)
        rng = np.random.default_rng(1)
        for _ in range(5):
            model.step(rng.standard_normal((17, 3, 20, 20)), rng.standard_normal((17, 2)))
        return model

    one = trained(1)
    for threads in (2, 3, 8):
        assert_same(trained(threads), one)


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_rows_are_exact_far_from_zero(backend: Backend, dtype: str, offset: float) -> None:
    """The variance of numbers around 1000 keeps its digits."""
    model = on(backend, bp.Model(nn.Sequential(Permuted(), nn.BatchNorm2d(8, momentum=1.0)), dtype=dtype))
    x = (RNG.standard_normal((10, 8, 30, 30)) + offset).astype(dtype)
    model.step(x, np.zeros_like(x))
    state = model.state_dict()
    exact = x.astype(np.float64)
    want = exact.mean(axis=(0, 2, 3)), exact.var(axis=(0, 2, 3), ddof=1)
    limit = 1e-6 if dtype == "float32" else 1e-12
    assert np.allclose(state["1.running_mean"], want[0], rtol=limit, atol=limit * 10)
    assert np.allclose(state["1.running_var"], want[1], rtol=limit * 10)


class Permuted(nn.Module):
    """The same numbers with the channels last in memory."""

    def forward(self, x: Any) -> Any:
        return (x.permute(0, 2, 3, 1) * 1.0).permute(0, 3, 1, 2)


def test_the_order_of_memory_does_not_matter_to_flatten(backend: Backend) -> None:
    x = RNG.standard_normal((4, 3, 5, 2))
    model = on(backend, bp.Model(nn.Sequential(Permuted(), nn.Flatten()), dtype="float64"))
    assert np.array_equal(model.predict(x), x.reshape(4, 30))
    model = on(backend, bp.Model(nn.Sequential(Permuted(), nn.Flatten(2)), dtype="float64"))
    assert np.array_equal(model.predict(x), x.reshape(4, 3, 10))


# -- gradients of functions ---------------------------------------------------------------------------------------------------


class Functions(nn.Module):
    """batch_norm by statistics that a training step takes as they are, and all the others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.weight, self.bias = (
            Pointwise(3, 4),
            nn.Parameter(np.ones(4)),
            nn.Parameter(np.zeros(4)),
        )
        self.register_buffer("mean", RNG.standard_normal(4))
        self.register_buffer("var", RNG.uniform(0.5, 2, 4))

    def forward(self, x: Any) -> Any:
        x = F.batch_norm(self.first(x), self.mean, self.var, self.weight, self.bias)
        x = F.interpolate(F.instance_norm(F.group_norm(x, 2).tanh()), (7, 3), mode="bilinear").tanh()
        return F.dropout2d(x, 0.0).mean(dim=(2, 3))


def test_gradients_of_functions(backend: Backend) -> None:
    model = on(backend, bp.Model(Functions(), "mse", dtype="float64"))
    x, y = RNG.standard_normal((5, 3, 4, 3)), RNG.standard_normal((5, 4))
    before = model.state_dict()["mean"].copy()
    assert bp.gradcheck(model, x, y).worst_relative_error < 1e-6
    model.step(x, y)
    assert np.array_equal(model.state_dict()["mean"], before)


def test_batch_norm_with_training_true_takes_the_batch_in_inference_too(backend: Backend) -> None:
    net = Calls(lambda x: F.batch_norm(x, None, None, training=True))
    x = RNG.standard_normal((40, 3, 4, 3))
    got = on(backend, bp.Model(net, dtype="float64")).predict(x)
    want = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
    assert np.allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (7, 1, 3, 1), (1, 4, 2, 2), (3, 4, 1, 7)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_of_one(backend: Backend, shape: tuple[int, ...], dtype: str) -> None:
    channels = shape[1]
    layers = (
        nn.BatchNorm2d(channels), nn.GroupNorm(channels, channels), nn.InstanceNorm2d(channels), nn.Dropout2d(0.5),
        nn.Upsample((1, 1)), nn.Upsample(3, mode="bilinear"), nn.Upsample((1, 5), mode="bilinear", align_corners=True),
    )  # fmt: skip
    x = RNG.standard_normal(shape)
    for layer in layers:
        model = on(backend, bp.Model(layer, "mse", dtype=dtype))
        out = model.predict(x)
        assert out.shape[:2] == shape[:2]
        assert np.isfinite(model.step(x, np.zeros(out.shape)))
        assert model.predict(x[:0]).shape == (0, *out.shape[1:])

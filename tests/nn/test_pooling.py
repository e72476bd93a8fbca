"""Pooling layers beyond what PyTorch's parity shows: refusals, odd shapes, NaN and ties, and what a plan holds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from backpass.backends import Backend
from helpers.nets import on
from helpers.refusals import refused

CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "kernel 0": (lambda: nn.MaxPool2d(0), ("MaxPool2d: kernel_size is 0", "at least 1")),
    "kernel of three": (
        lambda: nn.AvgPool2d((2, 2, 2)),
        ("AvgPool2d: kernel_size is (2, 2, 2)", "tuple of 2"),
    ),
    "kernel a float": (lambda: nn.MaxPool1d(2.0), ("MaxPool1d: kernel_size is 2.0", "integer")),  # type: ignore[arg-type]
    "stride 0": (lambda: nn.MaxPool2d(2, 0), ("MaxPool2d: stride is 0", "at least 1")),
    "stride None within": (lambda: nn.AvgPool2d(2, (2, None)), ("AvgPool2d: stride is (2, None)",)),  # type: ignore[arg-type]
    "padding negative": (lambda: nn.MaxPool2d(2, padding=-1), ("MaxPool2d: padding is -1", "at least 0")),
    "padding large": (
        lambda: nn.MaxPool2d(3, padding=2),
        ("MaxPool2d: padding is 2", "half of kernel_size 3"),
    ),
    "padding large, dilated": (lambda: nn.MaxPool1d(3, padding=2, dilation=2), ("MaxPool1d: padding is 2",)),
    "padding large, mean": (
        lambda: nn.AvgPool2d((4, 1), padding=(2, 1)),
        ("AvgPool2d: padding is (2, 1)", "half of kernel_size (4, 1)"),
    ),
    "dilation 0": (lambda: nn.MaxPool2d(2, dilation=0), ("MaxPool2d: dilation is 0",)),
    "indices": (lambda: nn.MaxPool2d(2, return_indices=True), ("MaxPool2d: return_indices is True",)),
    "indices, adaptive": (
        lambda: nn.AdaptiveMaxPool1d(2, return_indices=True),
        ("AdaptiveMaxPool1d: return_indices is True",),
    ),
    "ceil": (lambda: nn.MaxPool2d(2, ceil_mode="x"), ("MaxPool2d: ceil_mode is 'x'",)),  # type: ignore[arg-type]
    "count": (lambda: nn.AvgPool1d(2, count_include_pad="x"), ("AvgPool1d: count_include_pad is 'x'",)),  # type: ignore[arg-type]
    "divisor 0": (lambda: nn.AvgPool2d(2, divisor_override=0), ("AvgPool2d: divisor_override is 0",)),
    "divisor": (lambda: nn.AvgPool2d(2, divisor_override=1.5), ("AvgPool2d: divisor_override is 1.5",)),  # type: ignore[arg-type]
    "output 0": (lambda: nn.AdaptiveAvgPool2d(0), ("AdaptiveAvgPool2d: output_size is", "at least 1")),
    "output of one": (lambda: nn.AdaptiveAvgPool2d((3,)), ("AdaptiveAvgPool2d: output_size is (3,)",)),
    "output text": (lambda: nn.AdaptiveMaxPool2d("3"), ("AdaptiveMaxPool2d: output_size is",)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()


INPUTS: dict[str, tuple[nn.Module, tuple[int, ...], tuple[str, ...]]] = {
    "no batch": (
        nn.MaxPool2d(2),
        (4, 3, 8),
        ("MaxPool2d(2): the input has shape (batch, 3, 8)", "x[None]"),
    ),
    "no batch, 1d": (
        nn.AvgPool1d(2),
        (4, 8),
        ("AvgPool1d(2): the input has shape (batch, 8)", "(batch, channels, length)"),
    ),
    "no batch, adaptive": (nn.AdaptiveAvgPool2d(1), (4, 3, 8), ("height, width", "x[None]")),
    "no positions": (
        nn.GlobalAvgPool(),
        (4, 3),
        ("GlobalAvgPool(): the input has shape (batch, 3)", "positions"),
    ),
    "kernel beyond": (nn.MaxPool2d(3), (4, 3, 5, 2), ("MaxPool2d(3): kernel_size is 3", "width 2")),
    "kernel beyond, dilated": (
        nn.MaxPool2d(3, dilation=2),
        (4, 3, 4, 9),
        ("kernel_size is 3, spread over 5 by the dilation", "height 4"),
    ),
    "too many places": (
        nn.MaxPool2d(17),
        (4, 3, 18, 18),
        ("MaxPool2d(17): kernel_size is (17, 17)", "at most 256 places"),
    ),
}


@pytest.mark.parametrize("what", INPUTS)
def test_inputs(what: str) -> None:
    layer, shape, parts = INPUTS[what]
    with refused(*parts):
        bp.Model(layer, "mse").predict(np.zeros(shape))


def test_maxima_of_nan_and_of_equal_numbers(backend: Backend) -> None:
    """A NaN is the maximum of its windows; of equal numbers the first one gets the whole gradient."""
    x = np.array([[[[1.0, 1, 2, np.nan], [1, 1, np.nan, 3], [0, 0, 5, 5], [0, 0, 5, 5]]]])
    model = on(backend, bp.Model(nn.MaxPool2d(2), "mse", dtype="float64"))
    assert np.array_equal(model.predict(x), [[[[1, np.nan], [0, 5]]]], equal_nan=True)
    model.forward(x, training=True)
    dx = model.backward(np.array([[[[1.0, 0], [3, 4]]]]))
    assert np.array_equal(dx, [[[[1, 0, 0, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(0, 3, 4, 4), (1, 1, 1, 1), (2, 5, 1, 7), (3, 1, 9, 1), (1, 33, 3, 2)], ids=str
)
def test_odd_shapes(backend: Backend, shape: tuple[int, ...], dtype: str) -> None:
    """No rows, one row, one pixel, one channel: what windows of the size of one and of the whole image give."""
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for layer, want in [
        (nn.MaxPool2d(1), x),
        (nn.AvgPool2d(1), x),
        (nn.AdaptiveMaxPool2d((None, None)), x),
        (nn.MaxPool2d(shape[2:]), x.max(axis=(2, 3), keepdims=True)),
        (nn.AvgPool2d(shape[2:]), x.mean(axis=(2, 3), keepdims=True)),
        (nn.AdaptiveAvgPool2d(1), x.mean(axis=(2, 3), keepdims=True)),
        (nn.GlobalMaxPool(), x.max(axis=(2, 3))),
        (nn.GlobalAvgPool(), x.mean(axis=(2, 3))),
    ]:
        model = on(backend, bp.Model(layer, "mse", dtype=dtype))
        got = model.predict(x)
        assert got.shape == want.shape
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_what_a_plan_holds() -> None:
    """The place of a maximum is noted while training alone, and the gradient of an activation below is the pooling's."""
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()
    )
    model = bp.Model(nn.Sequential(*net, nn.Linear(3, 2)), "mse", backend="numpy")
    x, y = np.zeros((5, 2, 6, 6)), np.zeros((5, 2))
    model.step(x, y)
    model.predict(x)
    training, inferring = {}, {}
    for plan in model.engine.plans.plans.values():
        into = training if "backward" in plan.parts else inferring
        into |= {i.op.name: i.fields for part in plan.parts.values() for i in part}
    assert inferring["max_pool2d_forward"]["index"] is None
    assert training["max_pool2d_forward"]["index"].dtype == np.uint8
    assert training["max_pool2d_backward"]["activation"] == "relu"
    assert training["avg_pool2d_backward"]["activation"] == "tanh"
    assert "activation_backward" not in training


def test_a_changed_setting_acts() -> None:
    layer = nn.MaxPool2d(2)
    model, x = bp.Model(layer, "mse"), np.arange(16.0).reshape(1, 1, 4, 4)
    assert model.predict(x).shape == (1, 1, 2, 2)
    layer.kernel_size = 3
    assert (layer.stride, model.predict(x).shape) == ((3, 3), (1, 1, 1, 1))
    with refused("MaxPool2d: padding is 2"):
        layer.padding = 2


def test_functions_refuse_what_the_layers_refuse() -> None:
    class Net(nn.Module):
        def __init__(self, pool: Callable[[Any], Any]) -> None:
            super().__init__()
            self.pool = pool

        def forward(self, x: Any) -> Any:
            return self.pool(x)

    x = np.zeros((2, 3, 4, 4))
    for pool, part in (
        (lambda x: F.max_pool2d(x, 5), "kernel_size is 5"),
        (lambda x: F.max_pool2d(x, 2, return_indices=True), "return_indices is True"),
        (lambda x: F.avg_pool1d(x, 2), "expected (batch, channels, length)"),
        (lambda x: F.adaptive_avg_pool2d(x[0], 2), "x[None]"),
        (lambda x: F.max_pool1d(np.ones((2, 3, 4)), 2), "expected a tensor of forward"),
    ):
        with refused(part):
            bp.Model(Net(pool), "mse").predict(x)

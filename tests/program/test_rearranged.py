"""Elements of tensors in another order, several times, or padded: what is refused, and sizes of 0 and 1."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from helpers.backends import once

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a dimension twice": (lambda x: x.flip(1, 1), "each dimension once"),
    "no such dimension": (lambda x: x.flip(3), r"expected an integer in \[-3, 2\]"),
    "shifts without a dimension each": (lambda x: x.roll((1, 2), (1,)), "a shift for each dimension"),
    "a shift that is no integer": (lambda x: x.roll(1.5, 1), "shifts"),
    "too few sizes": (lambda x: x.repeat(2), "at least 3"),
    "no copy": (lambda x: x.repeat(1, 1, 0), "sizes is 0"),
    "no repetition": (lambda x: x.repeat_interleave(0, 1), "repeats is 0"),
    "a norm of another power": (lambda x: x.norm(3), "p is 3, expected 1, 2, 'fro' or inf"),
    "padding that is one number": (lambda x: F.pad(x, 3), "pad is 3"),
    "odd numbers of padding": (lambda x: F.pad(x, (1, 2, 3)), "two numbers for each"),
    "padding of more dimensions": (lambda x: F.pad(x, (1,) * 8), "two numbers for each"),
    "padding that cuts all": (lambda x: F.pad(x, (-3, -2)), "cuts more than the 4 elements of dimension 2"),
    "a mirror that is too short": (lambda x: F.pad(x, (4, 0), "reflect"), "at most 3 in mode 'reflect'"),
    "a negative mirror": (lambda x: F.pad(x, (-1, 2), "reflect"), "mode 'reflect'"),
    "no such mode": (lambda x: F.pad(x, (1, 1), "edge"), "mode is 'edge'"),
    "a value that is not used": (lambda x: F.pad(x, (1, 1), "circular", 2.0), "value 2.0"),
    "windows of no image": (lambda x: F.unfold(x, 2), r"expected \(N, C, H, W\)"),
    "a window that is too large": (lambda x: F.unfold(x[:, None], (4, 4)), "more than the padded image"),
    "no window": (lambda x: F.unfold(x[:, None], (0, 1)), "kernel_size is 0"),
    "a diagonal of three dimensions": (lambda x: bp.diag(x), "expected one dimension or two"),
    "celu with alpha 0": (lambda x: F.celu(x, 0), "alpha is 0"),
}


def network(function: Callable[[Any], Any]) -> nn.Module:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(np.ones(1))

        def forward(self, x: Any) -> Any:
            return function(self.scale * x)

    return Network()


@once
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError, IndexError), match=f"{message}[^\n]*"):
        bp.Model(network(function)).predict(np.ones((2, 3, 4)))


@once
@pytest.mark.parametrize(("sizes", "start"), [((2, 1, 4), 0), ((1, 3, 1), 0), ((2, 3, 4), 4)])
def test_sizes_of_0_and_1(sizes: tuple[int, ...], start: int) -> None:
    whole = np.random.default_rng(0).standard_normal(sizes)
    x = whole[..., start:]
    for function, want in (
        (lambda x: x.flip((1, 2)), x[:, ::-1, ::-1]),
        (lambda x: x.roll((2, -5), (1, 2)), np.roll(x, (2, -5), (1, 2))),
        (lambda x: x.repeat(1, 2, 3), np.tile(x, (1, 2, 3))),
        (lambda x: x.repeat_interleave(3, 2), np.repeat(x, 3, 2)),
        (lambda x: x.cumsum(1), np.cumsum(x, 1)),
        (lambda x: x.prod(1), np.prod(x, 1)),
        (lambda x: x.norm(dim=1), np.linalg.norm(x, axis=1)),
        (
            lambda x: F.pad(x, (1, 0, 0, 2), value=3.0),
            np.pad(x, ((0, 0), (0, 2), (1, 0)), constant_values=3.0),
        ),
    ):
        got = bp.Model(network(lambda x, f=function: f(x[..., start:])), dtype="float64").predict(whole)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


@once
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 2), (4,), (1,)])
def test_diagonals(shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(2).standard_normal(shape)

    class Diagonals(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.weight, self.place = nn.Parameter(given), place

        def forward(self, x: Any) -> Any:
            return x[:, :1].flatten() * 0 + bp.diag(self.weight, self.place).flatten()[None].sum() * 1.0

    for place in (-6, -3, -1, 0, 1, 2, 5):
        model = bp.Model(Diagonals(place), "mse", dtype="float64")
        model.forward(np.ones((1, 1)), training=True)
        model.backward(np.ones(1))
        slope = np.zeros(shape) if len(shape) == 2 else np.ones(shape)
        if len(shape) == 2:
            slope[np.eye(shape[0], shape[1], place) > 0] = 1
        assert np.array_equal(model.gradients()[0], slope)
        assert model.predict(np.ones((1, 1)))[0] == pytest.approx(np.diag(given, place).sum())


@once
def test_an_infinite_element_stays_where_it_is() -> None:
    x = np.array([[1.0, 2.0, np.inf, 3.0]])
    got = bp.Model(network(lambda x: x.cumsum(1)), dtype="float64").predict(x)
    assert np.array_equal(got, [[1, 3, np.inf, np.inf]])


@once
@pytest.mark.parametrize("name", ["norm", "std"])
def test_the_root_of_zeros_has_no_slope(name: str) -> None:
    model = bp.Model(network(lambda x: getattr(x, name)(dim=1, keepdim=True)), "mse", dtype="float64")
    model.forward(np.zeros((2, 3)), training=True)
    assert np.array_equal(model.backward(np.ones((2, 1))), np.zeros((2, 3)))


@once
def test_the_norm_of_nan_is_nan() -> None:
    model = bp.Model(network(lambda x: x.norm(dim=1, keepdim=True)), dtype="float64")
    assert np.isnan(model.predict(np.array([[1.0, np.nan]]))).all()

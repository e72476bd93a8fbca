"""Live parity with PyTorch: layers on channels, where these lie first in memory (as X comes) and where they lie last."""

from typing import Any

import pytest

import backpass as bp
from backpass import nn
from backpass.program import InputSpec
from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import Builder, check_trajectory, runs

pytestmark = pytest.mark.torch


def pointwise(nn: Any, channels: int, out: int, **arguments: Any) -> Any:
    """A convolution of size 1, which leaves the channels last in memory."""

    class Pointwise(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(channels, out, **arguments)

        def forward(self, x: Any) -> Any:
            if len(x.shape) == 3:
                return self.linear(x.permute(0, 2, 1)).permute(0, 2, 1)
            return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    return Pointwise()


def network(net: Builder, *shape: int, lr: float = 0.01, **more: Any) -> Case:
    return Case(net, mse, "SGD", {"lr": lr, "momentum": 0.8}, shape=shape, **more)


def images(layer: Builder, height: int = 5, width: int = 3) -> Case:
    """layer(nn), which takes 4 channels: on data that come with the channels first, then between pointwise convolutions."""

    def net(nn: Any) -> Any:
        return nn.Sequential(
            layer(nn),
            pointwise(nn, 4, 4, bias=False),
            layer(nn),
            nn.Tanh(),
            nn.Residual(nn.Sequential(pointwise(nn, 4, 4, bias=False), layer(nn), nn.Tanh())),
            nn.Flatten(),
        )

    def whole(nn: Any) -> Any:
        return nn.Sequential(*net(nn), nn.Linear(4 * height * width, 4))

    return network(whole, 4, height, width)


def once(layer: Builder) -> Case:
    """The same, behind one pointwise convolution alone."""
    return network(
        lambda nn: nn.Sequential(
            pointwise(nn, 3, 4), layer(nn), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 15, 4)
        ),
        3,
        5,
        3,
    )


def lengths(layer: Builder, length: int = 5) -> Case:
    """The same for sequences."""

    def net(nn: Any) -> Any:
        return nn.Sequential(
            layer(nn),
            pointwise(nn, 4, 4, bias=False),
            layer(nn),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(4 * length, 4),
        )

    return network(net, 4, length)


def shortcut(nn: Any) -> Any:
    inner = nn.Sequential(pointwise(nn, 3, 6, bias=False), nn.BatchNorm2d(6), nn.Tanh(), pointwise(nn, 6, 6))
    beside = nn.Sequential(pointwise(nn, 3, 6, bias=False), nn.BatchNorm2d(6))
    return nn.Sequential(nn.Residual(inner, shortcut=beside), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 8, 4))


CASES = {
    "batch norm": images(lambda nn: nn.BatchNorm2d(4)),
    "batch norm, momentum None": images(lambda nn: nn.BatchNorm2d(4, momentum=None)),
    "batch norm, momentum, eps": images(lambda nn: nn.BatchNorm2d(4, momentum=0.4, eps=1e-2)),
    "batch norm, not affine": once(lambda nn: nn.BatchNorm2d(4, affine=False)),
    "batch norm, one pixel": images(lambda nn: nn.BatchNorm2d(4), 1, 1),
    "batch norm, a row of pixels": images(lambda nn: nn.BatchNorm2d(4), 1, 7),
    "batch norm, length": lengths(lambda nn: nn.BatchNorm1d(4)),
    "batch norm, length 1": lengths(lambda nn: nn.BatchNorm1d(4), 1),
    "residual, shortcut": network(shortcut, 3, 4, 2),
    "residual, shortcut of features": network(
        lambda nn: nn.Sequential(
            nn.Residual(nn.Sequential(nn.Linear(6, 9), nn.Tanh()), shortcut=nn.Linear(6, 9)), nn.Linear(9, 4)
        ),
        6,
    ),
    "flatten, channels last": network(
        lambda nn: nn.Sequential(pointwise(nn, 3, 5), nn.Flatten(), nn.Tanh(), nn.Linear(5 * 6, 4)), 3, 2, 3
    ),
    "flatten, a part": network(
        lambda nn: nn.Sequential(
            pointwise(nn, 3, 5), nn.Flatten(2), nn.Tanh(), nn.Flatten(), nn.Linear(30, 4)
        ),
        3,
        2,
        3,
    ),
}
CORE = ["batch norm", "batch norm, length", "residual, shortcut"]


def test_nothing_is_copied() -> None:
    """X comes with the channels first and is turned once; Flatten turns the last output back."""

    def net() -> Any:
        norm = lambda: nn.BatchNorm2d(4)  # noqa: E731
        return nn.Sequential(
            pointwise(nn, 3, 4), norm(), nn.ReLU(), nn.Residual(pointwise(nn, 4, 4), norm()), nn.Flatten(),
            nn.Linear(120, 2),
        )  # fmt: skip

    model = bp.Model(net(), "mse")
    plan = model.engine.plans.training((InputSpec("x", (7, 3, 5, 6), model.dtype),), ((2,), model.dtype))
    copies = {
        part: [i for i in program if str(i.fields.get("steps")) == "y = copy a" and i.fields["a"].size > 100]
        for part, program in plan.parts.items()
    }
    assert len(copies["forward"]) == 2, copies["forward"]
    assert len(copies["backward"]) == 1, copies["backward"]


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)

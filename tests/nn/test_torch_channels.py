"""Live parity with PyTorch: layers on channels, where these lie first in memory (as X comes) and where they lie last."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.program import InputSpec
from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import Builder, check_trajectory, runs, torch_peer

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


def once(layer: Builder, height: int = 5, width: int = 3) -> Case:
    """The same, behind one pointwise convolution alone."""
    return network(
        lambda nn: nn.Sequential(
            pointwise(nn, 3, 4), layer(nn), nn.Tanh(), nn.Flatten(), nn.Linear(4 * height * width, 4)
        ),
        3,
        height,
        width,
        lr=0.01 if height < 20 else 1e-4,
    )


def functional(name: str) -> Builder:
    """The layer of 4 channels as a function, with its parameters and buffers in a module."""

    def make(nn: Any) -> Any:
        class Layer(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                # Parameters of a shape (4,): those of a layer.
                self.holder = nn.LayerNorm(4)
                tensor = torch_tensor if nn is not bp.nn else np.array
                if name == "batch_norm":
                    self.register_buffer("mean", tensor([0.0] * 4))
                    self.register_buffer("var", tensor([1.0] * 4))

            def forward(self, x: Any) -> Any:
                F = functions_of(nn)
                weight, bias = self.holder.weight, self.holder.bias
                if name == "batch_norm":
                    return F.batch_norm(x, self.mean, self.var, weight, bias, self.training, 0.2, 1e-3)
                if name == "instance_norm":
                    return F.instance_norm(x, weight=weight, bias=bias, eps=1e-3)
                return F.group_norm(x, 2, weight, bias, 1e-3)

        return Layer()

    return make


def functions_of(nn: Any) -> Any:
    return bp.nn.functional if nn is bp.nn else torch_peer().torch.nn.functional


def torch_tensor(values: list[float]) -> Any:
    return torch_peer().torch.tensor(values)


# 5 x 3 pixels in another size.
UPSAMPLES: dict[str, dict[str, Any]] = {
    "nearest, larger": {"size": (8, 7)},
    "nearest, smaller": {"size": (2, 1)},
    "nearest, the same": {"size": (5, 3)},
    "nearest, one number": {"size": 4},
    "nearest, factor 2": {"scale_factor": 2},
    "nearest, factors": {"scale_factor": (1.7, 0.7)},
    "bilinear, larger": {"size": (8, 7), "mode": "bilinear"},
    "bilinear, smaller": {"size": (2, 1), "mode": "bilinear"},
    "bilinear, corners": {"size": (8, 7), "mode": "bilinear", "align_corners": True},
    "bilinear, corners, smaller": {"size": (2, 1), "mode": "bilinear", "align_corners": True},
    "bilinear, factor 2": {"scale_factor": 2, "mode": "bilinear", "align_corners": False},
    "bilinear, factors": {"scale_factor": (1.7, 0.7), "mode": "bilinear"},
    "bilinear, factors, corners": {"scale_factor": (1.7, 2.5), "mode": "bilinear", "align_corners": True},
}
LENGTHS: dict[str, dict[str, Any]] = {
    "nearest": {"size": 8},
    "nearest, factor": {"scale_factor": 2.5},
    "linear": {"size": 8, "mode": "linear"},
    "linear, corners": {"size": (3,), "mode": "linear", "align_corners": True},
    "linear, factor": {"scale_factor": 1.5, "mode": "linear"},
}


def upsample(arguments: dict[str, Any], *row: int) -> Case:
    """On data that come with the channels first, and as a function between pointwise convolutions."""

    def net(nn: Any) -> Any:
        class Net(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.first, self.second = pointwise(nn, 3, 4), pointwise(nn, 4, 3)
                self.upsample = nn.Upsample(**arguments)

            def forward(self, x: Any) -> Any:
                y = functions_of(nn).interpolate(self.first(x), **arguments)
                return (self.second(y).tanh() + self.upsample(x)).mean(dim=tuple(range(2, y.dim())))

        return Net()

    return network(net, *(row or (3, 5, 3)), lr=0.1, target_shape=(3,))


def upsample_length(arguments: dict[str, Any]) -> Case:
    return upsample(arguments, 3, 5)


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
    "batch norm, no running statistics": images(lambda nn: nn.BatchNorm2d(4, track_running_stats=False)),
    "batch norm, one pixel": images(lambda nn: nn.BatchNorm2d(4), 1, 1),
    "batch norm, a row of pixels": images(lambda nn: nn.BatchNorm2d(4), 1, 7),
    "batch norm, length": lengths(lambda nn: nn.BatchNorm1d(4)),
    "batch norm, length 1": lengths(lambda nn: nn.BatchNorm1d(4), 1),
    # More than one part of the rows (ops/batch_norm_rows.py) in the larger batches, one in the smallest.
    "batch norm, parts of rows": once(lambda nn: nn.BatchNorm2d(4), 24, 24),
    "batch norm, parts of rows, no running statistics": once(
        lambda nn: nn.BatchNorm2d(4, track_running_stats=False), 24, 24
    ),
    "batch norm, parts of rows, not affine": once(lambda nn: nn.BatchNorm2d(4, affine=False), 24, 24),
    "batch norm of ranks, alone": images(lambda nn: nn.SyncBatchNorm(4, eps=1e-3)),
    "slopes of channels": images(lambda nn: nn.PReLU(4)),
    "unflattened images": network(
        lambda nn: nn.Sequential(
            nn.Linear(5, 18),
            nn.Unflatten(1, (2, 3, 3)),
            nn.Conv2d(2, 3, 2),
            nn.PReLU(3),
            nn.Flatten(),
            nn.Linear(12, 4),
        ),
        5,
    ),
    "batch norm, functional": images(functional("batch_norm")),
    "group norm": images(lambda nn: nn.GroupNorm(2, 4)),
    "group norm, one group": images(lambda nn: nn.GroupNorm(1, 4)),
    "group norm, a group a channel": images(lambda nn: nn.GroupNorm(4, 4)),
    "group norm, eps": images(lambda nn: nn.GroupNorm(2, 4, eps=0.1)),
    "group norm, not affine": once(lambda nn: nn.GroupNorm(2, 4, affine=False)),
    "group norm, one pixel": images(lambda nn: nn.GroupNorm(2, 4), 1, 1),
    "group norm, length": lengths(lambda nn: nn.GroupNorm(2, 4)),
    "group norm, features": network(
        lambda nn: nn.Sequential(nn.Linear(6, 12), nn.GroupNorm(3, 12), nn.Tanh(), nn.Linear(12, 4)), 6
    ),
    "group norm, functional": images(functional("group_norm")),
    "instance norm": images(lambda nn: nn.InstanceNorm2d(4, affine=True)),
    "instance norm, not affine": once(lambda nn: nn.InstanceNorm2d(4)),
    "instance norm, eps": images(lambda nn: nn.InstanceNorm2d(4, eps=0.1, affine=True)),
    "instance norm, length": lengths(lambda nn: nn.InstanceNorm1d(4, affine=True)),
    "instance norm, length, not affine": lengths(lambda nn: nn.InstanceNorm1d(4)),
    "instance norm, functional": images(functional("instance_norm")),
    "dropout that drops nothing": images(lambda nn: nn.Sequential(nn.Dropout2d(0.0), nn.BatchNorm2d(4))),
    **{f"upsample, {key}": upsample(arguments) for key, arguments in UPSAMPLES.items()},
    **{f"upsample, length, {key}": upsample_length(arguments) for key, arguments in LENGTHS.items()},
    "residual, shortcut": network(shortcut, 3, 4, 2),
    "residual, shortcut of features": network(
        lambda nn: nn.Sequential(
            nn.Residual(nn.Sequential(nn.Linear(6, 9), nn.Tanh()), shortcut=nn.Linear(6, 9)), nn.Linear(9, 4)
        ),
        6,
    ),
    "permuted": network(
        lambda nn: nn.Sequential(
            nn.Permute((0, 3, 1, 2)),
            nn.Conv2d(2, 3, 2),
            nn.Tanh(),
            nn.Permute((0, 2, 3, 1)),
            nn.Linear(3, 4),
            nn.Flatten(),
            nn.Linear(32, 4),
        ),
        5,
        3,
        2,
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
CORE = [
    *("batch norm", "batch norm, length", "batch norm, parts of rows", "residual, shortcut", "group norm"),
    *("instance norm", "upsample, nearest, factors", "upsample, bilinear, factors"),
]


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

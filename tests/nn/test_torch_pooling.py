"""Live parity with PyTorch: pooling with every option, within networks."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn as ours
from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import check_trajectory, runs

pytestmark = pytest.mark.torch


def pooled(kind: str, *shape: int, activation: str = "ReLU", lr: float = 0.01, **arguments: Any) -> Case:
    """A convolution, and an activation whose gradient fuses with the pooling's; a linear layer on all that comes out."""

    def body(nn: Any) -> Any:
        learns = (
            nn.Linear(shape[-1], shape[-1])
            if len(shape) > 3
            else (nn.Conv2d if len(shape) == 3 else nn.Conv1d)(shape[0], shape[0], 1)
        )
        return nn.Sequential(learns, getattr(nn, activation)(), getattr(nn, kind)(**arguments), nn.Flatten())

    features = bp.Model(body(ours), "mse", backend="numpy").predict(np.zeros((1, *shape))).shape[1]
    return Case(
        lambda nn: nn.Sequential(*body(nn), nn.Linear(features, 4)),
        mse,
        "SGD",
        {"lr": lr, "momentum": 0.8},
        shape=shape,
    )


def first(kind: str, *shape: int, **arguments: Any) -> Case:
    """Pooling of the data themselves, then twice in a row."""

    def body(nn: Any) -> Any:
        pool = getattr(nn, kind)
        return nn.Sequential(pool(**arguments), nn.Tanh(), pool(**arguments), pool(2), nn.Flatten())

    features = bp.Model(body(ours), "mse", backend="numpy").predict(np.zeros((1, *shape))).shape[1]
    return Case(
        lambda nn: nn.Sequential(*body(nn), nn.Linear(features, 4)), mse, "SGD", {"lr": 0.01}, shape=shape
    )


CASES = {
    "max2d": pooled("MaxPool2d", 3, 6, 8, kernel_size=2),
    "max2d, remainder": pooled("MaxPool2d", 3, 7, 5, kernel_size=2),
    "max2d, overlapping": pooled("MaxPool2d", 3, 7, 6, kernel_size=3, stride=2, padding=1),
    "max2d, stride 1": pooled("MaxPool2d", 2, 5, 5, kernel_size=(2, 3), stride=1),
    "max2d, stride beyond the kernel": pooled("MaxPool2d", 2, 7, 8, kernel_size=2, stride=(3, 4)),
    "max2d, tuples": pooled("MaxPool2d", 3, 6, 7, kernel_size=(2, 4), stride=(1, 3), padding=(1, 2)),
    "max2d, ceil": pooled("MaxPool2d", 3, 6, 8, kernel_size=3, stride=2, ceil_mode=True),
    "max2d, ceil, kernel beyond the image": pooled(
        "MaxPool2d", 3, 2, 5, kernel_size=3, stride=2, ceil_mode=True
    ),
    "max2d, ceil, padding": pooled("MaxPool2d", 3, 6, 6, kernel_size=2, stride=3, padding=1, ceil_mode=True),
    "max2d, dilation": pooled("MaxPool2d", 2, 9, 8, kernel_size=(3, 2), stride=1, padding=1, dilation=(2, 3)),
    "max2d, of the whole image": pooled("MaxPool2d", 3, 5, 4, kernel_size=(5, 4)),
    "max2d, of a whole large image": pooled("MaxPool2d", 2, 18, 17, kernel_size=(18, 17)),
    "max2d, 1x1": pooled("MaxPool2d", 1, 1, 3, kernel_size=1),
    "max2d, tanh": pooled("MaxPool2d", 3, 6, 6, activation="Tanh", kernel_size=3, stride=2),
    "max2d, gelu": pooled("MaxPool2d", 3, 6, 6, activation="GELU", kernel_size=2),
    "max2d, identity": pooled("MaxPool2d", 3, 6, 6, activation="Identity", kernel_size=2),
    "max2d, many channels": pooled("MaxPool2d", 35, 4, 4, kernel_size=2, stride=1, lr=0.0005),
    "max2d, first": first("MaxPool2d", 3, 17, 18, kernel_size=2),
    "max1d": pooled("MaxPool1d", 3, 9, kernel_size=2),
    "max1d, options": pooled(
        "MaxPool1d", 3, 11, kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True
    ),
    "max1d, of the whole sequence": pooled("MaxPool1d", 3, 300, kernel_size=300),
    "avg2d": pooled("AvgPool2d", 3, 6, 8, kernel_size=2),
    "avg2d, overlapping": pooled("AvgPool2d", 3, 7, 6, kernel_size=3, stride=2, padding=1),
    "avg2d, without the padding": pooled(
        "AvgPool2d", 3, 7, 6, kernel_size=3, stride=2, padding=1, count_include_pad=False
    ),
    "avg2d, ceil": pooled("AvgPool2d", 3, 6, 8, kernel_size=3, stride=2, ceil_mode=True),
    "avg2d, ceil, padding": pooled(
        "AvgPool2d", 3, 6, 7, kernel_size=(3, 4), stride=(2, 3), padding=(1, 2), ceil_mode=True
    ),
    "avg2d, ceil, without the padding": pooled(
        "AvgPool2d", 3, 6, 7, kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False
    ),
    "avg2d, divisor": pooled("AvgPool2d", 3, 6, 7, kernel_size=3, padding=1, divisor_override=2),
    "avg2d, negative divisor": pooled("AvgPool2d", 3, 6, 7, kernel_size=2, divisor_override=-3),
    "avg2d, stride beyond the kernel": pooled("AvgPool2d", 2, 7, 8, kernel_size=2, stride=3),
    "avg2d, silu": pooled("AvgPool2d", 3, 6, 6, activation="SiLU", kernel_size=3, stride=1),
    "avg2d, many channels": pooled("AvgPool2d", 35, 4, 5, kernel_size=2),
    "avg2d, first": first("AvgPool2d", 3, 17, 18, kernel_size=2),
    "avg1d": pooled("AvgPool1d", 3, 9, kernel_size=2),
    "avg1d, options": pooled("AvgPool1d", 3, 10, kernel_size=3, stride=2, padding=1, ceil_mode=True),
    "avg1d, without the padding": pooled(
        "AvgPool1d", 3, 10, kernel_size=3, padding=1, count_include_pad=False
    ),
    "adaptive avg2d": pooled("AdaptiveAvgPool2d", 3, 7, 5, output_size=3),
    "adaptive avg2d, tuple": pooled("AdaptiveAvgPool2d", 3, 6, 8, output_size=(None, 4)),
    "adaptive avg2d, larger": pooled("AdaptiveAvgPool2d", 3, 3, 2, output_size=(5, 3)),
    "adaptive avg2d, one": pooled("AdaptiveAvgPool2d", 3, 7, 5, output_size=1),
    "adaptive avg1d": pooled("AdaptiveAvgPool1d", 3, 5, output_size=3),
    "adaptive max2d": pooled("AdaptiveMaxPool2d", 3, 7, 5, output_size=3),
    "adaptive max2d, tuple": pooled("AdaptiveMaxPool2d", 3, 6, 8, activation="Tanh", output_size=(4, None)),
    "adaptive max2d, gelu": pooled("AdaptiveMaxPool2d", 3, 3, 2, activation="GELU", output_size=(5, 3)),
    "adaptive max1d": pooled("AdaptiveMaxPool1d", 3, 5, output_size=(3,)),
    "global avg": pooled("GlobalAvgPool", 5, 7, 6),
    "global avg, sequence": pooled("GlobalAvgPool", 5, 7),
    "global avg, volume": pooled("GlobalAvgPool", 2, 3, 4, 5),
    "global max": pooled("GlobalMaxPool", 5, 7, 6),
    "global max, sequence": pooled("GlobalMaxPool", 5, 7),
}
CORE = (
    "max2d",
    "max2d, overlapping",
    "max2d, tanh",
    "max2d, gelu",
    "avg2d, ceil, padding",
    "adaptive avg2d",
    "adaptive max2d",
)


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)

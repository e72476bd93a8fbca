"""Live parity with PyTorch: convolutions with every option, within networks."""

from typing import Any

import pytest

from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import check_trajectory, runs

pytestmark = [
    pytest.mark.torch,
    # of an odd margin, which PyTorch adds in a copy
    pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning"),
]


def images(*shape: int, **arguments: Any) -> Case:
    """Two convolutions of which the second has the options, an activation between, and a linear layer on all that comes out."""
    kind = "Conv1d" if len(shape) == 2 else "Conv2d"
    outputs = arguments.pop("outputs", 6)

    def net(nn: Any) -> Any:
        conv = getattr(nn, kind)
        return nn.Sequential(
            conv(shape[0], 4, 2),
            nn.Tanh(),
            conv(4, outputs, **{"kernel_size": 3} | arguments),
            nn.ReLU(),
            nn.Flatten(),
        )

    features = widths(net, shape)
    return Case(
        lambda nn: nn.Sequential(*net(nn), nn.Linear(features, 4)),
        mse,
        "SGD",
        {"lr": 0.01, "momentum": 0.8},
        shape=shape,
    )


def widths(net: Any, shape: tuple[int, ...]) -> int:
    import numpy as np

    import backpass as bp
    from backpass import nn

    return int(bp.Model(net(nn), "mse", backend="numpy").predict(np.zeros((1, *shape))).shape[1])


def transposed(*shape: int, **arguments: Any) -> Case:
    """A transposed convolution behind a convolution."""
    dims = len(shape) - 1
    outputs = arguments.pop("outputs", 6)

    def net(nn: Any) -> Any:
        conv, back = getattr(nn, f"Conv{dims}d"), getattr(nn, f"ConvTranspose{dims}d")
        return nn.Sequential(
            conv(shape[0], 4, 2),
            nn.Tanh(),
            back(4, outputs, **{"kernel_size": 3} | arguments),
            nn.ReLU(),
            nn.Flatten(),
        )

    features = widths(net, shape)
    return Case(
        lambda nn: nn.Sequential(*net(nn), nn.Linear(features, 4)),
        mse,
        "SGD",
        {"lr": 0.01, "momentum": 0.8},
        shape=shape,
    )


CASES = {
    "transposed": transposed(3, 5, 4),
    "transposed, stride": transposed(3, 5, 4, kernel_size=4, stride=2, padding=1),
    "transposed, stride beyond the kernel": transposed(3, 4, 4, kernel_size=2, stride=3),
    "transposed, all options": transposed(
        2,
        4,
        5,
        kernel_size=(3, 2),
        stride=(2, 3),
        padding=(2, 1),
        output_padding=(1, 2),
        dilation=(1, 2),
        groups=2,
    ),
    "transposed, depthwise, no bias": transposed(2, 4, 4, groups=4, outputs=4, bias=False, stride=2),
    "transposed, output padding beyond the stride": transposed(2, 4, 4, dilation=3, output_padding=2),
    "transposed 1d": transposed(3, 6, kernel_size=4, stride=2, padding=1),
    "transposed 1d, options": transposed(
        3, 6, kernel_size=3, stride=3, output_padding=2, groups=2, dilation=2
    ),
    "conv2d": images(3, 7, 6),
    "conv2d, stride": images(3, 8, 9, stride=2),
    "conv2d, stride beyond the kernel": images(2, 9, 9, kernel_size=2, stride=3),
    "conv2d, padding": images(3, 6, 6, padding=1),
    "conv2d, padding tuple, kernel tuple": images(3, 6, 7, kernel_size=(2, 3), padding=(2, 1)),
    "conv2d, padding beyond half the kernel": images(1, 5, 5, padding=4),
    "conv2d, same": images(3, 6, 6, kernel_size=(4, 3), padding="same"),
    "conv2d, same, dilation": images(3, 7, 6, kernel_size=2, dilation=3, padding="same"),
    "conv2d, valid": images(3, 6, 6, padding="valid"),
    "conv2d, dilation": images(3, 8, 9, dilation=2, stride=(1, 2)),
    "conv2d, stride, dilation, padding": images(2, 9, 9, dilation=(2, 3), stride=(2, 3), padding=3),
    "conv2d, groups": images(3, 6, 6, groups=2),
    "conv2d, depthwise": images(3, 6, 6, groups=4, outputs=8, padding=1),
    "conv2d, no bias": images(3, 6, 6, bias=False),
    "conv2d, 1x1": images(3, 5, 5, kernel_size=1),
    "conv2d, 1x1, stride": images(3, 5, 5, kernel_size=1, stride=2),
    "conv2d, kernel of the input": images(3, 5, 4, kernel_size=(4, 3)),
    "conv2d, circular": images(3, 6, 6, padding=2, padding_mode="circular"),
    "conv2d, reflect": images(3, 6, 6, padding=(2, 1), padding_mode="reflect"),
    "conv2d, replicate": images(3, 6, 6, padding=(0, 3), padding_mode="replicate"),
    "conv2d, same, reflect": images(3, 6, 6, kernel_size=4, padding="same", padding_mode="reflect"),
    "conv1d": images(3, 9),
    "conv1d, options": images(3, 13, kernel_size=4, stride=2, padding=3, dilation=2, groups=2),
    "conv1d, same": images(3, 9, kernel_size=4, padding="same"),
    "conv1d, replicate": images(3, 9, padding=2, padding_mode="replicate"),
}
CORE = (
    "transposed, all options",
    "conv2d",
    "conv2d, stride, dilation, padding",
    "conv2d, depthwise",
    "conv2d, groups",
    "conv1d, options",
)


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)

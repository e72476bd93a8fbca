"""What convolutions refuse: the message names the layer, what was given, what was expected; nothing has been trained then."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.refusals import refused


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(3, 8, 0), ["Conv2d", "kernel_size", "0", "at least 1"]),
        (lambda: nn.Conv2d(3, 8, (3, 3, 3)), ["kernel_size", "(3, 3, 3)", "tuple of 2"]),
        (lambda: nn.Conv1d(3, 8, 3, padding=-1), ["Conv1d", "padding", "-1", "at least 0"]),
        (lambda: nn.Conv2d(3, 8, 3, padding="full"), ["padding", "'full'", "'same' or 'valid'"]),
        (lambda: nn.Conv2d(3, 8, 3, stride=2, padding="same"), ["'same'", "stride", "expected 1"]),
        (lambda: nn.Conv2d(3, 8, 3, groups=2), ["groups", "2", "divisor of in_channels 3"]),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), ["groups", "divisor of out_channels 6"]),
        (lambda: nn.Conv2d(3, 8, 3, padding_mode="mirror"), ["padding_mode", "'mirror'", "reflect"]),
        (lambda: nn.Conv2d(3, 8, 3, dilation=1.5), ["dilation", "1.5", "integer"]),
        (lambda: nn.ConvTranspose2d(3, 8, 3, output_padding=1), ["output_padding", "stride or dilation"]),
        (lambda: nn.ConvTranspose1d(3, 8, 3, padding_mode="reflect"), ["padding_mode", "'reflect'", "zeros"]),
    ],
)  # fmt: skip
def test_arguments(make: Any, words: list[str]) -> None:
    with refused(*words, error=ValueError):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.Conv2d(3, 8, 5), (3, 4, 9), ["Conv2d(3, 8, 5)", "kernel_size is 5", "height 4"]),
        (nn.Conv2d(3, 8, (1, 3), dilation=4), (3, 9, 8), ["spread over 9", "width 8"]),
        (nn.Conv1d(3, 8, 7, padding=1), (3, 4), ["kernel_size is 7", "length 4", "padding of 1 and 1"]),
        (nn.Conv2d(3, 8, 3), (4, 9, 9), ["(batch, 4, 9, 9)", "expected (batch, 3, height, width)"]),
        (nn.Conv2d(3, 8, 3), (3, 9), ["(batch, 3, 9)", "expected (batch, 3, height, width)"]),
        (nn.Conv1d(3, 8, 3), (3, 9, 9), ["(batch, 3, 9, 9)", "expected (batch, 3, length)"]),
        (nn.Conv2d(1, 2, 9, padding=4, padding_mode="reflect"), (1, 4, 9), ["Conv2d", "padding is 4", "at most 3"]),
        (nn.Conv2d(1, 2, 9, padding=5, padding_mode="circular"), (1, 4, 9), ["padding is 5", "at most 4"]),
        (nn.ConvTranspose2d(1, 2, 2, padding=2), (1, 3, 3), ["ConvTranspose2d", "padding leaves nothing", "4"]),
    ],
)  # fmt: skip
def test_inputs(layer: nn.Module, shape: tuple[int, ...], words: list[str]) -> None:
    model = bp.Model(nn.Sequential(layer, nn.Flatten(), nn.Linear(7, 1)), "mse", backend="numpy")
    with refused(*words, model=model):
        model.fit(np.ones((4, *shape)), np.ones((4, 1)))

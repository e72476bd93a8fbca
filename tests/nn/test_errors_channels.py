"""What is wrong with a layer on channels, or with its input, is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from helpers.nets import Calls
from helpers.refusals import refused

CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "groups": (lambda: nn.GroupNorm(3, 8), ("GroupNorm: num_channels is 8", "multiple of num_groups, 3")),
    "no groups": (lambda: nn.GroupNorm(0, 8), ("GroupNorm: num_groups is 0", "at least 1")),
    "eps": (lambda: nn.GroupNorm(2, 8, eps=-1.0), ("GroupNorm: eps is -1.0",)),
    "affine": (lambda: nn.GroupNorm(2, 8, affine="yes"), ("GroupNorm: affine is 'yes'",)),  # type: ignore[arg-type]
    "instance": (lambda: nn.InstanceNorm2d(2.5), ("InstanceNorm2d: num_features is 2.5",)),  # type: ignore[arg-type]
    "running": (
        lambda: nn.InstanceNorm2d(4, track_running_stats=True),
        ("InstanceNorm2d: track_running_stats is True", "expected False"),
    ),
    "momentum": (lambda: nn.InstanceNorm1d(4, momentum=2.0), ("InstanceNorm1d: momentum is 2.0",)),
    "p": (lambda: nn.Dropout2d(1.5), ("Dropout2d: p is 1.5", "[0, 1]")),
    "no size": (lambda: nn.Upsample(), ("Upsample: expected size or scale_factor", "none")),
    "two sizes": (lambda: nn.Upsample(3, 2), ("Upsample: expected size or scale_factor", "both")),
    "size": (lambda: nn.Upsample((0, 3)), ("Upsample: size is (0, 3)", "[1, ")),
    "size a float": (lambda: nn.Upsample(2.5), ("Upsample: size is 2.5", "integer")),  # type: ignore[arg-type]
    "factor": (lambda: nn.Upsample(scale_factor=-2), ("Upsample: scale_factor is -2", "positive")),
    "factor NaN": (lambda: nn.Upsample(scale_factor=float("nan")), ("scale_factor is nan", "positive")),
    "factor a text": (lambda: nn.Upsample(scale_factor="2"), ("scale_factor is '2'", "positive")),  # type: ignore[arg-type]
    "mode": (lambda: nn.Upsample(2, mode="bicubic"), ("Upsample: mode is 'bicubic'", "'bilinear'")),  # type: ignore[arg-type]
    "corners": (
        lambda: nn.Upsample(2, align_corners=True),
        ("Upsample: align_corners is True", "None where mode is 'nearest'"),
    ),
    "corners a text": (
        lambda: nn.Upsample(2, mode="bilinear", align_corners="yes"),  # type: ignore[arg-type]
        ("Upsample: align_corners is 'yes'", "True or False"),
    ),
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()


INPUTS: dict[str, tuple[nn.Module, tuple[int, ...], tuple[str, ...]]] = {
    "batch norm": (nn.BatchNorm2d(3), (4, 5, 2, 2), ("BatchNorm2d(3)", "(batch, 5, 2, 2)", "(batch, 3, height, width)")),
    "batch norm 3-D": (nn.BatchNorm2d(3), (4, 3, 2), ("BatchNorm2d(3)", "(batch, 3, 2)", "height")),
    "batch norm, one value": (nn.BatchNorm2d(3), (1, 3, 1, 1), ("BatchNorm2d(3)", "one value per channel")),
    "group norm": (nn.GroupNorm(1, 3), (4, 5, 2, 2), ("GroupNorm(1, 3)", "(batch, 5, 2, 2)", "(batch, 3)")),
    "group norm 5-D": (nn.GroupNorm(1, 3), (4, 3, 2, 2, 2), ("GroupNorm(1, 3)", "(batch, 3, 2, 2, 2)")),
    "instance norm": (nn.InstanceNorm2d(3), (4, 3, 2), ("InstanceNorm2d(3)", "(batch, 3, 2)", "(batch, 3, height, width)")),
    "instance norm, one value": (nn.InstanceNorm1d(3), (4, 3, 1), ("InstanceNorm1d(3)", "one value per channel")),
    "dropout": (nn.Dropout2d(0.5), (4, 3, 2), ("Dropout2d(p=0.5)", "(batch, 3, 2)", "height")),
    "dropout 2-D": (nn.Dropout1d(0.5), (4, 3), ("Dropout1d(p=0.5)", "(batch, channels, length)")),
    "linear": (nn.Upsample(4, mode="linear"), (4, 3, 2, 2), ("Upsample", "mode is 'linear'", "(batch, channels, length)")),
    "bilinear": (nn.Upsample(4, mode="bilinear"), (4, 3, 2), ("mode is 'bilinear'", "(batch, channels, height, width)")),
    "sizes": (nn.Upsample((4, 4)), (4, 3, 2), ("size (4, 4)", "(batch, 3, 2)")),
    "nothing left": (nn.Upsample(scale_factor=0.2), (4, 3, 2, 2), ("scale_factor is 0.2", "(0, 0) of (2, 2)")),
    "F.group_norm": (Calls(lambda x: F.group_norm(x, 2)), (4, 3, 2), ("group_norm: num_groups is 2", "3 channels")),
    "F.batch_norm": (Calls(lambda x: F.batch_norm(x, None, np.ones(2))), (4, 3, 2), ("batch_norm: running_var", "(3,)")),
    "F.instance_norm": (Calls(lambda x: F.instance_norm(x, use_input_stats=False)), (4, 3, 2), ("use_input_stats is False",)),
    "F.dropout1d": (Calls(lambda x: F.dropout1d(x)), (4, 3, 2, 2), ("dropout1d: x has shape (4, 3, 2, 2)",)),
    "F.interpolate": (Calls(lambda x: F.interpolate(x, 2, mode="area")), (4, 3, 2), ("interpolate: mode is 'area'",)),
}  # fmt: skip


@pytest.mark.parametrize("what", INPUTS)
def test_inputs(what: str) -> None:
    layer, shape, parts = INPUTS[what]
    model = bp.Model(layer, "mse")
    with refused(*parts, model=model):
        model.step(np.zeros(shape), np.zeros(shape))

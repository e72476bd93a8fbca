"""Layers of Keras whose windows slide over images and sequences."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import nn
from .keras_parts import Arrays, Config, Converted, expect, size


def convolution(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, data_format="channels_last")
    kernel, dims = arrays[0], len(config["kernel_size"])
    bias = {"bias": arrays[1]} if config["use_bias"] else {}
    if config["padding"] not in ("valid", "same"):
        raise ValueError(f"padding is {config['padding']!r}, expected 'valid' or 'same'")
    if config.get("depth_multiplier"):
        groups = kernel.shape[-2]
        kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    else:
        groups = config["groups"]
    cls: Any = nn.Conv1d if dims == 1 else nn.Conv2d
    layer = cls(
        kernel.shape[-2] * groups, kernel.shape[-1], size(config["kernel_size"]), size(config["strides"]),
        0 if config["padding"] == "valid" else "same", size(config["dilation_rate"]), groups, bool(bias), init="keras",
    )  # fmt: skip
    return Converted(layer, rank, {"weight": np.moveaxis(kernel, (-1, -2), (0, 1)), **bias}, first=True)


def pooling(cls: Any) -> Callable[..., Converted]:
    """What makes a layer of windows of this class."""

    def convert(config: Config, arrays: Arrays, rank: int) -> Converted:
        expect(config, data_format="channels_last", padding="valid")
        return Converted(cls(size(config["pool_size"]), size(config["strides"])), rank, first=True)

    return convert


def global_pooling(cls: Any) -> Callable[..., Converted]:
    """What makes a layer that pools all positions, of this class."""

    def convert(config: Config, arrays: Arrays, rank: int) -> Converted:
        expect(config, data_format="channels_last", keepdims=False)
        return Converted(cls(), 2, first=True)

    return convert


def upsampling(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, data_format="channels_last", interpolation="nearest")
    scale = size(config["size"])
    return Converted(
        nn.Upsample(scale_factor=scale if isinstance(scale, int) else tuple(map(float, scale))),
        rank,
        first=True,
    )

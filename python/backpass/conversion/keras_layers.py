"""Layers of Keras, by their configuration and their arrays, as layers of backpass.nn."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import nn
from ..nn import Module
from .keras_parts import Arrays, Config, Converted, expect
from .keras_recurrent import bidirectional, recurrent
from .keras_windows import convolution, global_pooling, pooling, upsampling

ACTIVATIONS: dict[str, Callable[[], Module] | None] = {
    "linear": None, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU,
    "swish": nn.SiLU, "softplus": nn.Softplus, "softmax": nn.Softmax, "log_softmax": nn.LogSoftmax,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
}  # fmt: skip


def activation(name: Any, rank: int) -> Converted:
    """The layer of an activation's name; no layer for "linear"."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"activation is {name!r:.80}, expected one of {', '.join(ACTIVATIONS)}")
    make = ACTIVATIONS[name]
    layer = make() if make else None
    return Converted(layer, rank, first=False if "softmax" in name else None)


def dense(config: Config, arrays: Arrays, rank: int) -> Converted:
    kernel = arrays[0]
    bias = {"bias": arrays[1]} if config["use_bias"] else {}
    inputs, outputs = kernel.shape
    layer = nn.Linear(inputs, outputs, bool(bias), init="keras")
    return Converted(layer, rank, {"weight": kernel.T, **bias})


def batch_norm(config: Config, arrays: Arrays, rank: int) -> Converted:
    axis = config["axis"]
    if not config.get("trainable", True):
        raise ValueError(
            "trainable is False, expected True: in training it would go by the statistics that it has, and here by the batch's"
        )
    if (axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis) not in (-1, rank - 1):
        raise ValueError(f"axis is {axis!r}, expected -1")
    left, mean, var = [*arrays[:-2]], arrays[-2], arrays[-1]
    state = {"running_mean": mean, "running_var": var, "num_batches_tracked": np.zeros((), np.int64)}
    affine = config["scale"] or config["center"]
    if affine:
        state["weight"] = left.pop(0) if config["scale"] else np.ones_like(mean)
        state["bias"] = left.pop(0) if config["center"] else np.zeros_like(mean)
    still = [
        name for name, has in (("weight", config["scale"]), ("bias", config["center"])) if affine and not has
    ]
    cls: Any = nn.BatchNorm2d if rank == 4 else nn.BatchNorm1d
    momentum = round(1 - config["momentum"], 12)
    layer = cls(
        len(mean),
        config["epsilon"],
        momentum,
        affine,
        unbiased=False,
        synchronized=config.get("synchronized", False),
    )
    return Converted(layer, rank, state, still, first=rank > 2 or None)


def layer_norm(config: Config, arrays: Arrays, rank: int) -> Converted:
    axis = config["axis"]
    if (axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis) not in (-1, rank - 1):
        raise ValueError(f"axis is {axis!r}, expected -1")
    expect(config, scale=True)
    state = dict(zip(("weight", "bias"), arrays, strict=False))
    return Converted(nn.LayerNorm(len(arrays[0]), config["epsilon"], bias=config["center"]), rank, state)


def embedding(config: Config, arrays: Arrays, rank: int) -> Converted:
    if config.get("mask_zero"):
        raise ValueError(
            "mask_zero is True, expected False: here fit and predict take the lengths of the rows"
        )
    return Converted(nn.Embedding(*arrays[0].shape, init="keras"), rank + 1, {"weight": arrays[0]})


def relu(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, max_value=None, threshold=0.0)
    slope = config.get("negative_slope", 0.0)
    return Converted(nn.LeakyReLU(slope) if slope else nn.ReLU(), rank, first=None)


def prelu(config: Config, arrays: Arrays, rank: int) -> Converted:
    slopes, given, shared = arrays[0], config["shared_axes"], [*range(1, rank - 1)]
    if slopes.size != slopes.shape[-1]:
        raise ValueError(f"shared_axes is {given!r}, expected {shared}: a slope for each channel")
    layer = nn.PReLU(slopes.size)
    return Converted(layer, rank, {"weight": slopes.reshape(-1)}, first=True if shared else None)


def reshape(config: Config, arrays: Arrays, rank: int) -> Converted:
    if rank != 2:
        raise ValueError(f"its input has {rank - 1} dimensions, expected 1: put a Flatten in front of it")
    sizes = config["target_shape"]
    return Converted(nn.Unflatten(1, tuple(sizes)), 1 + len(sizes))


def time_distributed(config: Config, arrays: Arrays, rank: int) -> Converted:
    kind, inner = config.inner("layer")
    if kind != "Dense" or inner["activation"] != "linear":
        raise ValueError(f"layer is {kind!r:.80}, expected a Dense without an activation")
    made = dense(inner, arrays, rank)
    inner.finish()
    return made


def softmax(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, axis=-1)
    return Converted(nn.Softmax(), rank)


LAYERS: dict[str, Callable[[Config, Arrays, int], Converted]] = {
    "Dense": dense, "Conv1D": convolution, "Conv2D": convolution, "DepthwiseConv2D": convolution, "Embedding": embedding,
    "MaxPooling1D": pooling(nn.MaxPool1d), "MaxPooling2D": pooling(nn.MaxPool2d), "AveragePooling1D": pooling(nn.AvgPool1d),
    "AveragePooling2D": pooling(nn.AvgPool2d), "GlobalAveragePooling1D": global_pooling(nn.GlobalAvgPool),
    "GlobalAveragePooling2D": global_pooling(nn.GlobalAvgPool), "GlobalMaxPooling1D": global_pooling(nn.GlobalMaxPool),
    "GlobalMaxPooling2D": global_pooling(nn.GlobalMaxPool), "BatchNormalization": batch_norm, "LayerNormalization": layer_norm,
    "LSTM": recurrent("LSTM"), "GRU": recurrent("GRU"), "SimpleRNN": recurrent("SimpleRNN"), "Bidirectional": bidirectional,
    "Flatten": lambda config, arrays, rank: Converted(nn.Flatten() if rank > 2 else None, 2),
    "Dropout": lambda config, arrays, rank: Converted(nn.Dropout(config["rate"]), rank, first=None),
    "SpatialDropout1D": lambda config, arrays, rank: Converted(nn.Dropout1d(config["rate"]), rank, first=True),
    "SpatialDropout2D": lambda config, arrays, rank: Converted(nn.Dropout2d(config["rate"]), rank, first=True),
    "GaussianNoise": lambda config, arrays, rank: Converted(nn.GaussianNoise(config["stddev"]), rank, first=None),
    "Activation": lambda config, arrays, rank: activation(config["activation"], rank),
    "TimeDistributed": time_distributed, "ReLU": relu, "Softmax": softmax, "UpSampling2D": upsampling,
    "LeakyReLU": lambda config, arrays, rank: Converted(nn.LeakyReLU(config["negative_slope"]), rank, first=None),
    "PReLU": prelu, "Reshape": reshape,
    "ELU": lambda config, arrays, rank: Converted(nn.ELU(config["alpha"]), rank, first=None),
    "Permute": lambda config, arrays, rank: Converted(nn.Permute((0, *config["dims"])), rank),
}  # fmt: skip

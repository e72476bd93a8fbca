"""Layers of Keras, by their configuration and their arrays, as layers of backpass.nn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..nn import Module

Config = Mapping[str, Any]
Arrays = Sequence[np.ndarray]


class Converted(NamedTuple):
    """A layer, its arrays by their names, those of them that Keras does not train, and what it wants and gives.

    first: whether the channels of its input come before its positions, which Keras has last; None where either will do.
    rank: the dimensions of its output.
    """

    layer: Module | None
    rank: int
    state: Mapping[str, np.ndarray] = {}
    still: Sequence[str] = ()
    first: bool | None = False


def expect(config: Config, **wanted: Any) -> None:
    """ValueError where an argument of Keras's has a value that has no counterpart here."""
    for name, value in wanted.items():
        given = config.get(name, value)
        if (tuple(given) if isinstance(given, list) else given) != value:
            raise ValueError(f"{name} is {given!r:.80}, expected {value!r}")


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


def size(sizes: Any) -> Any:
    """One number for equal ones."""
    listed = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return listed[0] if len({*listed}) == 1 else listed


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


def batch_norm(config: Config, arrays: Arrays, rank: int) -> Converted:
    axis = config["axis"]
    if (axis[0] if isinstance(axis, list | tuple) else axis) not in (-1, rank - 1):
        raise ValueError(f"axis is {axis!r}, expected -1")
    left, (mean, var) = [*arrays[:-2]], arrays[-2:]
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
    layer = cls(len(mean), config["epsilon"], momentum, affine, unbiased=False)
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


# What each takes the place of: order of the gates there.
GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}


def recurrent(kind: str) -> Callable[..., Converted]:
    """What makes a recurrent layer of this kind, of one direction or two."""

    def convert(config: Config, arrays: Arrays, rank: int, both: bool = False) -> Converted:
        expect(
            config, return_state=False, stateful=False, dropout=0.0, recurrent_dropout=0.0, reset_after=True
        )
        expect(
            config,
            go_backwards=False,
            recurrent_activation="sigmoid",
            **({} if kind == "SimpleRNN" else {"activation": "tanh"}),
        )
        settings = {"nonlinearity": config["activation"]} if kind == "SimpleRNN" else {}
        cls: Any = nn.RNN if kind == "SimpleRNN" else getattr(nn, kind)
        layer = cls(
            arrays[0].shape[0], config["units"], bias=config["use_bias"], bidirectional=both,
            returns="sequence" if config["return_sequences"] else "last", init="keras", **settings,
        )  # fmt: skip
        state: dict[str, np.ndarray] = {}
        still = []
        each = len(arrays) // (1 + both)
        for start, suffix in zip(range(0, len(arrays), each), ("_l0", "_l0_reverse"), strict=False):
            kernel, recurrent_kernel, *bias = (
                by_gate(array, GATES[kind]) for array in arrays[start : start + each]
            )
            state |= {f"weight_ih{suffix}": kernel.T, f"weight_hh{suffix}": recurrent_kernel.T}
            if bias:
                of_states = bias[0][1] if kind == "GRU" else np.zeros_like(bias[0])
                state |= {
                    f"bias_ih{suffix}": bias[0][0] if kind == "GRU" else bias[0],
                    f"bias_hh{suffix}": of_states,
                }
                # Keras has one bias there.
                still += [] if kind == "GRU" else [f"bias_hh{suffix}"]
        return Converted(layer, 3 if config["return_sequences"] else 2, state, still)

    return convert


def by_gate(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The last dimension, of gates · units, in another order of the gates."""
    gates = np.split(array, len(order), axis=-1)
    return np.concatenate([gates[i] for i in order], axis=-1)


def bidirectional(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, merge_mode="concat")
    inner = config["layer"]
    if inner["class_name"] not in GATES:
        raise ValueError(f"layer is a {inner['class_name']}, expected one of {', '.join(GATES)}")
    return recurrent(inner["class_name"])(inner["config"], arrays, rank, both=True)


def relu(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, max_value=None, threshold=0.0)
    slope = config.get("negative_slope", 0.0)
    return Converted(nn.LeakyReLU(slope) if slope else nn.ReLU(), rank, first=None)


def time_distributed(config: Config, arrays: Arrays, rank: int) -> Converted:
    inner = config["layer"]
    if inner["class_name"] != "Dense" or inner["config"]["activation"] != "linear":
        raise ValueError(f"layer is {inner['class_name']!r:.80}, expected a Dense without an activation")
    return dense(inner["config"], arrays, rank)


def softmax(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, axis=-1)
    return Converted(nn.Softmax(), rank)


def upsampling(config: Config, arrays: Arrays, rank: int) -> Converted:
    expect(config, data_format="channels_last", interpolation="nearest")
    scale = size(config["size"])
    return Converted(
        nn.Upsample(scale_factor=scale if isinstance(scale, int) else tuple(map(float, scale))),
        rank,
        first=True,
    )


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
    "ELU": lambda config, arrays, rank: Converted(nn.ELU(config["alpha"]), rank, first=None),
    "Permute": lambda config, arrays, rank: Converted(nn.Permute((0, *config["dims"])), rank),
}  # fmt: skip

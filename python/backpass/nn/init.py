"""`from backpass.nn import init`: initial weights of a parameter, under PyTorch's names, for networks whose `__init__` says them.

Each function notes what `bp.Model` draws with its own seed, and returns the parameter. Layers also take `init="he_normal"`.
"""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Callable
from functools import partial
from math import isfinite, prod, sqrt
from typing import Any

import numpy as np

from ..checks import real
from .initial_weights import orthogonal
from .parameter import Parameter

# (generator, shape as users see it) -> array
Values = Callable[..., Any]
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": sqrt(2), "selu": 0.75}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor of the standard deviation that keeps the variance of a layer's output; param: the slope of "leaky_relu"."""
    if nonlinearity == "leaky_relu":
        return sqrt(2 / (1 + (0.01 if param is None else _number("param", param)) ** 2))
    if nonlinearity not in GAINS and not nonlinearity.startswith("conv"):
        raise ValueError(f"nonlinearity is {nonlinearity!r:.60}, expected one of {[*GAINS, 'leaky_relu']}")
    return GAINS.get(nonlinearity, 1.0)


def zeros_(tensor: Parameter) -> Parameter:
    """0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Parameter) -> Parameter:
    """1."""
    return constant_(tensor, 1.0)


def constant_(tensor: Parameter, val: float) -> Parameter:
    """The same number everywhere."""
    return _drawn(tensor, partial(_constant, value=_number("val", val)))


def eye_(tensor: Parameter) -> Parameter:
    """1 on the diagonal of a matrix, else 0."""
    if len(_free(tensor).shape) != 2:
        raise ValueError(f"eye_: tensor has shape {tensor.shape}, expected (rows, columns)")
    return _drawn(tensor, _eye)


def uniform_(tensor: Parameter, a: float = 0.0, b: float = 1.0) -> Parameter:
    """U(a, b)."""
    low, high = _number("a", a), _number("b", b)
    if low > high:
        raise ValueError(f"uniform_: a is {a} and b {b}, expected a at most b")
    return _drawn(tensor, partial(_uniform, low=low, high=high))


def normal_(tensor: Parameter, mean: float = 0.0, std: float = 1.0) -> Parameter:
    """N(mean, std²)."""
    return _drawn(tensor, partial(_normal, mean=_number("mean", mean), std=_positive("std", std)))


def trunc_normal_(
    tensor: Parameter, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Parameter:
    """N(mean, std²) within [a, b]: what falls outside is drawn again."""
    center, scale = _number("mean", mean), _positive("std", std)
    low, high = ((_number(name, bound) - center) / scale for name, bound in (("a", a), ("b", b)))
    if not low < high or low > 6 or high < -6:
        raise ValueError(
            f"trunc_normal_: a is {a} and b {b}, expected a range that mean {mean} and std {std} reach"
        )
    return _drawn(tensor, partial(_truncated, mean=center, std=scale, low=low, high=high))


def xavier_uniform_(tensor: Parameter, gain: float = 1.0) -> Parameter:
    """U(±gain √(6 / (fan_in + fan_out))) (Glorot and Bengio 2010)."""
    bound = _number("gain", gain) * sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return _drawn(tensor, partial(_uniform, low=-bound, high=bound))


def xavier_normal_(tensor: Parameter, gain: float = 1.0) -> Parameter:
    """N(0, gain² 2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return _drawn(
        tensor,
        partial(
            _normal, mean=0.0, std=_number("gain", gain) * sqrt(2 / sum(_fans("xavier_normal_", tensor)))
        ),
    )


def kaiming_uniform_(
    tensor: Parameter, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Parameter:
    """U(±gain √(3 / fan)) (He et al. 2015)."""
    bound = sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return _drawn(tensor, partial(_uniform, low=-bound, high=bound))


def kaiming_normal_(
    tensor: Parameter, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Parameter:
    """N(0, gain² / fan) (He et al. 2015)."""
    std = _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity)
    return _drawn(tensor, partial(_normal, mean=0.0, std=std))


def orthogonal_(tensor: Parameter, gain: float = 1.0) -> Parameter:
    """Orthonormal rows or columns, whichever are fewer, times gain (Saxe et al. 2014)."""
    _fans("orthogonal_", tensor)
    return _drawn(tensor, partial(_orthogonal, gain=_number("gain", gain)))


def _number(name: str, value: Any) -> float:
    number = real(value)
    if not isfinite(number):
        raise ValueError(f"{name} is {value!r:.60}, expected a number")
    return number


def _positive(name: str, value: Any) -> float:
    number = _number(name, value)
    if number <= 0:
        raise ValueError(f"{name} is {value!r:.60}, expected a number above 0")
    return number


def _kaiming(function: str, tensor: Parameter, a: float, mode: str, nonlinearity: str) -> float:
    """gain / √fan."""
    fans = dict(zip(("fan_in", "fan_out"), _fans(function, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"{function}: mode is {mode!r:.60}, expected 'fan_in' or 'fan_out'")
    return calculate_gain(nonlinearity, a) / sqrt(fans[mode])


def _fans(function: str, tensor: Parameter) -> tuple[int, int]:
    """Inputs and outputs of each unit of (out, in, ...)."""
    shape = _free(tensor).shape
    if len(shape) < 2 or not prod(shape):
        raise ValueError(f"{function}: tensor has shape {shape}, expected (out, in) or (out, in, ...)")
    places = prod(shape[2:])
    return shape[1] * places, shape[0] * places


def _free(tensor: Any) -> Parameter:
    """The parameter, which has no values yet."""
    if not isinstance(tensor, Parameter):
        hint = ": bp.Model has made its weights, write into them" if isinstance(tensor, np.ndarray) else ""
        raise TypeError(f"tensor is {tensor!r:.60}, expected a parameter of a network without a model{hint}")
    if tensor.home is not None:
        raise ValueError(f"tensor is a {tensor!r} that a model has made: write into it")
    return tensor


def _drawn(tensor: Parameter, values: Values) -> Parameter:
    """Let `bp.Model` draw a parameter so."""
    parameter = _free(tensor)
    parameter.draw = partial(_stored, values=values, shown=parameter.shown, axes=parameter.axes)
    return parameter


def _stored(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    fan_in: int,
    *,
    values: Values,
    shown: tuple[int, ...],
    axes: tuple[int, ...] | None,
) -> Any:
    """Values as users see them, in the layout in which they are stored."""
    drawn = values(rng, shown)
    return drawn if axes is None else drawn.reshape([shape[a] for a in axes]).transpose(np.argsort(axes))


def _constant(rng: np.random.Generator, shape: tuple[int, ...], *, value: float) -> Any:
    return np.full(shape, value)


def _eye(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.eye(shape[0], shape[1])


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], *, low: float, high: float) -> Any:
    return rng.uniform(low, high, shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], *, mean: float, std: float) -> Any:
    return rng.normal(mean, std, shape)


def _truncated(
    rng: np.random.Generator, shape: tuple[int, ...], *, mean: float, std: float, low: float, high: float
) -> Any:
    z = rng.standard_normal(shape)
    while (outside := (z < low) | (z > high)).any():
        z[outside] = rng.standard_normal(int(outside.sum()))
    return mean + std * z


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...], *, gain: float) -> Any:
    return gain * orthogonal(rng, (shape[0], prod(shape[1:])), 0).reshape(shape)

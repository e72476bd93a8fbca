"""Operators element by element, and activations."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ...nn import functional as F
from ...program.functions import maximum, minimum, where
from ...program.symbolic import SymbolicTensor
from .call import Call
from .constants import dtype_of
from .turned import Turned, like, plain

Reader = Callable[[Call], Any]


def of_each(function: Callable[..., Any], **defaults: Any) -> Reader:
    """A function of all inputs, element by element, and of attributes."""

    def read(call: Call) -> Any:
        options = {name: call.attribute(name, default) for name, default in defaults.items()}
        return broadcast(call, call.values, lambda *operands: function(*operands, **options))

    return read


def broadcast(call: Call, values: Sequence[Any], function: Callable[..., Any]) -> Any:
    """A function of values that are broadcast to each other; the place of the rows stays where all agree on it."""
    places = {value.at - value.ndim for value in values if isinstance(value, Turned)}
    if len(places) == 1:
        (place,) = places
        ndim = max(value.ndim for value in values)
        fitted = [_rows_first(call, value, place, ndim) for value in values]
        # Not `in`, which would compare tensors.
        if all(value is not None for value in fitted):
            return like(function(*fitted), ndim + place)
    values = [alone(plain(value), values) for value in values]
    if not any(isinstance(value, SymbolicTensor) for value in values):
        values = [call.as_tensor(value) for value in values]
    return function(*values)


def alone(value: Any, others: Sequence[Any]) -> Any:
    """A constant with the same for each row of other values, for one row."""
    if not isinstance(value, np.ndarray) or not value.ndim or len(value) < 2:
        return value
    by_row = any(getattr(other, "per_row", 0) and other.shape[0] == len(value) for other in others)
    return value[:1] if by_row and (value == value[:1]).all() else value


def _rows_first(call: Call, value: Any, place: int, ndim: int) -> Any:
    """A value with the dimension `place`, counted from the end, first; None where it is of rows elsewhere."""
    if isinstance(value, Turned):
        return value.tensor if value.ndim == ndim else None
    if value.ndim == 0:
        return value
    shape = (1,) * (ndim - value.ndim) + value.shape
    if getattr(value, "per_row", 0) or shape[place] != 1:
        return None
    return value.reshape([1, *shape[: ndim + place], *shape[ndim + place + 1 :]])


def _quotient(a: Any, b: Any) -> Any:
    if np.dtype(a.dtype).kind == "f" or np.dtype(b.dtype).kind == "f":
        return a / b
    # Integers are rounded to 0 in ONNX, here down.
    return where((a < 0) * (b > 0) + (a > 0) * (b < 0), -((0 - a) // b), a // b)


def _mod(a: Any, b: Any, fmod: int) -> Any:
    if fmod:
        raise ValueError("fmod is 1, expected 0")
    return a % b


def _compared(name: str) -> Callable[[Any, Any], Any]:
    def compared(a: Any, b: Any) -> Any:
        # NumPy's comparisons know no tensor on the right.
        tensor = a if isinstance(a, SymbolicTensor) else b
        return tensor._apply(name, a, b)

    return compared


def _powers(a: Any, b: Any) -> Any:
    if isinstance(b, np.ndarray) and b.size == 1:
        b = float(b.reshape(()))
    return a**b


def clip(call: Call) -> Any:
    """Numbers within limits."""
    low, high = (call.known(number, name) for number, name in ((1, "min"), (2, "max")))
    limits = [None if limit is None else float(limit.reshape(())) for limit in (low, high)]
    if limits == [None, None]:
        return call.raw(0)
    return broadcast(call, call.values[:1], lambda x: x.clamp(*limits))


def cast(call: Call) -> Any:
    """Numbers, integers, or 1 for true and 0 for false."""
    call.attribute("saturate", 1)
    kind = dtype_of(call.attribute("to", 0)).kind
    if kind == "b":
        return broadcast(call, call.values[:1], lambda x: x != 0)
    return broadcast(call, call.values[:1], lambda x: x.float() if kind == "f" else x.long())


def dropout(call: Call) -> Any:
    """Dropout while training."""
    call.attribute("seed", 0)
    ratio = call.known(1, "ratio")
    p = 0.5 if ratio is None else float(ratio.reshape(()))
    return broadcast(call, call.values[:1], lambda x: F.dropout(x, p))


def scaler(call: Call) -> Any:
    """scikit-learn's StandardScaler: (x - offset) scale."""
    offset, scale = (
        np.asarray(call.attribute(name, value)) for name, value in (("offset", 0.0), ("scale", 1.0))
    )
    return broadcast(call, call.values[:1], lambda x: (x - offset) * scale)


def zip_map(call: Call) -> Any:
    """Probabilities by class: here an array."""
    for name in ("classlabels_int64s", "classlabels_strings"):
        call.attribute(name, None)
    return call.raw(0)


def _gelu(x: Any, approximate: str) -> Any:
    return F.gelu(x, approximate)


def _hard_sigmoid(x: Any, alpha: float, beta: float) -> Any:
    return (x * alpha + beta).clamp(0.0, 1.0)


def _selu(x: Any, alpha: float, gamma: float) -> Any:
    return F.elu(x, alpha) * gamma


ELEMENTWISE: dict[str, Reader] = {
    "Identity": lambda call: call.raw(0), "Cast": cast, "Clip": clip, "Dropout": dropout,
    "Add": of_each(lambda a, b: a + b), "Sub": of_each(lambda a, b: a - b), "Mul": of_each(lambda a, b: a * b),
    "Div": of_each(_quotient), "Mod": of_each(_mod, fmod=0), "Pow": of_each(_powers), "Neg": of_each(lambda x: -x),
    "Abs": of_each(lambda x: x.abs()), "Sign": of_each(lambda x: x.sign()), "Sqrt": of_each(lambda x: x.sqrt()),
    "Exp": of_each(lambda x: x.exp()), "Log": of_each(lambda x: x.log()), "Sin": of_each(lambda x: x.sin()),
    "Cos": of_each(lambda x: x.cos()), "Erf": of_each(lambda x: x.erf()), "Reciprocal": of_each(lambda x: 1 / x),
    "Sum": of_each(lambda *xs: reduce(lambda a, b: a + b, xs)), "Min": of_each(lambda *xs: reduce(minimum, xs)),
    "Max": of_each(lambda *xs: reduce(maximum, xs)), "Mean": of_each(lambda *xs: reduce(lambda a, b: a + b, xs) / len(xs)),
    "Less": of_each(_compared("lt")), "LessOrEqual": of_each(_compared("le")), "Greater": of_each(_compared("gt")),
    "GreaterOrEqual": of_each(_compared("ge")), "Equal": of_each(_compared("eq")), "Not": of_each(lambda x: x == 0),
    "And": of_each(lambda a, b: a * b), "Or": of_each(maximum), "Where": of_each(where),
    "Relu": of_each(lambda x: x.relu()), "Tanh": of_each(lambda x: x.tanh()), "Sigmoid": of_each(lambda x: x.sigmoid()),
    "LeakyRelu": of_each(lambda x, alpha: F.leaky_relu(x, alpha), alpha=0.01),
    "Elu": of_each(lambda x, alpha: F.elu(x, alpha), alpha=1.0),
    "Selu": of_each(_selu, alpha=1.6732632423543772, gamma=1.0507009873554805), "Gelu": of_each(_gelu, approximate="none"),
    "Softplus": of_each(F.softplus), "Softsign": of_each(lambda x: x / (1 + x.abs())),
    "HardSigmoid": of_each(_hard_sigmoid, alpha=0.2, beta=0.5),
    "HardSwish": of_each(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5)), "Mish": of_each(lambda x: x * F.softplus(x).tanh()),
    "ai.onnx.ml.Scaler": scaler, "ai.onnx.ml.ZipMap": zip_map,
    "PRelu": of_each(lambda x, slope: where(x < 0, x * slope, x)),
}  # fmt: skip

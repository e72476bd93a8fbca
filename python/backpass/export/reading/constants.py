"""Operators on arrays that are known while a network is traced, most of them sizes: NumPy computes them at once."""

from collections.abc import Callable
from math import ceil, prod
from typing import Any

import numpy as np

from .call import Call

# Numbers of an array that is computed so: a short file must not ask for much memory.
MOST = 1 << 22


def limited(size: float) -> None:
    """ValueError for a size beyond MOST."""
    if size > MOST:
        raise ValueError(f"it makes a constant of {size:,.0f} numbers, expected at most {MOST:,}")


def constant(call: Call) -> np.ndarray:
    """The value that the node holds."""
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        value = call.attribute(name, None)
        if value is not None:
            dtype = None if name == "value" else np.float32 if "float" in name else np.int64
            return np.asarray(value, dtype)
    raise ValueError("it holds no number")


def constant_of_shape(call: Call) -> np.ndarray:
    """One number, repeated."""
    sizes, value = _sizes(call, 0), np.asarray(call.attribute("value", np.zeros(1, np.float32)))
    return np.full(sizes, value.reshape(-1)[0])


def range_(call: Call) -> np.ndarray:
    """Numbers at the same distance."""
    start, limit, delta = (_given(call, number).reshape(()) for number in range(3))
    if not delta:
        raise ValueError("delta is 0")
    limited(ceil(float((limit - start) / delta)))
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _given(call: Call, number: int) -> np.ndarray:
    value = call.known(number, f"input {number}")
    if value is None:
        raise ValueError(f"input {number} is absent")
    return value


def _sizes(call: Call, number: int) -> list[int]:
    sizes = [int(n) for n in _given(call, number).reshape(-1)]
    if min(sizes, default=0) < 0:
        raise ValueError(f"sizes are {sizes}, expected none below 0")
    limited(prod(sizes))
    return sizes


def elementwise(function: Callable[..., Any]) -> Callable[[Call], np.ndarray]:
    """A function of arrays that are broadcast to each other."""

    def computed(call: Call) -> np.ndarray:
        arrays = [_given(call, number) for number in range(len(call.values))]
        limited(prod(np.broadcast_shapes(*(array.shape for array in arrays))))
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays))

    return computed


def quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, of integers rounded to 0."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not np.all(b):
        raise ValueError("an integer is divided by 0")
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))


def mod(call: Call) -> np.ndarray:
    """What division leaves; its sign is that of the divisor, with fmod=1 that of the dividend."""
    return elementwise(np.fmod if call.attribute("fmod", 0) else np.mod)(call)


def concat(call: Call) -> np.ndarray:
    """Arrays one behind the other."""
    arrays = [_given(call, number) for number in range(len(call.values))]
    limited(sum(array.size for array in arrays))
    return np.concatenate(arrays, call.attribute("axis", 0))


def gather(call: Call) -> np.ndarray:
    """Parts by index."""
    data, index, axis = _given(call, 0), _given(call, 1), call.attribute("axis", 0)
    limited(data.size // max(data.shape[axis], 1) * index.size)
    return np.asarray(data.take(index, axis))


def expand(call: Call) -> np.ndarray:
    """Repeated to a shape."""
    data = _given(call, 0)
    shape = np.broadcast_shapes(data.shape, tuple(_sizes(call, 1)))
    limited(prod(shape))
    return np.broadcast_to(data, shape).copy()


def cast(call: Call) -> np.ndarray:
    """In another dtype."""
    call.attribute("saturate", 1)
    return _given(call, 0).astype(dtype_of(call.attribute("to", 0)))


def dtype_of(number: int) -> np.dtype[Any]:
    """The dtype that ONNX has under a number."""
    names = {
        1: "float32",
        2: "uint8",
        3: "int8",
        4: "uint16",
        5: "int16",
        6: "int32",
        7: "int64",
        9: "bool",
        11: "float64",
    }
    if number not in names:
        raise ValueError(f"to is {number}, expected the number of one of {[*names.values()]}")
    return np.dtype(names[number])


def reduced(function: Callable[..., Any]) -> Callable[[Call], np.ndarray]:
    """A function along axes."""

    def computed(call: Call) -> np.ndarray:
        data, axes = _given(call, 0), call.axes(1)
        keep, empty = bool(call.attribute("keepdims", 1)), call.attribute("noop_with_empty_axes", 0)
        if not axes and empty:
            return data
        return np.asarray(function(data, axis=tuple(axes) if axes else None, keepdims=keep), data.dtype)

    return computed


FOLDED: dict[str, Callable[[Call], np.ndarray]] = {
    "Add": elementwise(np.add), "Sub": elementwise(np.subtract), "Mul": elementwise(np.multiply), "Div": elementwise(quotient),
    "Mod": mod, "Neg": elementwise(np.negative), "Abs": elementwise(np.abs), "Sqrt": elementwise(np.sqrt),
    "Floor": elementwise(np.floor), "Ceil": elementwise(np.ceil), "Equal": elementwise(np.equal), "Less": elementwise(np.less),
    "Greater": elementwise(np.greater), "LessOrEqual": elementwise(np.less_equal), "Not": elementwise(np.logical_not),
    "GreaterOrEqual": elementwise(np.greater_equal), "And": elementwise(np.logical_and), "Or": elementwise(np.logical_or),
    "Min": elementwise(lambda *a: np.min(np.broadcast_arrays(*a), axis=0)), "Where": elementwise(np.where),
    "Max": elementwise(lambda *a: np.max(np.broadcast_arrays(*a), axis=0)),
    "Concat": concat, "Gather": gather, "Expand": expand, "Cast": cast,
    "ReduceSum": reduced(np.sum), "ReduceProd": reduced(np.prod), "ReduceMax": reduced(np.max), "ReduceMin": reduced(np.min),
}  # fmt: skip

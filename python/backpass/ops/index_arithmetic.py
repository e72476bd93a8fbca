"""Integers that become indices: sums, products and comparisons of int64, a choice between two, numbers made whole.

Beyond 64 bits they wrap around. An index that is out of range in the end is found where something is chosen by it.
"""

import numpy as np

from .contract import op

# What `index_function` computes; a comparison gives 1 or 0. Division is rounded down, as Python's; that by 0 gives 0.
INDEX_FUNCTIONS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "floordiv": np.floor_divide,
    "mod": np.mod,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}


def _integers(rng, shape, dims):
    """Small ones, and some at the ends of what 64 bits hold."""
    far = rng.choice([-(2**63), 2**63 - 1, -1, 0, 7919], shape)
    return np.where(rng.random(shape) < 0.2, far, rng.integers(-9, 10, shape))


def _numbers(rng, shape, dims):
    return np.where(rng.random(shape) < 0.2, rng.choice([np.nan, np.inf, -1e30, 2.0**40], shape), 9.0) * (
        rng.standard_normal(shape)
    )


@op(
    "a[*]:int64 b[*]:int64 -> y[*]:int64",
    samples={"a": _integers, "b": _integers, "function": [*INDEX_FUNCTIONS]},
    strided=("a", "b", "y"),
)
def index_function(a, b, y, function: str = "add"):
    """y = function(a, b), element by element: "add", "sub", "mul", "floordiv", "mod"; "lt", "le", "gt", "ge", "eq", "ne"."""
    with np.errstate(divide="ignore", over="ignore"):
        y[...] = INDEX_FUNCTIONS[function](a, b)


@op(
    "condition[*] a[*]:int64 b[*]:int64 -> y[*]:int64",
    samples={
        "condition": lambda rng, shape, dims: rng.integers(-1, 2, shape),
        "a": _integers,
        "b": _integers,
    },
    strided=("condition", "a", "b", "y"),
)
def index_where(condition, a, b, y):
    """y = a where the condition is not 0, else b."""
    y[...] = np.where(condition != 0, a, b)


@op("x[*] -> y[*]:int64", samples={"x": _numbers}, strided=("x",))
def to_index(x, y):
    """y = x without its fraction; -1 from 2^63 in magnitude on, and for NaN."""
    held = np.abs(x) < 2.0**63
    y[...] = np.where(held, x, -1)

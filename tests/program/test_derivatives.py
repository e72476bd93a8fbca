"""Every function of an expression: its derivative against finite differences, operands broadcast in every position."""

import itertools
from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops.expression import FUNCTIONS
from backpass.program import Builder
from backpass.program.arithmetic import elementwise
from backpass.program.derivatives import DERIVATIVES
from helpers.differences import numeric

LIMIT = 1e-6
SHAPES = ((3, 4), (1, 4), (3, 1), (4,), (1,), (), (2, 3, 4), (2, 1, 4))
# Kinks and poles of these functions lie outside.
RANGES = {
    "log": (0.3, 2.0),
    "sqrt": (0.3, 2.0),
    "log1p": (-0.5, 2.0),
    "pow": (0.3, 2.0),
    "div": (0.5, 2.0),
    "relu": (0.1, 2.0),
}


def test_every_function_has_a_derivative_for_each_operand() -> None:
    assert {name: len(found) for name, found in DERIVATIVES.items()} == {
        n: f.operands for n, f in FUNCTIONS.items()
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_derivative(function: str, backend: Backend) -> None:
    operands = FUNCTIONS[function].operands
    choices = [*itertools.product(SHAPES, repeat=operands)]
    rng = np.random.default_rng(len(function))
    low, high = RANGES.get(function, (-2.0, 2.0))
    for number in rng.choice(len(choices), min(len(choices), 12), replace=False):
        try:
            shape = np.broadcast_shapes(*choices[number])
        except ValueError:
            continue
        arrays = [rng.uniform(low, high, s) for s in choices[number]]
        if operands == 3:  # a condition that holds here and there
            arrays[0] = (arrays[0] > 0) * 1.0
        dy = rng.standard_normal(shape)

        def total(arrays: list[np.ndarray] = arrays, dy: np.ndarray = dy) -> float:
            values = FUNCTIONS[function].value(*arrays)
            return float((np.asarray(values, np.float64) * dy).sum())

        gradients = backpropagated(backend, function, arrays, dy)
        for operand, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
            if DERIVATIVES[function][operand] is None:
                assert gradient is None
                continue
            assert gradient is not None
            assert gradient.shape == array.shape
            expected = numeric(total, array)
            np.testing.assert_allclose(
                gradient, expected, rtol=LIMIT, atol=LIMIT, err_msg=f"{function} {choices[number]}"
            )


@pytest.mark.parametrize(("function", "expected"), [("minimum", [0.5, 0, 1]), ("maximum", [0.5, 1, 0])])
def test_equal_operands_share_the_gradient(function: str, expected: list[float], backend: Backend) -> None:
    a, b = np.array([1.0, 2.0, 1.0]), np.array([1.0, 1.0, 2.0])
    found = backpropagated(backend, function, [a, b], np.ones(3))
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], 1 - np.array(expected))


def backpropagated(backend: Backend, function: str, arrays: list[np.ndarray], dy: np.ndarray) -> list[Any]:
    """The gradients of all operands; None where none flows."""
    builder = Builder(np.dtype(np.float64), training=True)
    tensors = []
    for array in arrays:
        tensors.append(builder.tensor(array.shape, requires_grad=True))
        tensors[-1].array[...] = array
    y = elementwise(builder, function, *tensors)
    seed = builder.tensor(y.shape)
    seed.array[...] = dy
    builder.add_gradient(y, seed)
    builder.backward()
    found = [builder.gradient(tensor) for tensor in tensors]
    backend.compile(builder.instructions).run(1)
    return [gradient and gradient.array for gradient in found]

"""Products at every precision: the reference against float64, every backend and unit against the reference, errors by name."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops.precision import PRECISIONS, product, split, to_bf16
from helpers.backends import BACKENDS, NATIVE, needs_native

RNG = np.random.default_rng(7)
BELOW = [precision for precision in PRECISIONS if precision != "float32"]
# Of a product of two rounded numbers, relative to it: two roundings of 8, 16 and 24 bits.
ROUNDOFF = {"float32": 2**-24, "bf16x6": 2**-24, "bf16x3": 2**-15, "bf16": 2**-7}
SHAPES = [(1, 1, 1), (3, 70, 7), (17, 784, 33), (130, 20, 70)]


def units() -> dict[str, Backend]:
    """Every native instruction set with every unit that it has here, and the other backends."""
    made = {name: backend for name, backend in BACKENDS.items() if name not in NATIVE}
    for name in NATIVE:
        from backpass.backends.native import NativeBackend

        isa = BACKENDS[name].isa  # type: ignore[attr-defined]
        for unit in ("float32", "vdpbf16ps", "emulation", "amx", "amx_emulation"):
            backend = NativeBackend(isa, unit)
            try:
                backend.unit("bf16")
            except ValueError:
                continue
            made[f"{isa}-{unit}"] = backend
    return made


UNITS = units()


@pytest.fixture(params=[*UNITS])
def computing(request: pytest.FixtureRequest) -> Backend:
    """Every unit in turn."""
    return UNITS[request.param]


def layer(backend: Backend, precision: str, x: Any, weight: Any, dy: Any) -> tuple[np.ndarray, ...]:
    """y, dx and dweight of a linear layer."""
    y, dx, dweight = np.empty_like(dy), np.empty_like(x), np.empty_like(weight)
    backend.call("linear_forward", x=x, weight=weight, y=y, precision=precision)
    backend.call("linear_backward", x=x, weight=weight, dy=dy, dx=dx, dweight=dweight, precision=precision)
    return y, dx, dweight


def draw(rows: int, inputs: int, outputs: int) -> tuple[np.ndarray, ...]:
    shapes = (rows, inputs), (inputs, outputs), (rows, outputs)
    return tuple(RNG.standard_normal(shape).astype(np.float32) for shape in shapes)


def operands(x: np.ndarray, weight: np.ndarray, dy: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a layer multiplies, in the order of `layer`."""
    return [(x, weight), (dy, weight.T), (x.T, dy)]


def scale(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums of the absolute products."""
    return np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_are_as_near_as_the_precision_says(computing: Backend, precision: str, shape: Any) -> None:
    x, weight, dy = draw(*shape)
    for got, (a, b) in zip(layer(computing, precision, x, weight, dy), operands(x, weight, dy), strict=True):
        wanted = a.astype(np.float64) @ b.astype(np.float64)
        chain = (a.shape[1] / 2 + 4) * 2**-24
        assert np.all(np.abs(got - wanted) <= (ROUNDOFF[precision] + chain) * scale(a, b))


@pytest.mark.parametrize("precision", BELOW)
def test_a_unit_rounds_as_the_reference_does(computing: Backend, precision: str) -> None:
    """Beyond the order of their sums there is no difference: of bf16 a hundredth of its own roundoff."""
    if computing.unit(precision) == "float32":
        pytest.skip("float32 stands in")
    x, weight, dy = draw(40, 300, 70)
    for got, (a, b) in zip(layer(computing, precision, x, weight, dy), operands(x, weight, dy), strict=True):
        wanted = np.empty_like(got)
        product(a, b, wanted, precision)
        assert np.all(np.abs(got - wanted) <= 40 * 2**-24 * scale(a, b))


@needs_native
@pytest.mark.parametrize("precision", BELOW)
@pytest.mark.parametrize("units", [("vdpbf16ps", "emulation"), ("amx", "amx_emulation")], ids=str)
def test_an_instruction_and_its_emulation_give_the_same_bits(precision: str, units: Any) -> None:
    x, weight, dy = draw(33, 600, 70)
    x[3, 4], weight[7, 9] = np.inf, np.finfo(np.float32).max
    found = [
        [array.tobytes() for array in layer(backend, precision, x, weight, dy)]
        for name, backend in UNITS.items()
        if name.endswith(tuple(f"-{unit}" for unit in units))
    ]
    assert all(one[1:] == found[0][1:] for one in found)  # a NaN's sign is the compiler's
    assert len(found) >= len(NATIVE)


def hard(kind: str, rows: int, inputs: int, outputs: int) -> tuple[np.ndarray, ...]:
    """Data on which products lose digits: of scales that differ, or sums that nearly cancel."""
    x, weight, dy = draw(rows, inputs, outputs)
    if kind == "badly scaled":
        x, weight, dy = (
            a * np.float32(10) ** RNG.uniform(-6, 6, a.shape).astype(np.float32) for a in (x, weight, dy)
        )
    if kind == "cancelling":
        half = inputs // 2
        weight[half : 2 * half] = weight[:half]
        x[:, half : 2 * half] = -x[:, :half] * np.float32(1 + 2**-12)
    return x, weight, dy


@needs_native
@pytest.mark.parametrize("kind", ["random", "badly scaled", "cancelling"])
@pytest.mark.parametrize("shape", [(64, 64, 64), (64, 784, 64), (200, 300, 100)], ids=str)
@pytest.mark.parametrize("unit", ["emulation", "amx_emulation"])
def test_bf16x6_is_at_least_as_near_as_float32(kind: str, shape: tuple[int, int, int], unit: str) -> None:
    """The root mean square of the error against float64, of all three products of a layer."""
    x, weight, dy = hard(kind, *shape)
    fastest = next(backend for name, backend in UNITS.items() if name.endswith(f"-{unit}"))
    six = layer(fastest, "bf16x6", x, weight, dy)
    for name in NATIVE:
        if name == "native-baseline":  # without FMA, its float32 rounds twice
            continue
        plain = layer(BACKENDS[name], "float32", x, weight, dy)
        for got, compared, (a, b) in zip(six, plain, operands(x, weight, dy), strict=True):
            exact, size = a.astype(np.float64) @ b.astype(np.float64), scale(a, b)
            errors = [np.sqrt(np.mean(((y - exact) / size) ** 2)) for y in (got, compared)]
            assert errors[0] <= errors[1], (name, a.shape, errors)


def test_parts_add_up_to_the_number() -> None:
    x = (RNG.standard_normal(1000) * 10.0 ** RNG.uniform(-20, 20, 1000)).astype(np.float32)
    assert np.array_equal(sum(part.astype(np.float64) for part in split(x, 3)), x.astype(np.float64))
    assert np.all(np.abs(x - sum(split(x, 2))) <= 2**-17 * np.abs(x))


def test_rounding_to_bf16_is_to_nearest_with_ties_to_even() -> None:
    x = np.array(
        [1, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 2**-8, 3.3895e38, 3.4e38, 1e-40, -0.0],
        np.float32,
    )
    wanted = [1, 1, 1 + 2**-6, 1 + 2**-7, -1, 3.3895314e38, np.inf, 0, -0.0]
    assert np.array_equal(to_bf16(x).view(np.uint32), np.array(wanted, np.float32).view(np.uint32))
    assert np.isnan(to_bf16(np.array([np.nan, -np.nan], np.float32))).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_not_finite_stays_so_and_nothing_else_becomes_it(computing: Backend, precision: str) -> None:
    x, weight, dy = (np.ones(shape, np.float32) for shape in ((20, 40), (40, 35), (20, 35)))
    x[3, 7], x[5, 1:3], x[8, 0], weight[9, 4] = np.inf, (np.inf, -np.inf), np.nan, -np.inf
    x[11, 0] = np.finfo(np.float32).max / (4 if precision == "bf16" else 1)
    y = layer(computing, precision, x, weight, dy)[0]
    with np.errstate(invalid="ignore"):
        wanted = x.astype(np.float64) @ weight.astype(np.float64)
    finite = np.isfinite(wanted)
    assert np.array_equal(y[~finite], wanted[~finite].astype(np.float32), equal_nan=True)
    assert np.all(np.abs(y[finite] - wanted[finite]) <= 2**-7 * np.abs(wanted[finite]))


@pytest.mark.parametrize("precision", BELOW)
def test_float64_takes_no_precision_below(backend: Backend, precision: str) -> None:
    x, weight, y = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4))
    with pytest.raises(ValueError, match=r"precision.*float32"):
        backend.call("linear_forward", x=x, weight=weight, y=y, precision=precision)


def test_another_precision_is_refused(backend: Backend) -> None:
    x, weight, y = (np.ones(shape, np.float32) for shape in ((2, 3), (3, 4), (2, 4)))
    with pytest.raises(ValueError, match=r"precision is.*bf17"):
        backend.call("linear_forward", x=x, weight=weight, y=y, precision="bf17")

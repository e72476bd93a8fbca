"""Generated from the contracts: every op on every backend and instruction set against the float64 reference."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.backends.numpy import NumPyBackend
from backpass.ops.contract import NUMBERS, REGISTRY, Op
from helpers import samples
from helpers.disguises import backwards, strided, unaligned

REFERENCE = NumPyBackend()
FACTOR = 8  # a backend may err this many times as much as NumPy does in the same precision


def tolerance(exact: np.ndarray, plain: np.ndarray, dtype: str, terms: int, largest: float) -> float:
    """What NumPy itself errs in this dtype, times a small factor; at least a few ulp of the largest number that goes in."""
    if not exact.size:
        return 0.0
    scale = max(float(np.abs(exact).max()), largest)
    own = float(np.abs(plain.astype(np.float64) - exact).max()) if dtype == "float32" else 0.0
    return FACTOR * max(own, np.finfo(dtype).eps * scale * max(np.sqrt(terms), 1))


def check(op: Op, backend: Backend, fields: dict[str, Any], dtype: str) -> None:
    exact, plain, given = samples.in_float64(op, fields), samples.copied(fields), samples.copied(fields)
    REFERENCE.call(op.name, **exact)
    REFERENCE.call(op.name, **plain)
    backend.call(op.name, **given)
    terms = max(
        (
            v.size // max(v.shape[-1], 1) if v.ndim else 1
            for v in fields.values()
            if isinstance(v, np.ndarray)
        ),
        default=1,
    )
    largest = max(
        (float(np.abs(fields[k]).max(initial=0)) for k in op.inputs if fields.get(k) is not None), default=0.0
    )
    shapes = {k: v.shape if isinstance(v, np.ndarray) else v for k, v in fields.items()}
    for name in op.outputs:
        if fields.get(name) is None:
            continue
        what = f"{op.name}: {name} for {shapes}"
        if exact[name].dtype.kind == "i":
            assert np.array_equal(given[name], exact[name]), what
            continue
        assert np.array_equal(np.isfinite(given[name]), np.isfinite(plain[name])), what
        mask = np.isfinite(plain[name]) & np.isfinite(exact[name])
        want = exact[name][mask]
        worst = float(np.abs(given[name][mask].astype(np.float64) - want).max(initial=0))
        limit = tolerance(want, plain[name][mask], dtype, terms, largest)
        assert worst <= limit, f"{what}: off by {worst:.3g}, allowed {limit:.3g}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", samples.OPS)
def test_parity(name: str, dtype: str, backend: Backend) -> None:
    op = REGISTRY[name]
    for fields in samples.all_calls(op, dtype):
        check(op, backend, fields, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["linear_forward", "linear_backward"])
@pytest.mark.parametrize("sizes", [(130, 1024, 1024), (20, 784, 1024), (512, 130, 1500)], ids=str)
def test_large_products(sizes: tuple[int, ...], name: str, dtype: str, native: Backend) -> None:
    """Products cut into blocks along every side, and rows that lie a page apart: gemm has ways of its own for them."""
    op = REGISTRY[name]
    dims = {"*": sizes[:1], "I": sizes[1], "O": sizes[2]}
    check(op, native, samples.call(op, dims, dtype, {"slope"}, {"activation": "identity"}), dtype)


@pytest.mark.parametrize("name", samples.OPS)
def test_parity_on_awkward_memory(name: str, backend: Backend) -> None:
    """Strided, reversed, unaligned, Fortran-ordered and read-only arrays give what plain ones give, and outputs arrive."""
    op = REGISTRY[name]
    for fields in [
        samples.call(op, dims, "float32", set(), samples.scalars(op)[0])
        for dims in samples.dimensions(op)[-3:]
    ]:
        plain = samples.copied(fields)
        backend.call(op.name, **plain)
        for awkward in (strided, backwards, unaligned, np.asfortranarray):
            given = {
                k: awkward(v) if isinstance(v, np.ndarray) else v for k, v in samples.copied(fields).items()
            }
            for k in set(op.inputs) - set(op.outputs):
                if given.get(k) is not None:
                    given[k].flags.writeable = False
            backend.call(op.name, **given)
            for k in op.outputs:
                if fields.get(k) is not None:
                    assert np.array_equal(given[k], plain[k], equal_nan=True), (
                        f"{op.name}: {k}, {awkward.__name__}"
                    )


def test_every_op_is_native(native: Backend) -> None:
    """The list of structs in C++ and the registry in Python name the same ops."""
    from backpass import _core

    assert set(_core.ops()) == set(REGISTRY)


@pytest.mark.parametrize("source", NUMBERS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gather_converts_as_numpy_does(backend: Backend, dtype: str, source: np.dtype[Any]) -> None:
    """The smallest and the largest numbers, and halfway between two of the model's dtype."""
    narrow = min(np.dtype(dtype), source, key=lambda d: d.itemsize)
    ends = np.finfo(narrow) if source.kind == "f" else np.iinfo(source)
    halfway = [2**24 + 1, 2**24 + 3] if source.itemsize > 2 else []
    x = np.resize(np.array([ends.min, ends.max, 1, *halfway], source), (6, 37))
    out, rows = np.zeros((4, 37), dtype), np.array([5, 0, 3, 3, 1, 2])
    backend.call("gather", source=x, index=rows, cursor=np.array([1]), out=out)
    assert np.array_equal(out, x[rows[1:5]].astype(dtype))

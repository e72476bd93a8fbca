"""Generated from the contracts: every op on every backend and instruction set against the float64 reference."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.backends.numpy import NumPyBackend
from backpass.ops.contract import NUMBERS, REGISTRY, Op
from backpass.ops.formulas import ACTIVATIONS, POINTWISE
from helpers import samples
from helpers.backends import BACKENDS
from helpers.disguises import backwards, strided, unaligned

REFERENCE = NumPyBackend()
FORMULAS = {*ACTIVATIONS, *POINTWISE}
FIRST = next(n for n in ACTIVATIONS if n != "identity"), next(iter(POINTWISE))
FACTOR = 8  # a backend may err this many times as much as NumPy does in the same precision


def tolerance(exact: np.ndarray, plain: np.ndarray, dtype: str, terms: int, largest: float) -> float:
    """What NumPy itself errs in this dtype, times a small factor; at least a few ulp of the largest number that goes in."""
    if not exact.size:
        return 0.0
    scale = max(float(np.abs(exact).max()), largest)
    own = float(np.abs(plain.astype(np.float64) - exact).max()) if dtype == "float32" else 0.0
    return FACTOR * max(own, np.finfo(dtype).eps * scale * max(np.sqrt(terms), 1))


@dataclass
class Sample:
    """A call, and what its outputs are in float64, and in its own precision by NumPy."""

    op: Op
    dtype: str
    fields: dict[str, Any]

    def __post_init__(self) -> None:
        self.exact, self.plain = samples.in_float64(self.op, self.fields), samples.copied(self.fields)
        REFERENCE.call(self.op.name, **self.exact)
        REFERENCE.call(self.op.name, **self.plain)
        arrays = [v for v in self.fields.values() if isinstance(v, np.ndarray)]
        self.terms = max((v.size // max(v.shape[-1], 1) if v.ndim else 1 for v in arrays), default=1)
        given = (self.fields[k] for k in self.op.inputs if self.fields.get(k) is not None)
        self.largest = max((float(np.abs(v).max(initial=0)) for v in given), default=0.0)

    def check(self, backend: Backend) -> None:
        op, exact, plain, given = self.op, self.exact, self.plain, samples.copied(self.fields)
        backend.call(op.name, **given)
        shapes = {k: v.shape if isinstance(v, np.ndarray) else v for k, v in self.fields.items()}
        for name in op.outputs:
            if given.get(name) is None:
                continue
            what = f"{op.name}: {name} for {shapes}"
            if exact[name].dtype.kind in "iu":
                assert np.array_equal(given[name], exact[name]), what
                continue
            assert np.array_equal(np.isfinite(given[name]), np.isfinite(plain[name])), what
            mask = np.isfinite(plain[name]) & np.isfinite(exact[name])
            want = exact[name][mask]
            worst = float(np.abs(given[name][mask].astype(np.float64) - want).max(initial=0))
            limit = tolerance(want, plain[name][mask], self.dtype, self.terms, self.largest)
            assert worst <= limit, f"{what}: off by {worst:.3g}, allowed {limit:.3g}"


@lru_cache(maxsize=1)
def all_samples(name: str, dtype: str) -> list[Sample]:
    """All sample calls of an op, which the backends take one after another."""
    op = REGISTRY[name]
    return [Sample(op, dtype, fields) for fields in samples.all_calls(op, dtype)]


def compiled_alike(sample: Sample) -> bool:
    """Whether Numba, which compiles a kernel for each formula and each choice of arrays and dtype, may leave a call out.

    It compiles each formula on all arrays but the slope that is then computed by it, each choice of arrays for one formula in
    float32, and all and none of them in float64: from one source, which NumPy and native run in every combination.
    """
    op, fields = sample.op, sample.fields
    optional = {name for name, array in op.arrays.items() if array.optional}
    absent = optional - fields.keys()
    formulas = [v for v in fields.values() if isinstance(v, str) and v in FORMULAS]
    if formulas and formulas[0] not in FIRST:
        return absent != optional & {"slope"} & {*op.inputs}
    return sample.dtype == "float64" and absent not in (set(), optional)


# The backend last, so that it is the innermost loop.
@pytest.mark.parametrize("backend", [*BACKENDS], indirect=True)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", samples.OPS)
def test_parity(name: str, dtype: str, backend: Backend) -> None:
    for sample in all_samples(name, dtype):
        if backend.name != "numba" or not compiled_alike(sample):
            sample.check(backend)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["linear_forward", "linear_backward"])
@pytest.mark.parametrize("sizes", [(130, 1024, 1024), (20, 784, 1024), (512, 130, 1500)], ids=str)
def test_large_products(sizes: tuple[int, ...], name: str, dtype: str, native: Backend) -> None:
    """Products cut into blocks along every side, and rows that lie a page apart: gemm has ways of its own for them."""
    op = REGISTRY[name]
    dims = {"*": sizes[:1], "I": sizes[1], "O": sizes[2]}
    fields = samples.call(op, dims, dtype, {"slope"}, {"activation": "identity"})
    Sample(op, dtype, fields).check(native)


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
            # To Numba a read-only array is one more type, and it compiles again: only X and y may be it, which are gathered.
            frozen = backend.name != "numba" or name.startswith("gather")
            for k in set(op.inputs) - set(op.outputs) if frozen else ():
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

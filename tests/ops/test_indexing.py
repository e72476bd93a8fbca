"""Ops that choose by index: indices that point nowhere, that repeat, that are none, and that lie strided in memory."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend

OUTSIDE = [-1, -5, 5, 2**40, 2**63 - 1, -(2**63)]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def numbers(*shape: int, dtype: str = "float64") -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def table_gradient(backend: Backend, dy: Any, index: Any, dweight: Any, padding_idx: int = -1) -> None:
    """Both ops of the gradient of a table."""
    size = index.size
    runs = {name: np.full(size, 77) for name in ("order", "rows", "ends")} | {"count": np.full(1, 77)}
    backend.call("embedding_backward", weight=dweight, index=index, padding_idx=padding_idx, **runs)
    backend.call("embedding_backward_weight", dy=dy, dweight=dweight, **runs)
    n = int(runs["count"][0])
    drows = np.full((size + 2, dweight.shape[1]), 77.0, dweight.dtype)
    backend.call("embedding_backward_weight", dy=dy, drows=drows, **runs)
    assert np.array_equal(drows[:n], dweight[runs["rows"][:n]])
    assert not drows[n:].any()


@dtypes
def test_an_index_outside_reads_nan(backend: Backend, dtype: str) -> None:
    weight, x = numbers(5, 3, dtype=dtype), numbers(2, 5, dtype=dtype)
    for at in OUTSIDE:
        y = np.zeros((3, 3), dtype)
        backend.call("embedding_forward", weight=weight, index=np.array([4, at, 0]), y=y)
        assert np.array_equal(y[[0, 2]], weight[[4, 0]])
        assert np.isnan(y[1]).all()
        y = np.zeros((2, 2), dtype)
        backend.call("gather_forward", x=x, index=np.array([[at, 4], [0, at]]), y=y)
        assert np.array_equal(y, [[np.nan, x[0, 4]], [x[1, 0], np.nan]], equal_nan=True)


@dtypes
def test_an_index_outside_has_no_gradient(backend: Backend, dtype: str) -> None:
    dy, dweight, dx = numbers(3, 3, dtype=dtype), np.ones((5, 3), dtype), np.ones((3, 5), dtype)
    for at in OUTSIDE:
        table_gradient(backend, dy=dy, index=np.array([4, at, 0]), dweight=dweight)
        assert np.array_equal(dweight, [dy[2], [0] * 3, [0] * 3, [0] * 3, dy[0]])
        backend.call("gather_backward", dy=dy, index=np.array([[at, 4, at], [0, 1, 2], [at] * 3]), dx=dx)
        expected = [[0, 0, 0, 0, dy[0, 1]], [*dy[1], 0, 0], [0] * 5]
        assert np.array_equal(dx, np.array(expected, dtype))


@dtypes
def test_equal_indices_add_up_in_their_order(backend: Backend, dtype: str) -> None:
    """In the model's dtype: to the bit what a loop gives."""
    rng = np.random.default_rng(1)
    index, dy = rng.integers(0, 3, 4000), numbers(4000, 17, dtype=dtype)
    dweight, dx = np.ones((3, 17), dtype), np.ones((17, 3), dtype)
    expected = np.zeros((3, 17), dtype)
    for i, at in enumerate(index):
        expected[at] += dy[i]
    table_gradient(backend, dy=dy, index=index, dweight=dweight)
    assert np.array_equal(dweight, expected)
    backend.call("gather_backward", dy=dy.T, index=np.broadcast_to(index, (17, 4000)), dx=dx)
    assert np.array_equal(dx, expected.T)


def test_the_row_of_the_padding_has_no_gradient(backend: Backend) -> None:
    weight, dy, index = numbers(4, 3), numbers(5, 3), np.array([2, 1, 2, 3, 2])
    y, dweight = np.zeros((5, 3)), np.ones((4, 3))
    backend.call("embedding_forward", weight=weight, index=index, y=y, padding_idx=2)
    assert np.array_equal(y, weight[index])
    table_gradient(backend, dy=dy, index=index, dweight=dweight, padding_idx=2)
    assert np.array_equal(dweight, [[0] * 3, dy[1], [0] * 3, dy[3]])


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), ()])
@pytest.mark.parametrize("sizes", [(4, 0), (0, 4), (0, 0), (4, 5)])
def test_empty_arrays(backend: Backend, shape: tuple[int, ...], sizes: tuple[int, int]) -> None:
    rows, columns = sizes
    index = np.zeros(shape, np.int64)
    y, dweight = np.ones((*shape, columns)), np.ones(sizes)
    backend.call("embedding_forward", weight=np.full(sizes, 3.0), index=index, y=y)
    assert np.array_equal(y, np.full(y.shape, 3.0 if rows else np.nan), equal_nan=True)
    table_gradient(backend, dy=np.ones_like(y), index=index, dweight=dweight)
    assert dweight.sum() == (index.size * columns if rows else 0)
    y, dx = np.ones((*shape, rows)), np.ones((*shape, columns))
    places = np.zeros(y.shape, np.int64)
    backend.call("gather_forward", x=np.full(dx.shape, 3.0), index=places, y=y)
    assert np.array_equal(y, np.full(y.shape, 3.0 if columns else np.nan), equal_nan=True)
    backend.call("gather_backward", dy=np.ones_like(y), index=places, dx=dx)
    assert dx.sum() == (y.size if columns else 0)


def test_indices_and_numbers_of_any_strides(backend: Backend) -> None:
    weight = numbers(7, 4)
    index = np.random.default_rng(0).integers(0, 7, (6, 10))
    for strided in (
        index.T,
        index[::-2],
        index[:, 1:4],
        np.broadcast_to(index[:1], (3, 10)),
        index[:1, 3].reshape(()),
    ):
        y, dweight = np.zeros((*strided.shape, 4)), np.ones((7, 4))
        backend.call("embedding_forward", weight=weight, index=strided, y=y)
        assert np.array_equal(y, weight[strided])
        dy = np.broadcast_to(numbers(4), y.shape)
        table_gradient(backend, dy=dy, index=strided, dweight=dweight)
        counts = np.bincount(strided.reshape(-1), minlength=7)
        np.testing.assert_allclose(dweight, counts[:, None] * numbers(4), rtol=1e-12)
    y = np.zeros((4, 3))
    backend.call("gather_forward", x=weight.T, index=index.T[:4, ::2], y=y)
    assert np.array_equal(y, np.take_along_axis(weight.T, index.T[:4, ::2], 1))


def test_large_tables_for_any_number_of_threads(native: Backend) -> None:
    """One row of few elements, many rows of one element, and all indices the same."""
    from backpass import _core

    rng = np.random.default_rng(0)
    for rows, columns, count in ((3, 2000, 50), (200_000, 1, 3000), (500, 64, 5000), (1, 1, 100_000)):
        for index in (rng.integers(0, rows, count), np.zeros(count, np.int64)):
            dy, found = numbers(count, columns), set()
            for threads in (1, 2, 3, 8):
                dweight = np.ones((rows, columns))
                runs = {name: np.full(count, 77) for name in ("order", "rows", "ends")} | {
                    "count": np.ones(1, int)
                }
                calls = [
                    ("embedding_backward", {"weight": dweight, "index": index, "padding_idx": -1, **runs}),
                    ("embedding_backward_weight", {"dy": dy, "dweight": dweight, **runs}),
                ]
                _core.Program(calls, native.isa).run(1, threads)  # type: ignore[attr-defined]
                found.add(dweight.tobytes())
            expected = np.zeros((rows, columns))
            np.add.at(expected, index, dy)
            assert found == {expected.tobytes()}


INDICES = {
    "all equal": lambda v, m: np.full(m, v - 1),
    "all distinct": lambda v, m: np.random.default_rng(0).permutation(v)[:m],
    "backwards": lambda v, m: np.arange(v)[::-1][:m],
    "skewed": lambda v, m: (v * np.random.default_rng(0).random(m) ** 9).astype(np.int64),
    "some outside": lambda v, m: np.random.default_rng(0).integers(-v, 2 * v, m),
}


@pytest.mark.parametrize("indices", INDICES)
@pytest.mark.parametrize("rows", [1, 2, 3, 2047, 2048, 2049, 70000, 2**22 + 1])
def test_large_and_small_tables(backend: Backend, rows: int, indices: str) -> None:
    """Around the digits of the sort, against NumPy's stable sort."""
    if backend.name == "numba" and rows > 2049:
        return
    index = np.asarray(INDICES[indices](rows, 10000), np.int64)
    dy = numbers(index.size, 3, dtype="float32")
    size = index.size
    runs = {name: np.full(size, 77) for name in ("order", "rows", "ends")} | {"count": np.full(1, 77)}
    weight = np.broadcast_to(np.float32(0), (rows, 1)).copy()
    backend.call("embedding_backward", weight=weight, index=index, **runs)
    places = np.flatnonzero((index >= 0) & (index < rows))
    chosen, lengths = np.unique(index[places], return_counts=True)
    n = len(chosen)
    assert runs["count"] == [n]
    assert np.array_equal(runs["order"][: len(places)], places[np.argsort(index[places], kind="stable")])
    assert np.array_equal(runs["rows"][:n], chosen)
    assert np.array_equal(runs["ends"][:n], np.cumsum(lengths))
    for name, rest, start in (("order", -1, len(places)), ("rows", -1, n), ("ends", 0, n)):
        assert (runs[name][start:] == rest).all()
    drows = np.ones((min(size, rows), 3), np.float32)
    backend.call("embedding_backward_weight", dy=dy, drows=drows, **runs)
    want = np.zeros((n, 3), np.float32)
    np.add.at(want, np.searchsorted(chosen, index[places]), dy[places])
    assert np.array_equal(drows[:n], want)


def test_rows_of_a_table_and_back(backend: Backend) -> None:
    table, rows, count = numbers(6, 5), np.array([4, 0, 3, 1]), np.array([3])
    chosen = np.ones((5, 5))
    backend.call("gather_rows", table=table, rows=rows, count=count, chosen=chosen)
    assert np.array_equal(chosen, [*table[[4, 0, 3]], [0] * 5, [0] * 5])
    into = np.zeros((6, 5))
    backend.call("scatter_rows", chosen=chosen[:2], rows=rows, count=count, table=into)
    assert np.array_equal(into[[4, 0]], table[[4, 0]])
    assert not into[[1, 2, 3, 5]].any()

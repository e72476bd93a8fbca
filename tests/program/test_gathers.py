"""Tensors of `forward` chosen by index: values as NumPy gives them, rows kept apart or not, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from backpass.backends import Backend
from backpass.program import Builder, Tensor
from backpass.program.gathers import embedding, gather, select, take_along
from backpass.program.symbolic import SymbolicTensor
from helpers.backends import once

rng = np.random.default_rng(0)
X3 = rng.standard_normal((4, 5, 6))


def run(backend: Backend, f: Callable[..., Any], *arrays: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """What f computes of tensors, and the gradients of its sum times 1, 2, 3, ... for those of numbers."""
    builder = Builder(np.dtype(np.float64), True)
    tensors = [Tensor(np.array(a), a.dtype.kind == "f") for a in arrays]
    y = f(*(SymbolicTensor(builder, t) for t in tensors)).tensor
    dy = np.arange(1.0, y.array.size + 1).reshape(y.shape)
    builder.add_gradient(y, Tensor(dy))
    builder.backward()
    found = [builder.gradient(t) for t in tensors if t.requires_grad]
    backend.compile(builder.instructions).run()
    return y.array.copy(), [g.array.copy() for g in found if g]


def scattered(shape: tuple[int, ...], chosen: np.ndarray) -> np.ndarray:
    """The gradient by NumPy: `chosen` are the numbers of the elements of an array of this shape that the output shows."""
    dx = np.zeros(int(np.prod(shape)))
    np.add.at(dx, chosen.reshape(-1), np.arange(1.0, chosen.size + 1))
    return dx.reshape(shape)


INDEX: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "rows": (lambda x, i: x[i], [3, 0, 0]),
    "middle": (lambda x, i: x[:, i], [4, 0, 1, 1]),
    "last": (lambda x, i: x[..., i], [5, 5, 0]),
    "before dots": (lambda x, i: x[:, i, ...], [2]),
    "two dimensions": (lambda x, i: x[:, i], [[0, 1], [4, 4], [2, 3]]),
    "two dimensions last": (lambda x, i: x[:, :, i], [[0, 1], [4, 4], [2, 3]]),
    "two dimensions of rows": (lambda x, i: x[i], [[0, 1], [3, 3]]),
    "none": (lambda x, i: x[:, i], np.zeros(0, np.int64)),
}


@pytest.mark.parametrize("name", INDEX)
def test_an_index_is_that_of_numpy(backend: Backend, name: str) -> None:
    f, index = INDEX[name]
    numbers = np.arange(X3.size).reshape(X3.shape)
    for given in (np.array(index), index):
        y, (dx,) = run(backend, lambda x, given=given: f(x, given), X3)
        assert np.array_equal(y, f(X3, np.array(index)))
        assert np.array_equal(dx, scattered(X3.shape, f(numbers, np.array(index))))
    y, (dx,) = run(backend, f, X3, np.array(index))
    assert np.array_equal(y, f(X3, np.array(index)))


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_gather_and_its_siblings(backend: Backend, dim: int) -> None:
    numbers = np.arange(X3.size).reshape(X3.shape)
    index = rng.integers(0, X3.shape[dim], (3, 3, 3))
    cut = tuple(slice(None) if axis == dim % 3 else slice(3) for axis in range(3))
    y, (dx,) = run(backend, lambda x, i: bp.gather(x, dim, i), X3, index)
    assert np.array_equal(y, np.take_along_axis(X3[cut], index, dim))
    assert np.array_equal(dx, scattered(X3.shape, np.take_along_axis(numbers[cut], index, dim)))

    along = rng.integers(0, X3.shape[dim], [7 if axis == dim % 3 else 1 for axis in range(3)])
    y, (dx,) = run(backend, lambda x, i: bp.take_along_dim(x, i, dim), X3, along)
    assert np.array_equal(y, np.take_along_axis(X3, along, dim))
    assert np.array_equal(dx, scattered(X3.shape, np.take_along_axis(numbers, along, dim)))

    y, (dx,) = run(backend, lambda x, i: bp.index_select(x, dim, i), X3, along.reshape(-1))
    assert np.array_equal(y, np.take(X3, along.reshape(-1), dim))
    assert np.array_equal(dx, scattered(X3.shape, np.take(numbers, along.reshape(-1), dim)))


def test_constant_indices_count_from_the_end(backend: Backend) -> None:
    y, _ = run(backend, lambda x: x[:, [-1, 0, -5]], X3)
    assert np.array_equal(y, X3[:, [-1, 0, -5]])
    y, _ = run(backend, lambda x: x.take_along_dim(np.array([[[-1]]], np.int8), 2), X3)
    assert np.array_equal(y, X3[..., -1:])
    y, _ = run(backend, lambda x: x[:, []], X3)
    assert y.shape == (4, 0, 6)
    y, _ = run(backend, lambda x: x[np.array(2)], X3)
    assert np.array_equal(y, X3[2])


def test_views_of_indices_stay_indices(backend: Backend) -> None:
    """Slices, transpositions and repetitions; as numbers in a formula they are what they show."""
    index = rng.integers(0, 4, (6, 2))
    for f in (
        lambda i: i[:, 0],
        lambda i: i[::-1, 1],
        lambda i: i.T,
        lambda i: i.reshape(3, 4),
        lambda i: i[:, None].expand(6, 3, 2),
        lambda i: i.unsqueeze(-1).squeeze(),
        lambda i: i[:, 0].reshape(2, 3),
        lambda i: i.detach(),
    ):
        expected = run(backend, lambda x, i, f=f: f(i) + 0 * x.sum(), X3, index)[0].astype(int)
        y, _ = run(backend, lambda x, i, f=f: x[f(i)], X3, index)
        assert np.array_equal(y, X3[expected])


def test_an_embedding(backend: Backend) -> None:
    table, index = rng.standard_normal((7, 3)), np.array([[1, 6, 1], [0, 1, 2]])
    y, (dx,) = run(backend, lambda w, i: F.embedding(i, w), table, index)
    assert np.array_equal(y, table[index])
    assert np.array_equal(dx, scattered(table.shape, np.arange(21).reshape(7, 3)[index]))
    y, (without,) = run(backend, lambda w, i: F.embedding(i, w, padding_idx=-6), table, index)
    assert np.array_equal(y, table[index])
    dx[1] = 0
    assert np.array_equal(without, dx)
    transposed, (dx,) = run(backend, lambda w, i: F.embedding(i, w.T), table.T, index)
    assert np.array_equal(transposed, table[index])


def test_an_index_outside_stops_training(backend: Backend) -> None:
    model = bp.Model(nn.Linear(6, 3), nn.traced(F.cross_entropy), backend="numpy")
    model.backend = backend
    x, y = rng.standard_normal((8, 6)), np.arange(8) % 3
    assert np.isfinite(model.step(x, y))
    with pytest.raises(bp.NonFiniteError):
        model.step(x, y + 1)


def test_classes_that_are_ignored(backend: Backend) -> None:
    """As by nn.CrossEntropyLoss, whose mean is over the others alone; and numbers are classes as well."""
    x, y = rng.standard_normal((8, 6)), np.array([0, 2, -100, 1, 1, -100, 0, 2])
    columns = y[:, None] + np.zeros((8, 2))
    losses = (
        (nn.CrossEntropyLoss(), y),
        (nn.traced(F.cross_entropy), y),
        (nn.traced(lambda p, y: F.cross_entropy(p, y[:, 1])), columns),
        (nn.traced(lambda p, y: F.cross_entropy(p, y, reduction="none", ignore_index=0)), y % 3 * (y >= 0)),
    )
    models = [bp.Model(nn.Linear(6, 3), loss, dtype="float64", backend="numpy") for loss, _ in losses]
    found = []
    for model, (_, targets) in zip(models, losses, strict=True):
        model.backend = backend
        found.append(model.step(x, targets))
    assert found[1] == pytest.approx(found[0], rel=1e-12)
    assert found[2] == pytest.approx(found[0], rel=1e-12)
    for twin in models[1:3]:
        np.testing.assert_allclose(models[0].net.weight, twin.net.weight, rtol=1e-12)
    assert np.isfinite(found[3])


@once
def test_rows_are_kept_apart_where_they_are() -> None:
    """`predict` takes rows in parts; what an index mixes it takes at once."""
    many, table = rng.standard_normal((700, 6)), rng.standard_normal((6, 3))

    def predicted(forward: Callable[[Any, Any], Any]) -> tuple[np.ndarray, bool]:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.table = nn.Parameter(table)
                self.tall = nn.Parameter(rng.standard_normal((900, 6)))

            def forward(self, x: Any) -> Any:
                return forward(self, x)

        model = bp.Model(Net(), dtype="float64", backend="numpy")
        y = model.predict(many)
        apart = np.array_equal(y[640:650], model.predict(many[640:650]))
        return y, apart

    first = many.argmax(1)
    y, apart = predicted(lambda net, x: F.embedding(x.argmax(1), net.table))
    assert apart
    assert np.array_equal(y, table[first])
    y, apart = predicted(lambda net, x: x.gather(1, x.argmax(1, keepdim=True)))
    assert apart
    assert np.array_equal(y[:, 0], many.max(1))
    assert predicted(lambda net, x: x[:, [0, 3]])[1]
    assert predicted(lambda net, x: x.take_along_dim(np.array([[0, 3]]), 1))[1]
    assert predicted(lambda net, x: net.tall[:1].take_along_dim(x.argmax(1, keepdim=True), 1))[1]
    y, apart = predicted(lambda net, x: x[[1, 0, *range(2, x.shape[0])]])
    assert not apart
    assert np.array_equal(y[:2], many[[1, 0]])
    y, apart = predicted(lambda net, x: net.tall.gather(1, x.argmax(1, keepdim=True)) * x[:, :1])
    assert not apart
    assert y.shape == (700, 1)


@once
def test_indices_in_and_out_of_a_network() -> None:
    """A buffer of integers is an index; what argmax gives is numbers to a layer, and as the output."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 6)
            self.register_buffer("order", np.array([2, 0, 1]))

        def forward(self, x: Any) -> Any:
            h = self.linear(x[:, self.order].argmax(1, keepdim=True)) + x
            return h.argmax(1, keepdim=True)

    x = rng.standard_normal((8, 6))
    model = bp.Model(Net(), dtype="float64")
    h = x[:, [2, 0, 1]].argmax(1, keepdims=True) @ model.net.linear.weight.T + model.net.linear.bias + x
    for rows in (8, 1):
        y = model.predict(x[:rows])
        assert y.dtype == np.float64
        assert np.array_equal(y, h[:rows].argmax(1, keepdims=True))


@once
def test_the_builder_notes_what_indices_may_be() -> None:
    builder = Builder(np.dtype(np.float32), False)
    x, index = Tensor(np.zeros((4, 5), np.float32)), Tensor(np.zeros((4, 1), np.int64))
    embedding(builder, x, index)
    gather(builder, x, index, 1)
    take_along(builder, x, index, 0)
    select(builder, x, flat := Tensor(index.array[:, 0]), 1, "x[index]")
    assert [size for _, size in builder.ranges] == [4, 5, 4, 5]
    given = [index, index, index, flat]
    assert all(noted is tensor.array for (noted, _), tensor in zip(builder.ranges, given, strict=True))


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "numbers": (lambda x: x.gather(1, x), "gather: index is float64, expected int64 indices"),
    "numbers as index": (lambda x: x[x], r"x\[index\]: index is float64, expected int64 indices"),
    "array of numbers": (lambda x: x[:, np.ones(2)], "index is an array of float64, expected int64 indices"),
    "booleans": (lambda x: x[:, np.ones(5, bool)], "index is an array of bool, expected int64 indices"),
    "beyond": (lambda x: x[:, [0, 5]], r"x\[index\]: index holds 5, expected integers from -5 to 4"),
    "below": (lambda x: x[:, np.array([-6])], "index holds -6, expected integers from -5 to 4"),
    "huge": (lambda x: x[np.array([2**63], np.uint64)], "index holds 9223372036854775808, expected integers"),
    "two": (lambda x: x[[0], [1]], "it takes full slices alone"),
    "a slice beside": (lambda x: x[1:, [1]], "it takes full slices alone"),
    "None beside": (lambda x: x[None, [1]], "it takes full slices alone"),
    "too many": (lambda x: x[:, :, :, [1]], r"an index of 4 items for a tensor of shape \(4, 5, 6\)"),
    "text": (lambda x: x["a"], "a tensor's index holds 'a'"),
    "dim": (lambda x: x.gather(3, np.zeros((1, 1, 1), int)), r"dim is 3, expected an integer in \[-3, 2\]"),
    "dimensions": (lambda x: x.gather(1, [0, 1]), r"gather: index has shape \(2,\), expected 3 dimensions"),
    "too large": (lambda x: x.gather(1, np.zeros((5, 1, 1), int)), r"gather: index has shape \(5, 1, 1\)"),
    "no common shape": (
        lambda x: x.take_along_dim(np.zeros((3, 1, 1), int), 1),
        r"take_along_dim: shapes \(4, 5, 6\) and \(3, 1, 1\) do not fit together",
    ),
    "a matrix": (lambda x: x.index_select(0, [[0]]), r"index_select: index has shape \(1, 1\), expected one"),
    "table": (lambda x: F.embedding([0], x), r"embedding: weight is .*, expected a tensor of two dimensions"),
    "padding": (
        lambda x: F.embedding([0], x[0], padding_idx=5),
        r"embedding: padding_idx is 5, expected None or an integer in \[-5, 4\]",
    ),
}  # fmt: skip


@once
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    f, message = REFUSED[name]
    builder = Builder(np.dtype(np.float64), False)
    with pytest.raises((TypeError, ValueError, IndexError), match=message):
        f(SymbolicTensor(builder, Tensor(X3)))

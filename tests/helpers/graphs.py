"""Random graphs: modules whose `forward` draws up to 30 operations on tensors of up to four dimensions."""

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

import backpass as bp
import backpass.nn.functional
from backpass import nn
from backpass.program import join

Shape = tuple[int, ...]
# Of the gradient, against central differences: second derivatives of deep graphs count as well.
LIMIT = 1e-5
SIZES = (1, 2, 3, 4, 7, 17)
ROWS = 10007
SMOOTH: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda x: x.tanh(), "sigmoid": lambda x: x.sigmoid(), "sin": lambda x: x.sin(), "cos": lambda x: x.cos(),
    "neg": lambda x: -x, "exp": lambda x: (0.3 * x.tanh()).exp(), "log": lambda x: (1.5 + x.tanh()).log(),
    "sqrt": lambda x: (1.5 + x.sin()).sqrt(), "square": lambda x: x.tanh() ** 2, "erf": lambda x: x.erf(),
    "log1p": lambda x: (x.sigmoid() + 0.1).log1p(), "expm1": lambda x: x.sigmoid().expm1(),
    "scaled": lambda x: 0.5 * x + 0.25, "inverse": lambda x: 1 / (2 + x.sin()), "cubed": lambda x: x.tanh() ** 3,
    "gelu": nn.functional.gelu, "silu": nn.functional.silu, "softplus": nn.functional.softplus,
}  # fmt: skip


class Graph(nn.Module):
    """The graph of a seed, for rows of one shape; every parameter is used at most once, and the output is (N, 2)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        chance = random.Random(seed)
        self.row: Shape = tuple(chance.choice(SIZES) for _ in range(chance.choice([1, 1, 2, 2, 3])))
        self.seed, self.count = seed, chance.randint(1, 30)
        rng = np.random.default_rng(seed)
        self.small = nn.Parameter(rng.normal(size=(1, *self.row)))
        self.linear = nn.Linear(self.row[-1], chance.choice(SIZES))
        self.head = nn.Parameter(rng.normal(size=(2,)))

    def forward(self, x: Any) -> Any:
        chance = random.Random(self.seed + 1)
        tensors: list[Any] = [x, x * self.small, self.linear(x)]
        for _ in range(self.count):
            found = step(chance, tensors)
            # By the size of a row: predict may take rows one by one, and they have to see the same graph.
            if found is not None and prod(found.shape[1:]) <= 1300 and found.ndim <= 5:
                tensors.append(found)
        rows = x.shape[0]
        ends = [t for t in tensors[-4:] if t.shape[0] == rows]
        sums = [(t.reshape(rows, -1).mean(1, keepdim=True)).tanh() for t in ends] or [
            x.reshape(rows, -1).mean(1, keepdim=True)
        ]
        return bp.cat(sums, dim=1).sum(1, keepdim=True) * self.head


def step(chance: random.Random, tensors: list[Any]) -> Any:
    """One more tensor, or None where the drawn operation does not fit."""
    x = chance.choice(tensors[-6:])
    what = chance.randrange(16)
    dim = chance.randrange(1, x.ndim) if x.ndim > 1 else None
    if what < 4:
        return SMOOTH[chance.choice([*SMOOTH])](x)
    if what < 7:  # two of them, broadcast
        y = chance.choice(tensors)
        try:
            # With a number of rows that no dimension has: whether two tensors fit must not depend on the batch.
            np.broadcast_shapes((ROWS, *x.shape[1:]), (ROWS, *y.shape[1:]))
        except ValueError:
            return None
        return chance.choice(
            [lambda: x + y, lambda: x - y, lambda: x.tanh() * y.tanh(), lambda: x / (2 + y.sin())]
        )()
    if dim is None:
        return None
    if what == 7:
        kept = chance.random() < 0.5
        return chance.choice([x.sum, x.mean])(dim, keepdim=kept) if x.ndim > 2 or kept else None
    if what == 8:
        other = chance.randrange(1, x.ndim)
        return x.transpose(dim, other)
    if what == 9:
        start = chance.randrange(x.shape[dim])
        piece = slice(start, chance.randint(start + 1, x.shape[dim]), chance.choice([1, 1, 2]))
        return x[(slice(None),) * dim + (piece,)]
    if what == 10:
        return chance.choice([x.softmax, x.log_softmax])(dim)
    if what == 11:
        y = chance.choice(tensors)
        same = y.ndim == x.ndim and all(
            a == b for i, (a, b) in enumerate(zip(x.shape, y.shape, strict=True)) if i != dim
        )
        return bp.cat([x, y], dim=dim) if same else None
    if what == 12:
        return matrix_product(chance, x, chance.choice(tensors))
    if what in (13, 14):
        return chosen(chance, x, dim)
    return x.reshape(x.shape[0], -1) if chance.random() < 0.5 else x.unsqueeze(chance.randint(1, x.ndim))


def chosen(chance: random.Random, x: Any, dim: int) -> Any:
    """Parts along a dimension, or elements, that indices choose; some of them twice."""
    rng, size, count = np.random.default_rng(chance.randrange(2**32)), x.shape[dim], chance.randint(1, 5)
    if chance.random() < 0.5:
        index = rng.integers(-size, size, [2, count][chance.randrange(2) :])
        return x[(slice(None),) * dim + (index,)]
    # Of all other dimensions the whole, or for a part of them one, which `take_along_dim` repeats.
    whole = chance.random() < 0.5
    shape = [n if whole or chance.random() < 0.5 else 1 for n in x.shape]
    shape[dim] = count
    index = rng.integers(0, size, shape)
    return x.gather(dim, index) if whole else x.take_along_dim(index, dim)


def matrix_product(chance: random.Random, x: Any, y: Any) -> Any:
    """The product of two tensors of three dimensions or more, one of them transposed where that fits."""
    if x.ndim < 3 or x.ndim != y.ndim or x.shape[:-2] != y.shape[:-2]:
        return (x @ x.mT) / x.shape[-1] if x.ndim >= 3 and chance.random() < 0.5 else None
    if x.shape[-1] == y.shape[-2]:
        return (x @ y) / x.shape[-1]
    return (x @ y.mT) / x.shape[-1] if x.shape[-1] == y.shape[-1] else None


# ---- what holds for a graph -------------------------------------------------------------------------------------------


def judge(seed: int, backends: Sequence[str], differences: bool) -> None:
    """AssertionError if a backend differs from NumPy's program of single steps, or the gradient from finite differences."""
    # A graph may leave out one of its parameters, which is told.
    warnings.simplefilter("ignore", UserWarning)
    rng = np.random.default_rng(seed)
    row = Graph(seed).row
    X, dout = rng.normal(size=(3, *row)), rng.normal(size=(3, 2))
    with one_step_each():
        expected = results(bp.Model(Graph(seed), dtype="float64", backend="numpy"), X, dout)
    # One model for all backends: those that lay out memory alike share its plans, which take longer than all else.
    model = bp.Model(Graph(seed), dtype="float64", backend=backends[0])
    start = model.state_dict()
    for backend in backends:
        model.backend, model.optimizer = backend, "adam"
        model.load_state_dict(start)
        for name, value in results(model, X, dout).items():
            np.testing.assert_allclose(
                value, expected[name], rtol=1e-9, atol=1e-11, err_msg=f"seed {seed}: {name} on {backend}"
            )
    if differences:
        checked = bp.gradcheck(bp.Model(Graph(seed), dtype="float64"), X, dout, max_parameters=30)
        assert checked.worst_relative_error < LIMIT, f"seed {seed}: {checked}"


def results(model: bp.Model, X: np.ndarray, dout: np.ndarray) -> dict[str, Any]:
    """All that a graph computes: output, gradients, the loss of a step, what it predicts after it."""
    found: dict[str, Any] = {"output": model.forward(X, training=True), "gradient of x": model.backward(dout)}
    names = dict(model.named_parameters())
    found |= {f"gradient of {n}": g.copy() for n, g in zip(names, model.gradients(), strict=True)}
    return found | {"loss": model.step(X, dout), "prediction": model.predict(X)}


@contextmanager
def one_step_each() -> Iterator[None]:
    """Within the block, element-wise instructions are not joined."""
    joined = join.joined
    join.joined = lambda plan, viewed: plan
    try:
        yield
    finally:
        join.joined = joined

"""Branches of a network with other numbers of steps: each layer, loss and score reads the lengths of the steps that it has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.ops import index_function
from backpass.program import Builder, Tensor
from backpass.program.views import part

rng = np.random.default_rng(0)
N, T = 5, 12
X, Y = rng.standard_normal((2, N, T, 4))
L = np.array([T, 7, 4, 9, 1])
COUNTS = np.arange(T) < L[:, None]


class Beside(nn.Module):
    """A layer over all steps, and a convolution that leaves half of them: the order in which they are emitted is all the same."""

    def __init__(self, inner: nn.Module, window_first: bool) -> None:
        super().__init__()
        self.inner, self.window = inner, nn.Conv1d(4, 4, 3, stride=2, padding=1)
        self.mean, self.window_first = nn.GlobalAvgPool(), window_first

    def half(self, x: Any) -> Any:
        return self.mean(self.window(x.transpose(1, 2)))[:, None]

    def forward(self, x: Any) -> Any:
        if self.window_first:
            return self.half(x) + self.inner(x)
        return self.inner(x) + self.half(x)


class Itself(nn.Module):
    """Attention of a sequence to itself, within a forward."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x)[0]


def layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)


def r2_of_steps(pred: np.ndarray) -> float:
    """The mean of R² of each number of each step, of the rows that have the step."""
    found = []
    for t in range(T):
        rows = COUNTS[:, t]
        residual = ((pred[rows, t] - Y[rows, t]) ** 2).sum(axis=0)
        total = ((Y[rows, t] - Y[rows, t].mean(axis=0)) ** 2).sum(axis=0)
        found += [1 - residual / total if rows.sum() > 1 else np.zeros(4)]
    return float(np.mean(found))


INNER: dict[str, Callable[[], nn.Module]] = {
    "recurrent": lambda: nn.Sequential(nn.LSTM(4, 4)),
    "attention": lambda: nn.Sequential(nn.MultiheadAttention(4, 2)),
    "attention, called": Itself,
    "layer": lambda: nn.Sequential(layer()),
    "layer, called": layer,
    "encoder": lambda: nn.Sequential(nn.TransformerEncoder(layer(), 1)),
    "encoder, called": lambda: nn.TransformerEncoder(layer(), 1),
}


@pytest.mark.parametrize("inner", INNER)
def test_a_window_beside_shortens_no_other_branch(inner: str) -> None:
    models = [
        bp.Model(Beside(INNER[inner](), first), "mse", optim.SGD(0.0), dtype="float64", seed=1)
        for first in (False, True)
    ]
    rows = [model.predict(X, lengths=L) for model in models]
    np.testing.assert_array_equal(rows[0][COUNTS], rows[1][COUNTS])
    for i in range(N):
        alone = models[1].predict(X[i : i + 1, : L[i]])[0]
        np.testing.assert_allclose(rows[1][i, : L[i]], alone, rtol=0, atol=1e-12)
    error = ((rows[0] - Y) ** 2)[COUNTS]
    r2 = r2_of_steps(rows[0])
    for model in models:
        assert model.evaluate(X, Y, lengths=L)["loss"] == pytest.approx(error.mean(), rel=1e-10)
        assert model.score(X, Y, lengths=L) == pytest.approx(r2, rel=1e-10)
        assert model.step(X, Y, lengths=L) == pytest.approx(error.mean(), rel=1e-10)


class Both(Beside):
    """Two outputs: of all steps, and of half of them."""

    def forward(self, x: Any) -> Any:
        return self.inner(x), self.window(x.transpose(1, 2)).transpose(1, 2)


def test_each_output_has_the_lengths_of_its_steps() -> None:
    half, after = Y[:, ::2], (L + 1) // 2
    counts = np.arange(6) < after[:, None]
    model = bp.Model(Both(nn.Sequential(nn.GRU(4, 4)), True), ["mse", "mse"], optim.SGD(0.0), dtype="float64")
    whole, short = model.predict(X, lengths=L)
    expected = ((whole - Y) ** 2)[COUNTS].mean() + ((short - half) ** 2)[counts].mean()
    assert model.evaluate(X, (Y, half), lengths=L)["loss"] == pytest.approx(expected, rel=1e-10)
    assert model.step(X, (Y, half), lengths=L) == pytest.approx(expected, rel=1e-10)


def test_a_traced_loss_gets_the_lengths_of_the_output() -> None:
    def mean(pred: Any, y: Any, lengths: Any) -> Any:
        mask = (bp.arange(pred.shape[1]) < lengths[:, None]).float()
        return (((pred - y) ** 2).mean(dim=-1) * mask).sum() / mask.sum()

    net = Beside(nn.Sequential(nn.GRU(4, 4)), False)
    model = bp.Model(net, nn.traced(mean), optim.SGD(0.0), dtype="float64")
    expected = ((model.predict(X, lengths=L) - Y) ** 2)[COUNTS].mean()
    assert model.step(X, Y, lengths=L) == pytest.approx(expected, rel=1e-10)
    assert model.evaluate(X, Y, lengths=L)["loss"] == pytest.approx(expected, rel=1e-10)

    def of_two(pred: Any, y: Any, lengths: Any) -> Any:
        return pred[0].mean()

    several = bp.Model(Both(nn.Sequential(nn.GRU(4, 4)), False), nn.traced(of_two))
    with pytest.raises(ValueError, match=r"outputs have \[6, 12\] steps, but the argument `lengths` of the"):
        several.step(X, (Y, Y[:, ::2]), lengths=L)


class Every(nn.Module):
    """Every second step, by a layer that tells the lengths itself."""

    def __init__(self, told: int = 2) -> None:
        super().__init__()
        self.told = told

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        lengths = builder.lengths_of(x.shape[1])
        if lengths is not None:
            for function, number in (("add", 1), ("floordiv", 2)):
                constant = Tensor(np.full(lengths.shape, number))
                lengths = builder.run(index_function, a=lengths, b=constant, function=function)
            builder.tell_lengths(-(-x.shape[1] // self.told), lengths)
        return builder.contiguous(part(builder, x, (slice(None), slice(0, None, 2))))


AFTER = (L + 1) // 2


class Turned(nn.Module):
    """A window along steps that lie second."""

    def __init__(self) -> None:
        super().__init__()
        self.window = nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.window(x.transpose(1, 2)).transpose(1, 2)


def test_a_window_behind_a_layer_that_tells_lengths() -> None:
    model = bp.Model(nn.Sequential(Every(), Turned()), "mse", optim.SGD(0.0), dtype="float64")
    rows = model.predict(X, lengths=L)
    for i in range(N):
        np.testing.assert_allclose(
            rows[i, : AFTER[i]], model.predict(X[i : i + 1, : L[i]])[0][: AFTER[i]], rtol=0, atol=1e-12
        )
    error = ((rows - Y[:, ::2]) ** 2)[np.arange(6) < AFTER[:, None]]
    assert model.step(X, Y[:, ::2], lengths=L) == pytest.approx(error.mean(), rel=1e-10)


def test_lengths_that_are_not_known_are_refused() -> None:
    twice = bp.Model(nn.Sequential(nn.GRU(4, 4), Every(told=1)), "mse")
    with pytest.raises(ValueError, match="a layer tells those of rows of 12 steps, which are known"):
        twice.predict(X, lengths=L)

    class Cut(Turned):
        def __init__(self) -> None:
            super().__init__()
            self.window, self.read = nn.Conv1d(4, 4, 2, stride=2), nn.GRU(4, 4)

        def forward(self, x: Any) -> Any:
            return self.read(super().forward(x)[:, 1:])[0]

    with pytest.raises(
        ValueError, match=r"known for rows of \[6, 12\] steps, but a layer reads those of rows of 5"
    ):
        bp.Model(Cut(), "mse").predict(X, lengths=L)


@pytest.mark.filterwarnings("ignore:no gradient reaches")
@pytest.mark.parametrize("outputs", [6, 12, 3])
def test_outputs_that_are_as_many_as_steps(outputs: int) -> None:
    """Behind a mean there are none: 13 steps leave 6 places as well as 12 do."""

    class Mean(Turned):
        def __init__(self) -> None:
            super().__init__()
            self.window, self.mean = nn.Conv1d(4, 4, 2, stride=2), nn.GlobalAvgPool()
            self.out = nn.Linear(4, outputs)

        def forward(self, x: Any) -> Any:
            return self.out(self.mean(self.window(x.transpose(1, 2))))

    model = bp.Model(Mean(), "mse", optim.SGD(0.0), dtype="float64")
    y = Y[:, 0, :1] + np.arange(outputs)
    expected = ((model.predict(X, lengths=L) - y) ** 2).mean()
    assert model.evaluate(X, y, lengths=L)["loss"] == pytest.approx(expected, rel=1e-10)
    assert model.step(X, y, lengths=L) == pytest.approx(expected, rel=1e-10)


class Fixed(nn.Module):
    """A network with positions of its own takes 12 steps alone."""

    def __init__(self, outputs: int, ends: Callable[[Any], Any]) -> None:
        super().__init__()
        self.places, self.read = nn.Parameter(rng.standard_normal((T, 4))), nn.GRU(4, 4)
        self.out, self.ends = nn.Linear(4, outputs), ends

    def forward(self, x: Any) -> Any:
        return self.ends(self.out(self.read(x + self.places)[0]))


def test_outputs_of_a_network_that_takes_one_number_of_steps() -> None:
    def turned(y: Any) -> Any:
        return y.transpose(1, 2)

    for ends in (lambda y: y, turned):
        model = bp.Model(Fixed(4, ends), "mse", optim.SGD(0.0), dtype="float64")
        pred, y = model.predict(X, lengths=L), Y if ends is not turned else Y.transpose(0, 2, 1)
        error = (pred - y) ** 2
        expected = (error if ends is not turned else error.transpose(0, 2, 1))[COUNTS].mean()
        assert model.evaluate(X, y, lengths=L)["loss"] == pytest.approx(expected, rel=1e-10)
        assert model.step(X, y, lengths=L) == pytest.approx(expected, rel=1e-10)
    # (N, 12) may be steps, or what a row is: the loss cannot know.
    for outputs, ends in ((1, lambda y: y[:, :, 0]), (T, lambda y: y[:, -1])):
        model = bp.Model(Fixed(outputs, ends), "mse", dtype="float64")
        for call in (model.evaluate, model.step, model.score):
            with pytest.raises(
                ValueError, match=r"MSELoss does not know what of an output of shape \(\d, 12\)"
            ):
                call(X, Y[:, :, 0], lengths=L)

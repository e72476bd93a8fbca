"""Convolutions and pooling along the steps of rows with lengths: each row gives what it would give alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import on

rng = np.random.default_rng(0)
N, T = 8, 12
X = rng.standard_normal((N, T, 3))
L = np.array([T, 5, 9, 6, 11, 7, 5, 8])
COUNTS = np.arange(T) < L[:, None]
POISONED = np.where(COUNTS[:, :, None], X, 1e3)


class Along(nn.Module):
    """Layers of (N, C, T), with what stands behind them: the mean of each row, its maximum, a GRU, or nothing."""

    def __init__(self, layers: nn.Module, end: str) -> None:
        super().__init__()
        self.layers, self.end = layers, end
        self.mean, self.top, self.read = nn.GlobalAvgPool(), nn.GlobalMaxPool(), nn.GRU(4, 2, returns="last")
        self.out = nn.Linear(2 if end == "gru" else 4, 2)

    def forward(self, x: Any) -> Any:
        x = self.layers(x.transpose(1, 2))
        if self.end == "gru":
            return self.out(self.read(x.transpose(1, 2))[0])
        if self.end == "steps":
            return self.out(x.transpose(1, 2))
        return self.out((self.mean if self.end == "mean" else self.top)(x))


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "same": lambda: nn.Sequential(nn.Conv1d(3, 6, 3, padding="same"), nn.ReLU(), nn.Conv1d(6, 4, 5, padding=2)),
    "valid, dilated": lambda: nn.Sequential(nn.Conv1d(3, 4, 3, dilation=2), nn.BatchNorm1d(4)),
    "strides": lambda: nn.Sequential(nn.Conv1d(3, 4, 3, stride=2, padding=1), nn.Tanh(), nn.Conv1d(4, 4, 2)),
    "max": lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.MaxPool1d(3, stride=2, padding=1)),
    "max, as long as a row": lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.MaxPool1d(5, stride=1)),
    "mean": lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.AvgPool1d(2), nn.Conv1d(4, 4, 3, padding=1)),
    "residual": lambda: nn.Residual(
        nn.Sequential(nn.Conv1d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv1d(4, 4, 3, padding=1)),
        shortcut=nn.Sequential(nn.Conv1d(3, 4, 1, stride=2)),
    ),
}  # fmt: skip


def made(layers: nn.Module, end: str, **settings: Any) -> bp.Model:
    return bp.Model(Along(layers, end), "mse", optim.SGD(0.05), dtype="float64", **settings)


@pytest.mark.filterwarnings("ignore:no gradient reaches")
@pytest.mark.parametrize("end", ["mean", "max", "gru", "steps"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_row_is_what_it_is_alone(name: str, end: str, backend: Backend) -> None:
    if name == "residual" and backend.name != "native":
        pytest.skip("shows nothing new")
    model = on(backend, made(LAYERS[name](), end))
    rows = model.predict(POISONED, lengths=L)
    assert np.isfinite(rows).all()
    for i in range(N):
        alone = model.predict(X[i : i + 1, : L[i]])[0]
        found = rows[i, : len(alone)] if end == "steps" else rows[i]
        np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-12)
    if "BatchNorm" in repr(model.net) or end == "steps":
        return
    y = rng.standard_normal((N, 2))
    twin = on(backend, made(LAYERS[name](), end))
    losses = [m.step(x, y, lengths=L) for _ in range(2) for m, x in ((model, X), (twin, POISONED))]
    assert losses[::2] == losses[1::2]
    assert bp.gradcheck(model, X, y, lengths=L, max_parameters=40).worst_relative_error < 1e-6


@pytest.mark.filterwarnings("ignore:no gradient reaches")
def test_the_loss_weighs_by_what_a_stride_leaves() -> None:
    model = made(LAYERS["strides"](), "steps")
    after = (L - 1) // 2 + 1 - 1
    y = rng.standard_normal((N, 5, 2))
    counts = np.arange(5) < after[:, None]
    expected = ((model.predict(X, lengths=L) - y) ** 2).mean(axis=2)[counts].mean()
    assert model.evaluate(X, np.where(counts[..., None], y, 9.0), lengths=L)["loss"] == pytest.approx(
        expected
    )
    assert model.step(X, np.where(counts[..., None], y, 9.0), lengths=L) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:no gradient reaches")
def test_a_row_shorter_than_the_window_has_no_place() -> None:
    for name, end in (("valid, dilated", "mean"), ("max, as long as a row", "max"), ("mean", "gru")):
        model = made(LAYERS[name](), end)
        rows = model.predict(X, lengths=np.where(np.arange(N) < 3, 0, L))
        assert np.isfinite(rows).all()
        assert np.array_equal(rows[0], rows[1])


@pytest.mark.filterwarnings("ignore:no gradient reaches")
def test_what_is_not_known_is_refused() -> None:
    wrapped = nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular")
    rounded = nn.Sequential(nn.Conv1d(3, 4, 1), nn.MaxPool1d(2, ceil_mode=True))
    counted = nn.Sequential(nn.Conv1d(3, 4, 1), nn.AvgPool1d(3, padding=1, count_include_pad=False))
    for layers, message in (
        (wrapped, "padding_mode 'circular'"),
        (rounded, "ceil_mode=True"),
        (counted, "count_include_pad=False"),
        (nn.ConvTranspose1d(3, 4, 2), "a transposed convolution"),
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.AdaptiveAvgPool1d(2)), "nn.GlobalAvgPool"),
    ):
        with pytest.raises(ValueError, match=rf"lengths is given, which does not go with .*{message}"):
            made(layers, "mean").predict(X, lengths=L)
    first = bp.Model(nn.Sequential(nn.Conv1d(T, 4, 2), nn.GlobalAvgPool()), "mse")
    with pytest.raises(
        ValueError, match=r"rows of \[12\] steps, but the input has 3 places; X is \(N, steps, ...\)"
    ):
        first.predict(X, lengths=np.minimum(L, 3))

    class Picture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look, self.mean = nn.Conv2d(1, 2, 3), nn.GlobalAvgPool()

        def forward(self, x: Any) -> Any:
            return self.mean(self.look(x[:, None]))

    with pytest.raises(ValueError, match="a window over steps and something else"):
        bp.Model(Picture(), "mse").predict(X, lengths=L)


class Cut(nn.Module):
    """A GRU over some of the steps."""

    def __init__(self, cut: Callable[[Any], Any]) -> None:
        super().__init__()
        self.cut, self.read = cut, nn.GRU(3, 4, returns="last")

    def forward(self, x: Any) -> Any:
        return self.read(self.cut(x))[0]


@pytest.mark.parametrize("steps", [4, -1, T])
def test_the_first_steps_have_lengths_of_at_most_as_many(steps: int) -> None:
    rows = bp.Model(Cut(lambda x: x[:, :steps]), "mse", dtype="float64").predict(POISONED, lengths=L)
    whole = bp.Model(Cut(lambda x: x), "mse", dtype="float64")
    np.testing.assert_array_equal(rows, whole.predict(POISONED, lengths=np.minimum(L, steps % T or T)))


@pytest.mark.parametrize(
    ("cut", "steps"),
    [
        (lambda x: x[:, ::2], 6),
        (lambda x: x[:, 2:], 10),
        (lambda x: bp.cat([x, x], 1), 24),
        (lambda x: x.reshape(x.shape[0], -1, 2, 3).mean(2), 6),
        (lambda x: nn.functional.interpolate(x.transpose(1, 2), scale_factor=2).transpose(1, 2), 24),
    ],
)  # fmt: skip
def test_steps_of_which_no_lengths_are_known_are_refused(cut: Callable[[Any], Any], steps: int) -> None:
    message = (
        rf"lengths is given, and known for rows of \[12\] steps, but a layer reads those of rows of {steps}"
    )
    with pytest.raises(ValueError, match=message):
        bp.Model(Cut(cut), "mse").predict(X, lengths=L)


NORMS: dict[str, Callable[[], nn.Module]] = {
    "BatchNorm1d": lambda: nn.BatchNorm1d(3),
    "GroupNorm": lambda: nn.GroupNorm(1, 3),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(3),
}


@pytest.mark.filterwarnings("ignore:no gradient reaches")
@pytest.mark.parametrize("name", NORMS)
def test_statistics_over_steps_are_refused(name: str) -> None:
    """The padding would count in them."""
    model = made(nn.Sequential(nn.Conv1d(3, 3, 1), NORMS[name](), nn.Conv1d(3, 4, 1)), "mean")
    with pytest.raises(
        ValueError, match=rf"{name}.*: lengths is given, which does not go with statistics over steps"
    ):
        model.fit(X, np.zeros((N, 2)), lengths=L)
    model.fit(X, np.zeros((N, 2)))

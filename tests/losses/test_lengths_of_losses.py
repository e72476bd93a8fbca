"""Losses of rows with lengths: what stands behind the end of a row changes no bit of any of them, or they are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import on

rng = np.random.default_rng(0)
N, T = 9, 5
X = rng.standard_normal((N, T, 3))
L = np.array([T, 1, 0, 3, 2, T, 4, 1, 2])
COUNTS = np.arange(T) < L[:, None]
WEIGHT = rng.uniform(0.5, 2, N)
Y = rng.standard_normal((N, T))


class Flat(nn.Module):
    """One number for each step, as (N, T)."""

    outputs = 1

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = nn.GRU(3, 4), nn.Linear(4, self.outputs)

    def forward(self, x: Any) -> Any:
        return self.out(self.inner(x)[0]).squeeze(-1)


class Turned(Flat):
    """Steps along the last of three dimensions."""

    outputs = 4

    def forward(self, x: Any) -> Any:
        return self.out(self.inner(x)[0]).transpose(1, 2)


class Heads(Flat):
    """T outputs that are no steps."""

    outputs = T

    def forward(self, x: Any) -> Any:
        return self.out(self.inner(x)[1][-1])


class Labels(Flat):
    """T classes of T labels."""

    outputs = T * T

    def forward(self, x: Any) -> Any:
        return self.out(self.inner(x)[1][-1]).reshape(-1, T, T)


def made(net: nn.Module, loss: Any, **settings: Any) -> bp.Model:
    return bp.Model(net, loss, optim.SGD(0.1), dtype="float64", **settings)


def behind(data: np.ndarray, other: Any, axis: int = 1) -> np.ndarray:
    """The data with something else behind the end of each row."""
    counts = COUNTS.reshape([size if at in (0, axis) else 1 for at, size in enumerate(data.shape)])
    return np.where(counts, data, other)


SEQUENCE: Callable[[], nn.Module] = lambda: nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))  # noqa: E731
THREE = rng.standard_normal((N, T, 2))
TURNED = rng.standard_normal((N, 4, T))
CASES: dict[str, tuple[Callable[[], nn.Module], Any, np.ndarray, Any, int]] = {
    "mse (N, T)": (Flat, "mse", Y, 9.0, 1),
    "bce (N, T)": (Flat, "bce_with_logits", (Y > 0) * 1.0, 1.0, 1),
    "hinge (N, T)": (Flat, nn.HingeLoss(reduction="sum"), np.sign(Y), 1.0, 1),
    "mae (N, T, C)": (SEQUENCE, "mae", THREE, 9.0, 1),
    "huber (N, C, T)": (Turned, "huber", TURNED, 9.0, 2),
    "traced, a step": (SEQUENCE, nn.traced(lambda pred, y: (pred - y).abs().mean(dim=-1)), THREE, 9.0, 1),
    "traced (N, T)": (Flat, nn.traced(lambda pred, y: (pred - y) ** 2), Y, 9.0, 1),
    "traced, lengths": (
        Flat,
        nn.traced(lambda pred, y, lengths: ((pred - y) ** 2 * (bp.arange(T) < lengths[:, None])).sum(dim=1)),
        Y, 9.0, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_stands_behind_the_end_does_not_count(name: str, backend: Backend) -> None:
    net, loss, y, other, axis = CASES[name]
    found = []
    for inputs, targets in ((X, y), (behind(X, 1e3), behind(y, other, axis))):
        model = on(backend, made(net(), loss))
        losses = [model.step(inputs, targets, lengths=L) for _ in range(2)]
        model.fit(inputs, targets, lengths=L, sample_weight=WEIGHT, epochs=1, batch_size=4, shuffle=False)
        losses.append(model.evaluate(inputs, targets, WEIGHT, lengths=L)["loss"])
        found.append((losses, model.state_dict()))
    assert found[0][0] == found[1][0]
    for key, value in found[0][1].items():
        assert np.array_equal(value, found[1][1][key])


@pytest.mark.parametrize("name", [name for name in CASES if name != "traced, lengths"])
def test_it_is_the_mean_of_rows_alone(name: str) -> None:
    """The mean over all steps that count: each row alone, without what stands behind it, weighed by its steps."""
    net, loss, y, _, axis = CASES[name]
    model = made(net(), loss)
    rows = [row for row in range(N) if L[row]]
    alone = []
    for row in rows:
        targets = y[row : row + 1].take(range(L[row]), axis)
        alone.append(model.evaluate(X[row : row + 1, : L[row]], targets)["loss"])
    found = model.evaluate(X, y, WEIGHT, lengths=L)["loss"]
    if getattr(loss, "reduction", "mean") == "sum":
        assert found == pytest.approx(WEIGHT[rows] @ alone, rel=1e-12)
    else:
        assert found == pytest.approx(np.average(alone, weights=(WEIGHT * L)[rows]), rel=1e-12)
    whole = np.full(N, T)
    found, expected = (model.evaluate(X, y, WEIGHT, lengths=lengths)["loss"] for lengths in (whole, None))
    assert found == pytest.approx(expected, rel=1e-12)
    assert bp.gradcheck(model, X, y, lengths=L).worst_relative_error < 1e-6


def test_several_outputs_each_have_their_steps() -> None:
    class Both(Flat):
        def forward(self, x: Any) -> Any:
            y, last = self.inner(x)
            return {"steps": self.out(y).squeeze(-1), "row": self.out(last[-1])}

    model = made(Both(), {"steps": "mse", "row": "mse"}, loss_weights={"steps": 0.5})
    row = rng.standard_normal(N)
    alone = {
        "steps": made(Flat(), "mse"),
        "row": made(nn.Sequential(nn.GRU(3, 4, returns="last"), nn.Linear(4, 1)), "mse"),
    }
    state = model.state_dict()
    alone["steps"].load_state_dict(state)
    alone["row"].load_state_dict(dict(zip(alone["row"].state_dict(), state.values(), strict=True)))
    expected = {
        name: one.evaluate(X, y, WEIGHT, lengths=L)["loss"]
        for (name, one), y in zip(alone.items(), (Y, row), strict=True)
    }
    found = model.evaluate(X, {"steps": behind(Y, 9.0), "row": row}, WEIGHT, lengths=L)
    assert found["steps_loss"] == pytest.approx(expected["steps"], rel=1e-12)
    assert found["row_loss"] == pytest.approx(expected["row"], rel=1e-12)
    assert found["loss"] == pytest.approx(0.5 * expected["steps"] + expected["row"], rel=1e-12)


def test_outputs_that_are_no_steps_count_whole() -> None:
    """As many of them as there are steps: it is found by rows of another length."""
    model = made(Heads(), "mse")
    expected = ((model.predict(X, L) - Y) ** 2).mean()
    assert model.evaluate(X, Y, lengths=L)["loss"] == pytest.approx(expected, rel=1e-12)
    labels = rng.integers(0, T, (N, T))
    pred = made(Labels(), "cross_entropy").predict_proba(X, lengths=L)
    logs = np.log(np.take_along_axis(pred, labels[..., None], 2))
    found = made(Labels(), "cross_entropy").evaluate(X, labels, lengths=L)["loss"]
    assert found == pytest.approx(-logs.mean(), rel=1e-12)
    one = made(Heads(), nn.traced(lambda pred, y: ((pred - y) ** 2).mean()))
    assert one.evaluate(X, Y, lengths=L)["loss"] == pytest.approx(expected, rel=1e-12)


def test_what_is_not_known_is_refused() -> None:
    by_row = nn.traced(lambda pred, y: ((pred - y) ** 2).mean(dim=1))
    whole = nn.traced(lambda pred, y: ((pred - y) ** 2).mean())
    labels = rng.integers(0, T, N)

    class Joined(Flat):
        outputs = 2

        def forward(self, x: Any) -> Any:
            return self.out(self.inner(x)[0]).flatten(1)

    for net, loss, y, message in (
        (Flat(), by_row, Y, r"the loss gave a tensor of shape \(9,\) of an output \(9, 5\), .* an argument `lengths`"),
        (Flat(), whole, Y, r"the loss gave a tensor of shape \(\) .* let it give one number for each step"),
        (Flat(), "cross_entropy", labels, r"CrossEntropyLoss does not know what of an output of shape \(9, 5\)"),
        (Joined(), "mse", rng.standard_normal((N, 2 * T)), r"MSELoss does not know what of an output of shape \(9, 10\)"),
        (Flat(), nn.MSELoss("batchmean"), Y, r"divides by the rows alone, .* 'mean' or 'sum', or targets \(9, 5, 1\)"),
    ):  # fmt: skip
        model = made(net, loss)
        for call in (model.step, model.evaluate):
            with pytest.raises(ValueError, match=message):
                call(X, y, lengths=L)
        model.step(X, y)


def test_every_call_takes_them() -> None:
    model, data = made(nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 4)), "cross_entropy"), {"x": X, "lengths": L}
    tags = rng.integers(0, 4, (N, T))
    assert np.array_equal(model.predict_proba(X, lengths=L), model.predict_proba(data))
    assert np.array_equal(model.predict_classes(X, lengths=L), model.predict_classes(data))
    assert model.score(X, tags, lengths=L) == model.score(data, tags)
    rows = [row[:n] for row, n in zip(X, np.maximum(L, 1), strict=True)]
    assert len(model.predict_classes(rows)) == N
    numbers = made(Flat(), "mse")
    assert numbers.score(X, behind(Y, 9.0), lengths=L) == pytest.approx(
        numbers.score({"x": X, "lengths": L}, Y)
    )
    assert numbers.score(X, Y, lengths=L) != pytest.approx(numbers.score(X, Y))


def test_validation_data_has_lengths_too() -> None:
    rows, targets = ([row[:n] for row, n in zip(data, L, strict=True)] for data in (X, Y))
    ways: Any = ((X, Y, None, L), ({"x": X, "lengths": L}, Y), (rows, targets))
    found = []
    for way in ways:
        model = made(Flat(), "mse")
        history = model.fit(X, Y, lengths=L, validation_data=way, epochs=1).history["val_loss"]
        found.append(history[0])
        assert history[0] == pytest.approx(model.evaluate(X, Y, lengths=L)["loss"], rel=1e-12)
    assert found[0] == found[1]
    weighed = made(Flat(), "mse")
    history = weighed.fit(X, Y, lengths=L, validation_data=(X, Y, WEIGHT, L), epochs=1).history["val_loss"]
    assert history[0] == pytest.approx(weighed.evaluate(X, Y, WEIGHT, lengths=L)["loss"], rel=1e-12)
    for wrong in ((X, Y), (X, Y, L)):
        with pytest.raises(
            ValueError,
            match="validation_data has no lengths, but X has: expected",
        ):
            made(Flat(), "mse").fit(X, Y, lengths=L, validation_data=wrong)
    with pytest.raises(ValueError, match="validation_data: lengths holds 6 at row 0, expected 0 to 5"):
        made(Flat(), "mse").fit(X, Y, lengths=L, validation_data=(X, Y, None, L + 1))

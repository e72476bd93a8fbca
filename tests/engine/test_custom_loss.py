"""Training with a callable loss: the same numbers as the built-in loss gives, and clear errors for what it may return."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend

rng = np.random.default_rng(0)
X = rng.standard_normal((50, 6))
Y = rng.standard_normal((50, 2))


def mse(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean squared error by hand."""
    error = pred - y
    return float((error**2).mean()), 2 * error / error.size


def model(loss: Any, backend: Backend | None = None, **options: Any) -> bp.Model:
    """A network in float64 with dropout and batch statistics: order and step of each batch matter."""
    net = nn.Sequential(
        nn.Linear(6, 9, bias=False), nn.BatchNorm1d(9), nn.Tanh(), nn.Dropout(0.3), nn.Linear(9, 2)
    )
    made = bp.Model(net, loss, bp.optim.Adam(lr=0.01), backend="numpy", dtype="float64", seed=3, **options)
    made.backend = backend or made.backend
    return made


def test_same_training_as_the_built_in_loss(backend: Backend) -> None:
    by_hand, built_in = model(mse, backend), model("mse", backend)
    histories = [
        m.fit(X, Y, epochs=4, batch_size=16, validation_data=(X[:9], Y[:9])).history
        for m in (by_hand, built_in)
    ]
    assert histories[0].keys() == histories[1].keys() == {"loss", "val_loss", "lr"}
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-10, err_msg=name)
    for name, array in by_hand.state_dict().items():
        np.testing.assert_allclose(array, built_in.state_dict()[name], rtol=1e-8, atol=1e-12, err_msg=name)
    assert by_hand.engine.step_count[0] == built_in.engine.step_count[0] == 16
    assert by_hand.epoch == built_in.epoch == 4


def test_step_and_evaluate() -> None:
    by_hand, built_in = model(mse), model("mse")
    for m in (by_hand, built_in):
        m.step(X, Y)
    assert by_hand.step(X, Y) == pytest.approx(built_in.step(X, Y), rel=1e-12)
    assert by_hand.evaluate(X, Y)["loss"] == pytest.approx(built_in.evaluate(X, Y)["loss"], rel=1e-12)


def test_callbacks_see_every_batch() -> None:
    class Watch(bp.Callback):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            self.seen.append((batch, logs["loss"]))

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.seen.append(("epoch", logs["loss"]))

    by_hand, built_in = Watch(), Watch()
    model(mse).fit(X, Y, epochs=2, batch_size=20, callbacks=[by_hand])
    model("mse").fit(X, Y, epochs=2, batch_size=20, callbacks=[built_in])
    assert [what for what, _ in by_hand.seen] == [0, 1, 2, "epoch"] * 2
    np.testing.assert_allclose(
        [loss for _, loss in by_hand.seen], [loss for _, loss in built_in.seen], rtol=1e-10
    )


def test_targets_may_be_anything_with_rows() -> None:
    words = np.array(["left", "right"] * 5)

    def loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        sign = np.where(y == "left", -1.0, 1.0)[:, None]
        return float((pred * sign).mean()), sign / pred.size * np.ones_like(pred)

    history = model(loss).fit(X[:10], words, epochs=20, batch_size=10).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (1.0, TypeError, "float, expected a pair"),
        ((1.0,), TypeError, "tuple, expected a pair"),
        (
            (np.ones(3), np.zeros((16, 2))),
            TypeError,
            r"an array of shape \(3,\) as its value, expected one number",
        ),
        (("high", np.zeros((16, 2))), TypeError, "'high' as its value, expected one number"),
        ((1.0, np.zeros((16, 1))), ValueError, r"gradient of shape \(16, 1\), expected \(16, 2\) like pred"),
        ((1.0, None), TypeError, "gradient of dtype object, expected numbers"),
    ],
)
def test_what_the_loss_returns_is_checked(returned: Any, error: type[Exception], message: str) -> None:
    def strange(pred: np.ndarray, y: np.ndarray) -> Any:
        return returned

    with pytest.raises(error, match=f"loss 'strange' returned .*{message}"):
        model(strange).fit(X, Y, batch_size=16)
    with pytest.raises(error, match=message):
        model(strange).step(X[:16], Y[:16])


@pytest.mark.parametrize(("name", "given"), [("sample_weight", np.ones(50)), ("class_weight", "balanced")])
def test_weights_are_refused(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is given, but the loss is a callable"):
        model(mse).fit(X, Y, **{name: given})


def test_bad_arguments_are_found_before_training() -> None:
    untouched = model(mse)
    before = untouched.state_dict()
    for arguments, message in (
        ({"X": X[:0], "y": Y[:0]}, "X is empty"),
        ({"X": X, "y": Y[:4]}, "y has 4 rows, but X has 50"),
        ({"X": X[:, :3], "y": Y}, "X does not fit the network"),
        ({"X": np.full_like(X, np.nan), "y": Y}, "X holds nan at row 0"),
        ({"X": X, "y": Y, "validation_data": (X, Y[:1])}, "validation_data: y has 1 rows"),
        ({"X": X, "y": Y, "validation_data": (X, Y, np.ones(50))}, "validation_data: sample_weight is given"),
    ):
        with pytest.raises(ValueError, match=message):
            untouched.fit(**arguments)
    assert all(np.array_equal(before[name], array) for name, array in untouched.state_dict().items())


def test_nan_stops_with_the_last_good_weights() -> None:
    calls = []

    def failing(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        calls.append(1)
        value, gradient = mse(pred, y)
        return (float("nan") if len(calls) == 3 else value), gradient

    broken = model(failing)
    with pytest.raises(bp.NonFiniteError, match="step 2: the loss"):
        broken.fit(X, Y, batch_size=10)
    assert np.isfinite(broken.predict(X)).all()
    broken.fit(X, Y, batch_size=10)  # usable
    assert broken.engine.step_count[0] == 2 + 5

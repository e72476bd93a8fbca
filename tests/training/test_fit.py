"""What a run tells: history, validation, callbacks; and what it does where numbers are not finite."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import optim
from backpass.backends import Backend
from helpers.nets import LABELS, X, Y, digest, small, with_everything

# ---- history, validation, callbacks ----------------------------------------------------------------------------------


def test_history() -> None:
    model = small("cross_entropy")
    history = model.fit(X, LABELS, epochs=3, batch_size=16, validation_data=(X[:9], LABELS[:9]))
    assert history.epoch == [0, 1, 2]
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "lr"}
    assert all(len(v) == 3 and all(isinstance(n, float) for n in v) for v in history.history.values())
    last = model.evaluate(X[:9], LABELS[:9])
    assert history.history["val_loss"][-1] == last["loss"]
    assert history.history["val_accuracy"][-1] == last["accuracy"]
    assert model.epoch == 3
    assert model.engine.step_count[0] == 15


def test_no_epochs() -> None:
    model = small()
    before = digest(model)
    history = model.fit(X, Y, epochs=0)
    assert history.history == {"loss": [], "lr": []}
    assert history.epoch == []
    assert digest(model) == before
    assert model.epoch == 0
    with pytest.raises(ValueError, match="X is empty"):
        model.fit(X[:0], Y[:0], epochs=0)


def test_validation_changes_nothing() -> None:
    def trained(**arguments: Any) -> bp.Model:
        model = bp.Model(with_everything(), "cross_entropy")
        model.fit(X, LABELS, epochs=3, batch_size=16, **arguments)
        return model

    plain, validated = trained(), trained(validation_data=(X, LABELS, np.ones(70)))
    assert digest(plain) == digest(validated)


def test_stop_training_and_callbacks_in_order() -> None:
    class Stop(bp.Callback):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def on_train_begin(self, logs: Any) -> None:
            self.calls.append("begin")

        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            self.calls.append(f"epoch {epoch}")

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.calls.append(f"end {epoch} {sorted(logs)}")
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs: Any) -> None:
            self.calls.append("over")

    stop, model = Stop(), small()
    history = model.fit(X, Y, epochs=9, callbacks=[stop])
    assert history.epoch == [0, 1]
    assert stop.calls == [
        "begin",
        "epoch 0",
        "end 0 ['loss', 'lr']",
        "epoch 1",
        "end 1 ['loss', 'lr']",
        "over",
    ]
    assert len(model.fit(X, Y, epochs=2).epoch) == 2


def test_an_error_in_a_callback_leaves_the_model_usable() -> None:
    class Broken(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 2:
                raise RuntimeError("mine")

    model = small()
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, Y, batch_size=10, callbacks=[Broken()])
    assert model.engine.step_count[0] == 3
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


# ---- not finite ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", optim.NAMES)
def test_divergence_stops_at_the_last_good_step(backend: Backend, name: str) -> None:
    optimizer = optim.NAMES[name](lr=1e30)
    model = small(optimizer=optimizer)
    model.backend = backend
    with pytest.raises(
        bp.NonFiniteError, match=r"step \d+: layer .* is not finite.*last good step"
    ) as caught:
        model.fit(X, Y, epochs=5, batch_size=10)
    assert caught.value.step == model.engine.step_count[0]
    assert caught.value.layer in ("0", "1", "2")
    assert f"layer {caught.value.layer}" in str(caught.value)
    assert all(np.isfinite(v).all() for v in model.state_dict().values())
    model.load_state_dict({k: np.full_like(v, 0.1) for k, v in model.state_dict().items()})
    model.lr = 1e-6
    for slot, array in model.engine.optimizer_state.items():
        if slot in optimizer.slots:
            array[...] = 0
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


@pytest.mark.parametrize(("layer", "value"), [("0", np.nan), ("2", np.inf), ("2", np.nan)])
def test_a_nan_in_a_weight_is_named(backend: Backend, layer: str, value: float) -> None:
    model = small()
    model.backend = backend
    model.fit(X, Y, batch_size=10)
    good = model.state_dict()
    model.net[int(layer)].weight[1, 2] = value
    poisoned = model.state_dict()
    for train_on in (lambda: model.fit(X, Y, batch_size=10), lambda: model.step(X, Y)):
        with pytest.raises(bp.NonFiniteError) as caught:
            train_on()
        assert caught.value.step == 7
        assert caught.value.layer == layer
        assert "step 7" in str(caught.value)
        assert f"layer {layer}" in str(caught.value)
        assert all(np.array_equal(v, poisoned[k], equal_nan=True) for k, v in model.state_dict().items()), (
            "changed"
        )
    model.load_state_dict(good)
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


def test_an_update_that_overflows_is_said_to_lose_the_weights(backend: Backend) -> None:
    model = small(optimizer=optim.SGD(lr=3e38))
    model.backend = backend
    with pytest.raises(bp.NonFiniteError, match=r"0\.weight.*An update overflowed \(lr is 3e\+38\)"):
        model.fit(X * 1e3, Y, batch_size=len(X))  # the one step of the run: no guard comes after it


def test_terminate_on_nan_ends_quietly() -> None:
    model = small(optimizer=optim.SGD(lr=1e30))
    history = model.fit(X, Y, epochs=5, batch_size=10, callbacks=[bp.TerminateOnNaN()])
    assert history.epoch == []
    assert all(np.isfinite(v).all() for v in model.state_dict().values())

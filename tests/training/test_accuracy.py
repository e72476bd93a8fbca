"""The accuracy of the rows that a run trains on: in history and logs without being asked, and as `evaluate` counts it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.nets import LABELS, X, on

SOFT = np.random.default_rng(3).dirichlet(np.ones(3), len(X))
MANY = np.random.default_rng(4).integers(0, 2, (70, 3))
WEIGHT = np.random.default_rng(5).uniform(0.1, 2, 70)
TOKENS = np.random.default_rng(6).integers(-1, 3, (70, 2))

CASES: dict[str, tuple[Any, Any, int]] = {
    "classes": ("cross_entropy", LABELS, 3),
    "one-hot": ("cross_entropy", np.eye(3, dtype=int)[LABELS], 3),
    "probabilities": ("cross_entropy", SOFT, 3),
    "weighted probabilities": (nn.CrossEntropyLoss(weight=[0.0, 2.0, 5.0]), SOFT, 3),
    "an ignored class": (nn.CrossEntropyLoss(ignore_index=0), LABELS, 3),
    "log probabilities": ("nll", LABELS, 3),
    "two classes": ("bce_with_logits", LABELS > 0, 1),
    "several labels": ("bce_with_logits", MANY, 3),
    "focal": (nn.FocalLoss(), MANY, 3),
}


def made(loss: Any, outputs: int, **arguments: Any) -> bp.Model:
    last = [nn.LogSoftmax()] if loss == "nll" else []
    return bp.Model(nn.Sequential(nn.Linear(6, outputs), *last), loss, bp.optim.SGD(lr=0.0), **arguments)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_weights_that_stand_still_give_the_accuracy_of_evaluate(
    case: str, weight: Any, backend: Backend
) -> None:
    loss, y, outputs = CASES[case]
    model = on(backend, made(loss, outputs))
    history = model.fit(X, y, epochs=2, batch_size=16, sample_weight=weight).history
    expected = model.evaluate(X, y, sample_weight=weight)["accuracy"]
    assert 0 < expected < 1
    assert history["accuracy"] == pytest.approx([expected] * 2, rel=1e-12)


def test_accuracy_of_evaluate_by_hand() -> None:
    model = made("cross_entropy", 3)
    right = model.predict(X).argmax(axis=1) == LABELS
    assert model.evaluate(X, LABELS)["accuracy"] == pytest.approx(right.mean())
    found = model.evaluate(X, LABELS, sample_weight=WEIGHT)["accuracy"]
    assert found == pytest.approx(np.average(right, weights=WEIGHT), rel=1e-6)
    model = made("bce_with_logits", 3)
    right = ((model.predict(X) > 0) == MANY).all(axis=1)
    assert model.evaluate(X, MANY)["accuracy"] == pytest.approx(right.mean())


def test_of_equal_outputs_the_first_is_the_prediction(backend: Backend) -> None:
    model = on(backend, made("cross_entropy", 3))
    model.load_state_dict({name: np.zeros_like(value) for name, value in model.state_dict().items()})
    assert model.fit(X, LABELS, epochs=1).history["accuracy"] == [pytest.approx((LABELS == 0).mean())]


def test_numbers_and_mixed_rows_have_no_accuracy() -> None:
    numbers = bp.Model(nn.Linear(6, 1), "mse").fit(X, X[:, 0], epochs=1)
    mixed = bp.Model(nn.Sequential(nn.MixUp(0.4), nn.Linear(6, 3)), "cross_entropy").fit(X, LABELS, epochs=1)
    assert "accuracy" not in {*numbers.history, *mixed.history}


def test_callbacks_have_it_after_every_batch_and_may_watch_it() -> None:
    seen: list[float] = []

    class Watch(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            seen.append(logs["accuracy"])

    model = made("cross_entropy", 3)
    stop = bp.EarlyStopping("accuracy", patience=1)
    history = model.fit(X, LABELS, epochs=5, batch_size=35, callbacks=[Watch(), stop])
    # Its weights stand still, so that the second epoch is no better.
    assert (len(history.epoch), len(seen)) == (2, 4)
    assert seen[1] == seen[3] == history.history["accuracy"][0]


def test_an_interrupted_epoch_goes_on_counting(tmp_path: Path) -> None:
    def trained(callbacks: list[Any], model: bp.Model, **options: Any) -> bp.History:
        return model.fit(X, LABELS, epochs=3, batch_size=8, callbacks=callbacks, **options)

    class Leave(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 4 and self.model.epoch == 1:
                raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    model = bp.Model(nn.Linear(6, 3), "cross_entropy", seed=1)
    with pytest.raises(KeyboardInterrupt):
        trained([Leave()], model)
    model.save(path)
    resumed = trained([], bp.load(path), resume=True)
    whole = trained([], bp.Model(nn.Linear(6, 3), "cross_entropy", seed=1))
    assert resumed.history == whole.history


def test_chunks_count_as_arrays_do() -> None:
    model = made("cross_entropy", 3)
    chunks = [(X[:40], LABELS[:40]), (X[40:], LABELS[40:])]
    history = model.fit(chunks, epochs=1, batch_size=16).history
    assert history["accuracy"] == pytest.approx([model.evaluate(X, LABELS)["accuracy"]])


def test_outputs_that_are_not_numbers_are_never_right(backend: Backend) -> None:
    bad = np.full((2, 3), np.nan, np.float32)
    for op, target in (("correct_classes", np.zeros(2, np.int64)), ("correct_logits", bad * 0)):
        correct = np.zeros(2)
        target = np.nan_to_num(target)
        backend.function(op)(pred=bad, target=target, sample_weight=None, correct=correct, **(
            {"ignore_index": -100} if op == "correct_classes" else {}
        ))  # fmt: skip
        assert correct.tolist() == [0, 2]

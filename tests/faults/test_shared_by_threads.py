"""Faults of kind F: threads that share a model wait for each other, and get the bits that they would get alone.

Calls while another thread's fit goes on are in tests/system/test_processes.py.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import LABELS, X, Y, assert_same, on, small

THREADS = 4


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What each thread returns; an error in one of them is raised here."""
    ready = Barrier(THREADS)

    def run(number: int) -> Any:
        ready.wait(30)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(run, range(THREADS))]


def test_predict(backend: Backend) -> None:
    model = on(backend, small())
    wanted = model.predict(X)
    calls = 500 if backend.name == "native" else 50
    outs = at_once(lambda number: [model.predict(X) for _ in range(calls)])
    assert all(np.array_equal(out, wanted) for of_a_thread in outs for out in of_a_thread)


def test_shapes_that_nobody_has_used_before(backend: Backend) -> None:
    model, alone = (on(backend, small()) for _ in range(2))
    sizes = range(1, 40, 1 if backend.name == "native" else 5)
    outs = at_once(lambda number: [model.predict(X[:rows]) for rows in sizes])
    for rows, *found in zip(sizes, *outs, strict=True):
        wanted = alone.predict(X[:rows])
        assert all(np.array_equal(out, wanted) for out in found)


READING: dict[str, Callable[[bp.Model], Any]] = {
    "predict_proba": lambda m: m.predict_proba(X),
    "predict_classes": lambda m: m.predict_classes(X),
    "evaluate": lambda m: m.evaluate(X, LABELS),
    "evaluate chunks": lambda m: m.evaluate([(X[:30], LABELS[:30]), (X[30:], LABELS[30:])]),
    "score": lambda m: m.score(X, LABELS),
    "forward": lambda m: m.forward(X),
    "forward, training": lambda m: m.forward(X, training=True),
    "state_dict": lambda m: m.state_dict()["0.weight"],
    "a copy": lambda m: deepcopy(m).predict(X),
    "summary": lambda m: m.summary(),
}


@pytest.mark.parametrize("what", READING)
def test_calls_that_change_nothing(what: str) -> None:
    """All threads in one call, and that call beside predict."""
    model, call = small("cross_entropy"), READING[what]
    wanted, pred = call(model), model.predict(X)
    outs = at_once(lambda number: [(call(model), model.predict(X)) for _ in range(20)])
    for found, beside in (pair for of_a_thread in outs for pair in of_a_thread):
        assert np.array_equal(found, wanted) if isinstance(wanted, np.ndarray) else found == wanted
        assert np.array_equal(beside, pred)


def test_steps_are_made_one_after_another(backend: Backend) -> None:
    """From four threads as many as from one, and to the same bits where all make the same."""
    model, alone = (on(backend, small(optimizer=optim.Adam(1e-2))) for _ in range(2))
    losses = at_once(lambda number: [model.step(X, Y) for _ in range(10)])
    wanted = [alone.step(X, Y) for _ in range(40)]
    assert sorted(np.concatenate(losses), reverse=True) == sorted(wanted, reverse=True)
    assert model.engine.step_count[0] == 40
    assert_same(model, alone)


@pytest.mark.parametrize("how", ["a file", "a copy"])
def test_saving_and_copying_beside_steps(how: str, tmp_path: Path) -> None:
    """Each is the state between two steps."""
    model, alone = small(optimizer="sgd"), small(optimizer="sgd")
    states = [alone.predict(X)]
    for _ in range(200):
        alone.step(X, Y)
        states.append(alone.predict(X))

    def work(number: int) -> None:
        if number == 0:
            for _ in range(200):
                model.step(X, Y)
            return
        path = tmp_path / f"{number}.safetensors"
        for _ in range(4):
            if how == "a file":
                model.save(path)
            other = bp.load(path) if how == "a file" else deepcopy(model)
            assert np.array_equal(other.predict(X), states[int(other.engine.step_count[0])])

    at_once(work)


def test_a_setting_changes_between_two_predictions() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 3))
    model = bp.Model(net)
    answers = []
    for alpha in (0.5, 1.0):
        net[1].alpha = alpha
        answers.append(model.predict(X))

    def work(number: int) -> None:
        for turn in range(50):
            if number == 0:
                net[1].alpha = (0.5, 1.0)[turn % 2]
            out = model.predict(X)
            assert any(np.array_equal(out, answer) for answer in answers)

    at_once(work)


def test_weights_are_loaded_between_two_predictions() -> None:
    model = small()
    states = [{k: v * scale for k, v in model.state_dict().items()} for scale in (1, 2)]
    answers = []
    for state in states:
        model.load_state_dict(state)
        answers.append(model.predict(X))

    def work(number: int) -> None:
        for turn in range(50):
            if number == 0:
                model.load_state_dict(states[turn % 2])
            else:
                out = model.predict(X)
                assert any(np.array_equal(out, answer) for answer in answers)

    at_once(work)


def test_another_backend_and_another_optimizer_beside_steps() -> None:
    model = small(optimizer=optim.SGD(1e-3))

    def work(number: int) -> None:
        for turn in range(15):
            if number == 0:
                model.backend = ("numpy", "auto")[turn % 2]
            if number == 1:
                model.optimizer = optim.SGD(1e-3)
            assert np.isfinite(model.step(X, Y))

    at_once(work)
    assert model.engine.step_count[0] == 60


def test_models_of_their_own_are_made_and_trained_side_by_side(backend: Backend, tmp_path: Path) -> None:
    small().save(tmp_path / "run")

    def work(number: int) -> tuple[bytes, bytes]:
        made, loaded = on(backend, small(seed=number)), on(backend, bp.load(tmp_path / "run"))
        made.fit(X, Y, epochs=2)
        loaded.fit(X, Y, epochs=2)
        return made.predict(X).tobytes(), loaded.predict(X).tobytes()

    assert at_once(work) == [work(number) for number in range(THREADS)]


def test_fits_of_one_model_are_refused_or_made_one_after_another() -> None:
    """A fit begins with all data checked; whoever comes while it goes on is told so."""
    model, refused = small(), list[str]()

    def work(number: int) -> int:
        try:
            return len(model.fit(X, Y, epochs=3).epoch)
        except RuntimeError as error:
            refused.append(str(error))
            return 0

    epochs = sum(at_once(work))
    assert epochs == 3 * (THREADS - len(refused)) > 0
    assert all("in use by another thread" in message for message in refused)
    assert model.epoch == epochs
    assert len(model.fit(X, Y).epoch) == 1


def test_an_error_in_one_thread_leaves_the_model_to_the_others() -> None:
    model = small()
    wanted = model.predict(X)

    def work(number: int) -> None:
        for _ in range(20):
            if number % 2:
                with pytest.raises(ValueError, match="X does not fit"):
                    model.predict(X[:, :3])
            else:
                assert np.array_equal(model.predict(X), wanted)

    at_once(work)

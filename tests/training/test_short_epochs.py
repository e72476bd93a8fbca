"""Short epochs that nobody hears of are run many in one call: the bits and the history of epochs that are told one by one."""

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.ops import advance, clip_scale
from backpass.program import call
from backpass.training import loops
from backpass.training.short_epochs import ShortEpochs
from helpers.backends import needs_linux
from helpers.nets import digest

RNG = np.random.default_rng(0)
X = RNG.standard_normal((26, 6), dtype=np.float32)
Y, LABELS = RNG.standard_normal((26, 2), dtype=np.float32), RNG.integers(0, 3, 26)
EPOCHS = 40


class Hears(bp.Callback):
    """Whoever is told of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        assert logs["lr"] > 0


def classifier(backend: str) -> bp.Model:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
    schedule = optim.schedules.cosine(1e-2, 10_000)
    return bp.Model(net, "cross_entropy", optim.Adam(lr=schedule, clip_grad_norm=1.0), backend=backend)


def regressor(backend: str) -> bp.Model:
    return bp.Model(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)), "mse", backend=backend)


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many epochs each call ran, however slow the machine is."""
    ran: list[int] = []
    passed = ShortEpochs.passed

    def counted(short: ShortEpochs) -> Any:
        found = passed(short)
        if found:
            ran.append(len(found))
        return found

    monkeypatch.setattr(ShortEpochs, "passed", counted)
    monkeypatch.setattr(loops, "SLICE_SECONDS", 100.0)
    return ran


@pytest.mark.parametrize("name", bp.available_backends())
def test_programs_take_turns_until_time_is_over_or_one_halts(name: str) -> None:
    with bp.use_backend(name):
        backend = bp.get_backend()
        steps, others, halt = (np.zeros(1, np.int64) for _ in range(3))
        sums = {
            "loss": np.ones(1),
            "count": np.ones(1),
            "total": np.zeros(2),
            "cursor": np.zeros(1, np.int64),
        }
        programs = [
            (backend.compile([call(advance, step=step, rows=1, **sums)]), n)
            for step, n in ((steps, 3), (others, 1))
        ]
        assert backend.run_epochs(programs, 4, 100.0) == 4
        assert (steps[0], others[0], sums["cursor"][0]) == (12, 4, 16)
        assert backend.run_epochs(programs, 4, 0.0) == 1
        guard = call(
            clip_scale, loss=np.full(1, np.nan), partials=np.zeros(1), norm=np.zeros(1), scale=np.zeros(1), halt=halt
        )  # fmt: skip
        assert backend.run_epochs([*programs, (backend.compile([guard], halt), 1)], 4, 100.0) == 0
        assert (steps[0], others[0]) == (18, 6)


@pytest.mark.parametrize("backend", bp.available_backends())
@pytest.mark.parametrize(("build", "y"), [(classifier, LABELS), (regressor, Y)], ids=["classes", "numbers"])
@pytest.mark.parametrize(
    "options", [{"batch_size": 13}, {"batch_size": 8, "shuffle": False}, {"batch_size": 8, "drop_last": True}]
)
def test_the_same_bits_as_told_epochs(
    backend: str, build: Callable[[str], bp.Model], y: np.ndarray, options: dict[str, Any], ahead: list[int]
) -> None:
    unheard, heard = build(backend), build(backend)
    history = unheard.fit(X, y, epochs=EPOCHS, **options)
    assert ahead == [EPOCHS - 1]
    told = heard.fit(X, y, epochs=EPOCHS, callbacks=[Hears()], **options)
    assert ahead == [EPOCHS - 1]
    assert (history.epoch, history.history) == (told.epoch, told.history)
    assert digest(unheard) == digest(heard)
    assert unheard.fit(X, y, **options).history == heard.fit(X, y, **options).history


def test_what_is_not_finite_is_found_in_its_step(ahead: list[int]) -> None:
    errors = []
    for callbacks in ([], [Hears()]):
        # The rate grows until a loss overflows.
        optimizer = optim.SGD(lr=optim.schedules.exponential(1e-3, 1, 1.05))
        model = bp.Model(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 2)), "mse", optimizer)
        with pytest.raises(bp.NonFiniteError) as caught:
            model.fit(X, Y, epochs=1000, batch_size=8, callbacks=callbacks)
        run = model.engine.last_run
        assert run is not None
        errors.append(
            (
                str(caught.value),
                caught.value.step,
                run.position,
                run.steps,
                run.history.history,
                digest(model),
            )
        )
    assert sum(ahead) > 10
    assert errors[0] == errors[1]


def test_weights_that_overflow_end_the_run_after_their_epoch(ahead: list[int]) -> None:
    errors = []
    for callbacks in ([], [Hears()]):
        model = bp.Model(
            nn.Linear(6, 2), "mse", optim.SGD(lr=optim.schedules.step(1e-3, 101, 1e60)), dtype="float32"
        )
        with pytest.raises(bp.NonFiniteError, match="overflowed") as caught:
            model.fit(X[:1], Y[:1], epochs=1000, batch_size=1, callbacks=callbacks)
        errors.append((str(caught.value), len(model.engine.last_run.history.epoch)))  # type: ignore[union-attr]
    assert ahead
    assert errors[0] == errors[1]


def test_a_run_that_left_goes_on_with_the_same_bits(ahead: list[int]) -> None:
    whole, parts = classifier("auto"), classifier("auto")
    history = whole.fit(X, LABELS, epochs=3000, batch_size=8)
    calls = 0

    def leave() -> bool:
        nonlocal calls
        calls += 1
        return calls % 3 == 0

    parts.engine.leave = leave
    found = parts.fit(X, LABELS, epochs=3000, batch_size=8)
    while len(found.epoch) < 3000:
        found = parts.fit(X, LABELS, epochs=3000, resume=True)
    assert calls > 3
    assert found.history == history.history
    assert digest(parts) == digest(whole)


def test_epochs_that_ask_for_python_are_run_one_by_one(ahead: list[int]) -> None:
    regressor("auto").fit(X, Y, epochs=EPOCHS, validation_split=0.2)
    bp.Model(nn.Linear(6, 2), lambda pred, y: (float(((pred - y) ** 2).mean()), (pred - y) / 26)).fit(
        X, Y, epochs=EPOCHS
    )
    classifier("auto").fit(X, LABELS, epochs=EPOCHS, sampler="balanced")
    regressor("auto").fit(X, Y, epochs=loops.FEW)
    assert not ahead


@needs_linux
@pytest.mark.parametrize("how", ["stop", "raise"])
def test_a_handler_of_a_signal_acts_between_two_calls(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, whole = regressor("auto"), regressor("auto")
    seen: list[tuple[int, int]] = []

    def handle(number: int, frame: Any) -> None:
        run = model.engine.last_run
        assert run is not None
        seen.append((model.epoch, len(run.history.epoch)))
        if how == "raise":
            raise InterruptedError
        model.stop_training = True

    monkeypatch.setattr(loops, "SLICE_SECONDS", 0.01)
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    began = time.monotonic()
    try:
        with pytest.raises(InterruptedError) if how == "raise" else nullcontext():
            model.fit(X, Y, epochs=10**8, batch_size=8)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 5
    assert seen == [(model.epoch, model.epoch)]
    assert int(model.engine.step_count[0]) == 4 * model.epoch
    whole.fit(X, Y, epochs=model.epoch, batch_size=8)
    assert digest(whole) == digest(model)

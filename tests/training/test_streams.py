"""Streams: state that goes on from batch to batch, in training, evaluation, checkpoints and sessions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn, optim
from helpers.backends import BACKENDS

VOCABULARY = 7


class Characters(nn.Module):
    def __init__(self, kind: str = "LSTM", layers: int = 2) -> None:
        super().__init__()
        self.table = nn.Parameter(np.random.default_rng(0).standard_normal((VOCABULARY, 5)))
        self.rnn = getattr(nn, kind)(5, 9, layers)
        self.out = nn.Linear(9, VOCABULARY)

    def forward(self, x: Any) -> Any:
        return self.out(self.rnn(F.embedding(x, self.table))[0])


def model_of(kind: str = "LSTM", on: str = "numpy", **options: Any) -> bp.Model:
    model = bp.Model(Characters(kind), "cross_entropy", optim.Adam(lr=0.01), **options)
    # Where an instruction set is forced, it is the only backend.
    model.backend = BACKENDS[on] if on in BACKENDS else next(iter(BACKENDS.values()))
    return model


def text(length: int = 500) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (np.cumsum(rng.integers(0, 3, length)) % VOCABULARY).astype(np.int64)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("on", [*BACKENDS])
def test_a_network_that_learns_nothing_reads_streams_as_whole_sequences(kind: str, on: str) -> None:
    """What evaluation gives batch by batch is what the whole streams give at once."""
    model, streams = model_of(kind, on), bp.Streams(text(), batch=4, steps=10)
    count = streams.batches * streams.steps
    length = len(streams.X) // streams.batch
    whole = np.stack([streams.X[i * length : i * length + count] for i in range(4)])
    targets = np.stack([streams.y[i * length : i * length + count] for i in range(4)])
    together, batch_by_batch = model.evaluate(whole, targets), model.evaluate(streams)
    assert batch_by_batch["loss"] == pytest.approx(together["loss"], rel=1e-6)
    assert batch_by_batch["accuracy"] == pytest.approx(together["accuracy"], rel=1e-12)
    model.optimizer.lr = 0.0
    history = model.fit(streams, epochs=2)
    assert history.history["loss"] == pytest.approx([together["loss"]] * 2, rel=1e-6)
    session = model.session(batch=4)
    stepped = np.stack([session.step(whole[:, t]) for t in range(count)], axis=1)
    assert np.allclose(stepped, model.predict(whole), atol=1e-6)


def test_training_is_that_of_states_given_by_hand() -> None:
    """Against a network that takes the states as inputs and gives them as outputs."""

    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Characters("GRU", 1)

        def forward(self, x: Any, h: Any) -> Any:
            y, last = self.inner.rnn(F.embedding(x, self.inner.table), h.transpose(0, 1))
            return {"y": self.inner.out(y), "h": last.transpose(0, 1).detach()}

    carried = bp.Model(Characters("GRU", 1), "cross_entropy", optim.SGD(lr=0.5), dtype="float64")
    by_hand = bp.Model(ByHand(), {"y": "cross_entropy", "h": "mse"}, optim.SGD(lr=0.5), dtype="float64")
    by_hand.load_state_dict({f"inner.{key}": value for key, value in carried.state_dict().items()})
    streams = bp.Streams(text(), batch=3, steps=8)
    carried.fit(streams)
    state = np.zeros((3, 1, 9))
    X, y = streams.rows(streams.X), streams.rows(streams.y)
    for batch in range(streams.batches):
        rows = slice(3 * batch, 3 * batch + 3)
        following = by_hand.predict({"x": X[rows], "h": state})["h"]
        by_hand.step({"x": X[rows], "h": state}, {"y": y[rows], "h": following})
        state = following
    for key, value in carried.state_dict().items():
        assert np.allclose(value, by_hand.state_dict()[f"inner.{key}"], rtol=1e-9, atol=1e-12), key

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch + 1 >= self.step:
            self.model.stop_training = True


@pytest.mark.parametrize("on", [*BACKENDS])
def test_resume_within_an_epoch_goes_on_with_the_state(on: str, tmp_path: Path) -> None:
    streams = bp.Streams(text(2000), batch=4, steps=10)
    whole = model_of(on=on)
    whole.fit(streams, epochs=2)
    part = model_of(on=on)
    part.fit(streams, epochs=2, max_seconds=0)
    part.save(tmp_path / "run.safetensors")
    loaded = bp.load(tmp_path / "run.safetensors", net=Characters())
    loaded.backend = BACKENDS[on]
    assert 0 < loaded.engine.last_run.position.rows < streams.batches * 4
    assert any(array.any() for array in loaded.engine.last_run.carried.arrays.values())
    loaded.fit(streams, epochs=2, resume=True)
    for key, value in whole.state_dict().items():
        assert np.array_equal(value, loaded.state_dict()[key]), key


def test_a_state_that_is_not_finite_is_no_checkpoint(tmp_path: Path) -> None:
    model = model_of()
    model.fit(bp.Streams(text(2000), batch=4, steps=10), epochs=2, max_seconds=0)
    for array in model.engine.last_run.carried.arrays.values():
        array[0] = np.nan
    with pytest.raises(bp.CheckpointError, match="carried"):  # what is written is read again
        model.save(tmp_path / "run.safetensors")


def test_threads_do_not_change_the_bits() -> None:
    if "native" not in bp.available_backends():
        pytest.skip("native is missing")
    states = []
    for threads in (1, 2, 3):
        model = bp.Model(Characters(), "cross_entropy", optim.Adam(lr=0.01), threads=threads)
        model.fit(bp.Streams(text(3000), batch=33, steps=10), epochs=2)
        states.append(model.state_dict())
    for state in states[1:]:
        assert all(np.array_equal(value, state[key]) for key, value in states[0].items())


def test_sessions_keep_reset_and_fork() -> None:
    model = model_of()
    ids = text(30)
    one, other = model.session(), model.session()
    whole = model.predict(ids[None])
    assert np.allclose(one.read(ids[None]), whole, atol=1e-6)
    other.read(ids[None, :10])
    fork = other.fork()
    assert np.allclose(fork.read(ids[None, 10:]), whole[:, 10:], atol=1e-6)
    assert np.allclose(other.read(ids[None, 10:]), whole[:, 10:], atol=1e-6)
    other.reset()
    assert np.allclose(other.read(ids[None]), whole, atol=1e-6)
    pair = model.session(batch=2)
    pair.step([1, 2])
    pair.reset(1)
    assert all(array[0].any() and not array[1].any() for array in pair.carried.values())
    before = model.session().step([3])
    model.step(ids[None, :-1], ids[None, 1:])
    assert not np.array_equal(model.session().step([3]), before)


def test_generate_goes_on() -> None:
    model = model_of()
    model.fit(bp.Streams((np.arange(4000) % VOCABULARY), batch=8, steps=20), epochs=15)
    assert model.generate([2, 3], 9, temperature=0).tolist() == [2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5]
    many = model.generate([[2, 3], [5, 6]], 3, temperature=0)
    assert many.tolist() == [[2, 3, 4, 5, 6], [5, 6, 0, 1, 2]]
    assert np.array_equal(model.generate([1], 20, seed=4), model.generate([1], 20, seed=4))
    assert np.array_equal(model.generate([1], 5, top_k=1), model.generate([1], 5, temperature=0))
    assert np.array_equal(model.generate([1], 5, top_p=1e-9), model.generate([1], 5, temperature=0))
    assert len(model.generate([1, 2], 0)) == 2


def test_what_is_drawn_has_the_probabilities_of_the_network() -> None:
    model = model_of()
    logits = model.predict([[3]])[0, -1]
    for temperature, top_k, top_p in ((1.0, None, None), (0.5, None, None), (1.0, 3, None), (2.0, None, 0.6)):
        want = np.exp((logits - logits.max()).astype(float) / temperature)
        if top_k:
            want[np.argsort(want)[:-top_k]] = 0
        if top_p:
            order = np.argsort(-want)
            share = np.cumsum(want[order]) / want.sum()
            want[order[1:][share[:-1] >= top_p]] = 0
        drawn = model.generate(np.full((4000, 1), 3), 1, temperature, top_k, top_p, seed=1)[:, 1]
        counts = np.bincount(drawn, minlength=VOCABULARY) / 4000
        assert np.abs(counts - want / want.sum()).max() < 0.03
        assert not counts[want == 0].any()


def test_generate_of_a_network_without_state_reads_its_window_again() -> None:
    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(np.random.default_rng(0).standard_normal((VOCABULARY, 4)))

        def forward(self, x: Any) -> Any:
            return (F.embedding(x, self.table) @ self.table.transpose(0, 1)).mean(1)

    model = bp.Model(Window(), "cross_entropy")
    got = model.generate([1, 2, 3], 4, temperature=0, window=2)
    for at in range(3, 7):
        assert got[at] == model.predict(got[None, at - 2 : at])[0].argmax()


def test_a_network_that_attends_generates_as_from_whole_sequences_and_a_session_of_it_asks_for_a_window() -> (
    None
):
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.rnn = nn.Embedding(VOCABULARY, 8), nn.GRU(8, 8)
            self.attention, self.out = nn.MultiheadAttention(8, 2), nn.Linear(8, VOCABULARY)

        def forward(self, x: Any) -> Any:
            h = self.rnn(self.table(x))[0]
            return self.out(h + self.attention(h, h, h, is_causal=True, need_weights=False)[0])

    model = bp.Model(Both(), "cross_entropy")
    got = model.generate([1, 2], 4, temperature=0)
    for at in range(2, 6):
        assert got[at] == model.predict(got[None, :at])[0, -1].argmax()
    with pytest.raises(ValueError, match="attends to earlier steps"):
        model.session().read(got[None])


REFUSED = [
    (lambda: bp.Streams(np.zeros(10), batch=1, steps=2), "y is None, but X is float64"),
    (lambda: bp.Streams(np.arange(10), batch=0), "batch is 0"),
    (lambda: bp.Streams(np.arange(10), batch=5, steps=2), "expected at least batch · steps = 10"),
    (lambda: bp.Streams(np.zeros((10, 2)), np.zeros(9), batch=1, steps=2), "y has 9 steps, but X has 10"),
    (lambda: model_of().fit(bp.Streams(text(), batch=2), validation_split=0.1), "validation_split is 0.1, but X are Streams"),
    (lambda: model_of().fit(bp.Streams(text(), batch=2), group_by_length=True), "group_by_length is True, but X are Streams"),
    (lambda: model_of().fit(bp.Streams(text(), batch=2), batch_size=3), "batch_size is 3, but X are Streams"),
    (lambda: model_of().fit(bp.Streams(text(), batch=2), text()), "expected targets in them"),
    (lambda: model_of().fit(bp.Streams(text() + VOCABULARY, batch=2)), "expected 0 to 6"),
    (lambda: model_of().session(batch=0), "batch is 0"),
    (lambda: model_of().session().step([7]), "7"),
    (lambda: model_of().session().step([-1]), "-1"),
    (lambda: model_of().session().step([1, 2]), "expected (1, ...)"),
    (lambda: model_of().session().read([1, 2]), "expected (1, steps, ...)"),
    (lambda: model_of().generate([0.5], 3), "expected integers (T,)"),
    (lambda: model_of().generate([], 3), "expected integers (T,)"),
    (lambda: model_of().generate([1], -1), "steps is -1"),
    (lambda: model_of().generate([1], 3, temperature=-1), "temperature is -1"),
    (lambda: model_of().generate([1], 3, top_k=0), "top_k is 0"),
    (lambda: model_of().generate([1], 3, top_p=2), "top_p is 2"),
    (lambda: model_of().generate([9], 3), "9"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)


def test_a_network_that_reads_from_the_end_carries_no_state() -> None:
    model = bp.Model(nn.Sequential(nn.GRU(2, 3, bidirectional=True), nn.Linear(6, 1)), "mse")
    with pytest.raises(ValueError, match="no state goes on"):
        model.fit(bp.Streams(np.zeros((100, 2)), np.zeros((100, 1)), batch=2, steps=5))

"""Sessions of networks that attend: keys and values of earlier steps are kept, positions count on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from backpass.cli.token_workloads import gpt
from helpers.backends import BACKENDS

VOCABULARY, WIDTH, WINDOW = 11, 8, 9


class Rotary(nn.Module):
    """Heads of a projection, turned by their positions."""

    def __init__(self, interleaved: bool = False) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.positions = nn.RotaryPositions(4, WINDOW, interleaved=interleaved)

    def forward(self, x: Any) -> Any:
        N, T, _ = x.shape
        q, k, v = (part.view(N, T, 2, 4).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(self.positions(q), self.positions(k), v, is_causal=True)
        return x + self.out(y.transpose(1, 2).reshape(N, T, WIDTH))


class Hybrid(nn.Module):
    """A recurrent layer below an attention whose weights are asked for, as they are by default, and left."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.attention = nn.LSTM(WIDTH, WIDTH), nn.MultiheadAttention(WIDTH, 2, kdim=WIDTH)

    def forward(self, x: Any) -> Any:
        h = self.rnn(x)[0]
        return h + self.attention(h, h, h, is_causal=True)[0]


class ByHand(nn.Module):
    """Positions as a user writes them: a lookup of 0 to T - 1, a fixed table, waves that the network computes."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Embedding(WINDOW, WIDTH)
        self.fixed = np.random.default_rng(5).standard_normal((WINDOW, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 4, causal=True)

    def forward(self, x: Any) -> Any:
        T = x.shape[1]
        waves = self.places.weight[:1] * bp.arange(T).reshape(T, 1)
        x = (
            x
            + self.places(bp.arange(T))
            + self.fixed[:T]
            + waves.sin()
            + bp.cat([waves, waves], -1)[:, :WIDTH]
        )
        return x * self.attention(x, x, x, need_weights=False)[0]


def encoder(norm_first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 12, dropout=0.1, norm_first=norm_first, causal=True)
    return nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH))


def tokens(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Embedding(VOCABULARY, WIDTH), *layers, nn.Linear(WIDTH, VOCABULARY))


NETS: dict[str, Callable[[], nn.Module]] = {
    "pre-norm, learned positions": lambda: tokens(nn.PositionalEmbedding(WINDOW, WIDTH), encoder(True)),
    "post-norm, sinusoidal positions": lambda: tokens(nn.SinusoidalPositions(WIDTH, WINDOW), encoder(False)),
    "rotary positions": lambda: tokens(Rotary(), Rotary(interleaved=True)),
    "recurrent and attending": lambda: tokens(Hybrid()),
    "positions by hand": lambda: tokens(ByHand()),
    "rows of a parameter": lambda: gpt(2, 2, 8, WINDOW)(nn),
}


def model_of(net: nn.Module, on: str = next(iter(BACKENDS)), **options: Any) -> bp.Model:
    model = bp.Model(net, "cross_entropy", **options)
    model.backend = BACKENDS[on]
    return model


def ids_of(rows: int, steps: int = WINDOW) -> np.ndarray:
    return np.random.default_rng(steps).integers(0, VOCABULARY, (rows, steps))


def stepped(session: Any, ids: np.ndarray) -> np.ndarray:
    return np.stack([session.step(ids[:, t]) for t in range(ids.shape[1])], axis=1)


# Every network on the fastest backend; the others differ in ops alone, which have tests of parity.
FASTEST = next(iter(BACKENDS))
PLACES = [(FASTEST, name) for name in NETS] + [
    (on, name) for on in BACKENDS for name in ("rotary positions", "rows of a parameter") if on != FASTEST
]


@pytest.mark.parametrize(("on", "name"), PLACES)
def test_steps_are_those_of_whole_sequences(on: str, name: str) -> None:
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
        model, ids = model_of(NETS[name](), on, dtype=dtype), ids_of(3)
        whole = model.predict(ids)
        scale = np.abs(whole).max()
        session = model.session(batch=3, window=WINDOW)
        assert np.abs(stepped(session, ids) - whole).max() <= tolerance * scale
        session.reset()
        read = np.concatenate(
            [session.read(ids[:, :4]), session.read(ids[:, 4:5]), session.read(ids[:, 5:])], 1
        )
        assert np.abs(read - whole).max() <= tolerance * scale
        # Sequences that are shorter than the window.
        session.reset()
        assert np.abs(stepped(session, ids[:, :5]) - model.predict(ids[:, :5])).max() <= tolerance * scale


@pytest.mark.parametrize("name", [*NETS])
def test_generate_writes_what_it_wrote_without_a_cache(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after the window slides, greedy and drawn."""
    model = model_of(NETS[name]())
    asked: list[dict[str, Any]] = [
        {"temperature": 0}, {"temperature": 0.8, "top_k": 5, "seed": 3}, {"top_p": 0.7, "seed": 4}
    ]  # fmt: skip
    prompts = [ids_of(2, 3), ids_of(1, WINDOW + 4)]

    def written() -> list[np.ndarray]:
        return [model.generate(ids, 12, window=WINDOW, **options) for ids in prompts for options in asked]

    cached = written()
    monkeypatch.setattr("backpass.engine.reader.Reader._session", lambda *given: None)
    for got, want in zip(cached, written(), strict=True):
        assert np.array_equal(got, want)


def test_a_longer_stride_reads_less_of_the_window_again() -> None:
    model = model_of(NETS["pre-norm, learned positions"]())
    got = model.generate([1, 2], 22, temperature=0, stride=4)
    first = 0
    for at in range(2, 24):
        first += 4 if at - first > WINDOW else 0
        assert got[at] == model.predict(got[None, first:at])[0, -1].argmax()


def test_forks_go_on_by_themselves_and_states_can_be_put_back() -> None:
    model, ids = model_of(NETS["recurrent and attending"]()), ids_of(2)
    whole = model.predict(ids)
    session = model.session(batch=2, window=WINDOW)
    session.read(ids[:, :4])
    kept, fork = {name: array.copy() for name, array in session.carried.items()}, session.fork()
    assert session.steps == fork.steps == 4
    for other in (session, fork):
        assert np.allclose(other.read(ids[:, 4:]), whole[:, 4:], atol=1e-6)
    for name, array in session.carried.items():
        array[...] = kept[name]
    assert session.steps == 4
    assert np.allclose(session.read(ids[:, 4:]), whole[:, 4:], atol=1e-6)


def test_a_session_sees_weights_as_they_are_and_layers_that_change() -> None:
    model, ids = model_of(NETS["rows of a parameter"]()), ids_of(1)
    session = model.session(window=WINDOW)
    stepped(session, ids)
    model.step(ids[:, :-1], ids[:, 1:])
    session.reset()
    assert np.allclose(stepped(session, ids), model.predict(ids), atol=1e-5)


def test_an_output_of_the_last_step_alone() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = NETS["pre-norm, learned positions"]()

        def forward(self, x: Any) -> Any:
            return self.net(x)[:, -1]

    model, ids = model_of(Last()), ids_of(2)
    session = model.session(batch=2)
    for end in range(1, WINDOW + 1):
        assert np.allclose(session.step(ids[:, end - 1]), model.predict(ids[:, :end]), atol=1e-6)


def test_sequences_of_numbers_through_batch_normalisation() -> None:
    class Numbers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inputs, self.norm, self.encoder = nn.Linear(3, WIDTH), nn.BatchNorm1d(WIDTH), encoder(True)

        def forward(self, x: Any) -> Any:
            return self.encoder(self.norm(self.inputs(x).transpose(1, 2)).transpose(1, 2), is_causal=True)

    model = bp.Model(Numbers(), "mse")
    x = np.random.default_rng(0).standard_normal((2, WINDOW, 3))
    assert np.allclose(stepped(model.session(2, WINDOW), x), model.predict(x), atol=1e-5)


def test_positions_of_a_recurrent_network_count_on() -> None:
    net = tokens(nn.PositionalEmbedding(WINDOW, WIDTH), nn.GRU(WIDTH, WIDTH))
    model, ids = model_of(net), ids_of(2)
    assert np.allclose(stepped(model.session(batch=2), ids), model.predict(ids), atol=1e-6)


class Causal(nn.Module):
    """A causal attention and something else behind or before it."""

    def __init__(self, before: Any = None, behind: Any = None, **given: Any) -> None:
        super().__init__()
        self.before, self.behind = before, behind
        self.attention, self.given = nn.MultiheadAttention(WIDTH, 2), {"is_causal": True} | given
        self.rnn = nn.GRU(WIDTH, WIDTH // 2, bidirectional=True)

    def forward(self, x: Any) -> Any:
        x = x if self.before is None else self.before(self, x)
        given = {k: v(x.shape[1]) if callable(v) else v for k, v in self.given.items()}
        y = self.attention(x, x, x, need_weights=False, **given)[0]
        return y if self.behind is None else self.behind(self, y)


class Weighing(nn.Module):
    """What makes numbers of the weights of an attention, by heads, is multiplied with its output."""

    def __init__(self, made: Any, alone: bool = False) -> None:
        super().__init__()
        self.made, self.alone = made, alone
        self.attention = nn.MultiheadAttention(WIDTH, 2, causal=True)

    def forward(self, x: Any) -> Any:
        y, weights = self.attention(x, x, x, average_attn_weights=False)
        made = self.made(weights).transpose(1, 2).mean(-1, keepdim=True)
        return made.expand(*y.shape) if self.alone else y * made


def shifted(x: Any, steps: int) -> Any:
    return bp.cat([np.zeros((x.shape[0], steps, WIDTH), np.float32), x], 1)[:, : x.shape[1]]


def causal_mask(steps: int) -> np.ndarray:
    return np.triu(np.ones((steps, steps), bool), 1)


REFUSED = {
    "not causal": (lambda: Causal(is_causal=False), "elements of several steps meet"),
    "mask": (lambda: Causal(attn_mask=causal_mask), "expected is_causal=True alone"),
    "mean over time": (lambda: Causal(behind=lambda _, y: y + y.mean(1, keepdim=True)), "computes something else"),
    "turned": (lambda: Causal(before=lambda _, x: x[:, ::-1]), "not those of the same steps"),
    "turned behind": (lambda: Causal(behind=lambda _, y: y[:, ::-1]), "that of other steps"),
    "first step": (lambda: Causal(behind=lambda _, y: y[:, 0]), "that of other steps"),
    "share of a length": (lambda: Causal(behind=lambda _, y: y / y.shape[1]), "computes something else"),
    "from the end": (lambda: Causal(before=lambda self, x: self.rnn(x)[0]), "from their end"),
    "products of steps": (
        lambda: Causal(behind=lambda _, y: (y @ y.transpose(1, 2)).softmax(-1) @ y), "several steps meet",
    ),
    "a sum over steps, by hand": (
        lambda: Causal(before=lambda _, x: bp.cat([x[:, :1], x[:, :-1]], 1)), "not those of the same steps",
    ),
    "a shift by three": (lambda: Causal(behind=lambda _, y: y + shifted(y, 3)), "elements of several steps meet"),
    "a shift by all but one": (
        lambda: Causal(behind=lambda _, y: y + shifted(y, WINDOW - 1)), "elements of several steps meet",
    ),
    "factors by step": (
        lambda: Causal(behind=lambda _, y: bp.cat([y[:, :4] * 1.5, y[:, 4:] * 2], 1)), "computes something else",
    ),
    "the smallest weight": (lambda: Weighing(lambda w: w.min(-1)[0]), "the weights of an attention are read"),
    "exponentials of weights": (lambda: Weighing(lambda w: w.exp().sum(-1)), "the weights of an attention are read"),
    "weights alone": (lambda: Weighing(lambda w: w[..., -1], alone=True), "the weights of an attention are read"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*REFUSED])
def test_what_needs_other_steps_is_refused_by_its_layer(name: str) -> None:
    made, expected = REFUSED[name]
    model = model_of(tokens(made()))
    with pytest.raises(ValueError, match=r"^session: ") as error:
        model.session(window=WINDOW).step([1])
    assert expected in str(error.value)
    # generate reads all of it again.
    got = model.generate([1, 2], 2, temperature=0)
    assert got[3] == np.asarray(model.predict(got[None, :3])).reshape(-1, VOCABULARY)[-1].argmax()


def test_errors_of_windows() -> None:
    learned, free = model_of(NETS["pre-norm, learned positions"]()), model_of(tokens(Causal()))
    session = learned.session(batch=2)
    assert session.window == WINDOW
    session.read(ids_of(2))
    with pytest.raises(
        ValueError, match="x is the steps from 9 to 9, expected at most 9, which is window; reset"
    ):
        session.step([1, 2])
    session.reset()
    assert session.step([1, 2]).shape == (2, VOCABULARY)
    with pytest.raises(ValueError, match="all sequences of a session with a window are at the same step"):
        session.reset(1)
    session.carried["steps"][0] = -3
    with pytest.raises(ValueError, match="from -3 to -3"):
        session.step([1, 2])
    with pytest.raises(ValueError, match="window is 10, but the network takes fewer steps"):
        learned.session(window=10).step([1])
    with pytest.raises(ValueError, match="give window, the most steps"):
        free.session().step([1])
    assert free.session(window=3).step([1]).shape == (1, VOCABULARY)
    with pytest.raises(ValueError, match="window is 0"):
        free.session(window=0)
    for stride in (0, WINDOW + 1):
        with pytest.raises(ValueError, match=f"stride is {stride}"):
            learned.generate([1], 3, stride=stride)


def test_an_attribute_of_a_network_is_no_number_of_positions() -> None:
    class Own(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.max_len = inner, 3

        def forward(self, x: Any) -> Any:
            return self.inner(x)

    recurrent = model_of(Own(tokens(nn.GRU(WIDTH, WIDTH)))).session()
    assert recurrent.window is None
    assert recurrent.read(ids_of(1, 7)).shape == (1, 7, VOCABULARY)
    assert model_of(Own(NETS["pre-norm, learned positions"]())).session().window == WINDOW

"""Attention: padding that is poisoned, rows without keys, threads, dropout, initial weights, and a task that needs it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn, optim
from backpass.backends import Backend
from backpass.ops.contract import REGISTRY
from backpass.program.builder import call
from helpers.backends import once
from helpers.nets import on
from helpers.refusals import refused

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 7, 12))
LENGTHS = np.array([7, 3, 0, 1, 5, 7])
COUNTED = np.arange(7) < LENGTHS[:, None]


def networks() -> dict[str, Any]:
    """Networks that look along the steps."""
    layer = nn.TransformerEncoderLayer(12, 3, 16, dropout=0.0, activation="gelu")
    first = nn.TransformerEncoderLayer(12, 2, 16, dropout=0.0, norm_first=True, causal=True)
    return {
        "attention": nn.MultiheadAttention(12, 4),
        "causal": nn.MultiheadAttention(12, 4, causal=True),
        "layer": layer,
        "layers": nn.Sequential(first, layer),
        "encoder": nn.TransformerEncoder(first, 2, nn.LayerNorm(12)),
    }


def model(name: str, backend: Backend, dtype: str = "float64", **more: Any) -> bp.Model:
    return on(backend, bp.Model(networks()[name], "mse", optim.SGD(0.1), dtype=dtype, seed=1, **more))


@pytest.mark.parametrize("poison", [1e30, np.nan])
@pytest.mark.parametrize("name", networks())
def test_padding_is_not_read(name: str, poison: float, backend: Backend) -> None:
    """Nothing but padding depends on what stands behind the lengths, to the bit; nor do the trained weights."""
    clean, poisoned = np.where(COUNTED[..., None], X, 0.0), np.where(COUNTED[..., None], X, poison)
    ours, other = model(name, backend), model(name, backend)
    a, b = (m.forward(x, lengths=LENGTHS) for m, x in ((ours, clean), (other, poisoned)))
    assert np.array_equal(a[COUNTED], b[COUNTED])
    y = np.zeros_like(X)
    losses = [
        [m.step(x, y, lengths=LENGTHS) for _ in range(3)] for m, x in ((ours, clean), (other, poisoned))
    ]
    assert losses[0] == losses[1]
    for key, value in ours.state_dict().items():
        assert np.array_equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize("name", networks())
def test_a_row_with_padding_is_the_row_alone(name: str, backend: Backend) -> None:
    net = model(name, backend)
    whole = net.predict(X, lengths=LENGTHS)
    for i, length in enumerate(LENGTHS):
        if length:
            alone = net.predict(X[i : i + 1, :length])
            assert np.array_equal(whole[i : i + 1, :length], alone) or backend.name != "native"
            np.testing.assert_allclose(whole[i : i + 1, :length], alone, rtol=1e-12, atol=1e-12)


def test_keys_that_nobody_uses_may_be_anything(backend: Backend) -> None:
    """0 times NaN: of a mask by booleans, forward and backward."""
    mask = np.zeros((5, 7), bool)
    mask[:, [1, 6]] = True

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(12, 3)

        def forward(self, x: Any, memory: Any) -> Any:
            return self.attention(x, memory, memory, attn_mask=mask, need_weights=False)[0]

    outputs = []
    for poison in (0.0, np.nan):
        memory = np.where(mask[0][:, None], poison, X)
        net = on(backend, bp.Model(Masked(), dtype="float64", seed=1))
        outputs.append(net.predict({"x": X[:, :5], "memory": memory}))
    assert np.isfinite(outputs[0]).all()
    np.testing.assert_array_equal(*outputs)


def test_many_keys_behind_a_gap_of_the_mask(backend: Backend) -> None:
    """A product over keys behind a gap is added to the one before it, block by block of its own keys."""
    q, k, v = (RNG.standard_normal((1, size, 1, 8)) for size in (3, 700, 700))
    mask = np.zeros((1, 1, 3, 700))
    mask[..., 10:20] = mask[..., 300:301] = -np.inf
    y, probabilities = np.zeros((1, 3, 1, 8)), np.zeros((1, 1, 3, 700))
    op = REGISTRY["attention_forward"]
    fields = {"q": q, "k": k, "v": v, "mask": mask, "y": y, "probabilities": probabilities, "scale": 0.3}
    backend.call(op.name, **op.complete(fields))
    scores = np.exp(0.3 * (q[0, :, 0] @ k[0, :, 0].T) + mask[0, 0])
    expected = scores / scores.sum(-1, keepdims=True) @ v[0, :, 0]
    np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-12, atol=1e-13)


def test_queries_without_keys_give_the_last_bias(backend: Backend) -> None:
    net = model("attention", backend)
    net.load_state_dict(net.state_dict() | {"out_proj.bias": np.arange(12.0)})
    y = net.predict(X, lengths=LENGTHS)
    assert np.array_equal(y[2], np.broadcast_to(np.arange(12.0), (7, 12)))
    net.forward(X, training=True, lengths=np.zeros(6, int))
    net.backward(np.ones_like(X))
    assert all(not gradient.any() for gradient in net.gradients()[:2])


@pytest.mark.parametrize("steps", [1, 2, 63, 64, 65])
def test_lengths_of_a_sequence(steps: int, backend: Backend) -> None:
    """By numbers of NumPy; a width of 1, and as many heads as features."""
    x = RNG.standard_normal((3, steps, 4))
    for width, heads in ((4, 4), (4, 1)):
        net = on(backend, bp.Model(nn.MultiheadAttention(width, heads, causal=True), dtype="float64", seed=2))
        state = net.state_dict()
        qkv = x @ state["in_proj_weight"].T
        q, k, v = (part.reshape(3, steps, heads, -1).transpose(0, 2, 1, 3) for part in np.split(qkv, 3, -1))
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // heads)
        scores = np.where(np.tri(steps, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        y = (weights / weights.sum(-1, keepdims=True)) @ v
        want = y.transpose(0, 2, 1, 3).reshape(3, steps, width) @ state["out_proj.weight"].T
        np.testing.assert_allclose(net.predict(x), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keys", [5, 16, 29, 32, 64, 65])
def test_a_query_is_what_it_is_among_others(keys: int, dtype: str, causal: bool, backend: Backend) -> None:
    """Few queries take rows of scores one by one, more of them lie in the lanes of vectors where keys are few."""
    ops = {name: REGISTRY[f"attention_{name}"] for name in ("forward", "backward")}
    q, k, v, dy = (RNG.standard_normal((2, keys, 3, 8)).astype(dtype) for _ in range(4))

    def attend(queries: slice, most: int) -> dict[str, np.ndarray]:
        some, dout = np.ascontiguousarray(q[:, queries]), np.ascontiguousarray(dy[:, queries])
        P, y, dq = np.zeros((2, 3, some.shape[1], most), dtype), np.zeros_like(some), np.zeros_like(some)
        kept = {"k": k[:, :most], "v": v[:, :most], "probabilities": P, "scale": 0.4, "causal": causal}
        backend.compile([
            call(ops["forward"], q=some, y=y, **kept), call(ops["backward"], q=some, dy=dout, dq=dq, **kept)
        ]).run(1, 1)  # fmt: skip
        return {"y": y, "P": P.transpose(0, 2, 1, 3), "dq": dq}

    whole = attend(slice(0, keys), keys)
    # The first queries of causal attention are all that there is with so many keys.
    for count in (1, 3, 5, keys - 1):
        queries, most = (slice(0, count), count) if causal else (slice(keys - count, keys), keys)
        for name, value in attend(queries, most).items():
            expected = whole[name][:, queries]
            if name == "P":
                assert not expected[..., most:].any()
                expected = expected[..., :most]
            if "native" in backend.name:
                assert np.array_equal(value, expected), name
            else:
                np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


@once
def test_threads_change_no_bit() -> None:
    x, states = RNG.standard_normal((40, 30, 12)).astype(np.float32), []
    before = bp.get_num_threads()
    try:
        for threads in (1, 2, 3):
            bp.set_num_threads(threads)
            layer = nn.TransformerEncoderLayer(12, 3, 64, causal=True)
            net = bp.Model(nn.TransformerEncoder(layer, 2), "mse", optim.Adam(), seed=1)
            net.fit(x, np.flip(x, 1).copy(), epochs=2, batch_size=16)
            states.append(np.concatenate([value.ravel() for value in net.state_dict().values()]))
    finally:
        bp.set_num_threads(before)
    assert np.array_equal(states[0], states[1])
    assert np.array_equal(states[0], states[2])


class Weights(nn.Module):
    """The weights of an attention, beside its output."""

    def __init__(self, average: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 2, dropout)
        self.average = average

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x, average_attn_weights=self.average)


def test_dropout_of_the_weights(backend: Backend) -> None:
    """Half of them are 0 and the others twice as large while training; the mean over the heads is what PyTorch gives."""
    net = on(backend, bp.Model(Weights(average=False), dtype="float64", seed=3))
    _, plain = net.predict(X)
    assert plain.shape == (6, 2, 7, 7)
    np.testing.assert_allclose(plain.sum(-1), 1, rtol=1e-12)
    _, dropped = net.forward(X, training=True)
    kept = dropped != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_allclose(dropped[kept], 2 * plain[kept], rtol=1e-12)
    averaged = on(backend, bp.Model(Weights(), dtype="float64", seed=3))
    np.testing.assert_allclose(averaged.predict(X)[1], plain.mean(1), rtol=1e-12)


def test_gradients_with_dropout(backend: Backend) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights, self.last = Weights(), nn.Linear(12, 1)

        def forward(self, x: Any) -> Any:
            y, w = self.weights(x)
            y = y + F.scaled_dot_product_attention(y, x, y, dropout_p=0.3)
            return self.last(w @ y)

    net = on(backend, bp.Model(Net(), "mse", dtype="float64", seed=5))
    found = bp.gradcheck(net, X[:2], RNG.standard_normal((2, 7, 1)))
    assert found.worst_relative_error < 1e-6


@pytest.mark.torch
@once
def test_initial_weights_are_those_of_torch() -> None:
    state = bp.Model(nn.MultiheadAttention(64, 4), seed=0).state_dict()
    bounds = {"in_proj_weight": np.sqrt(6 / (4 * 64)), "out_proj.weight": 1 / np.sqrt(64)}
    for name, bound in bounds.items():
        assert 0.99 * bound < np.abs(state[name]).max() <= bound
        assert abs(state[name].std() * np.sqrt(3) / bound - 1) < 0.02
    assert not state["in_proj_bias"].any()
    assert not state["out_proj.bias"].any()
    layers = bp.Model(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8), 2)).state_dict()
    assert not np.array_equal(layers["layers.0.linear1.weight"], layers["layers.1.linear1.weight"])


@once
def test_settings_act_and_leave_the_weights() -> None:
    net = bp.Model(nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 3, 16, dropout=0.0), 2), seed=1)
    before, state = net.predict(X), net.state_dict()
    layer = net.net.layers[1]
    layer.causal = True
    assert not np.array_equal(net.predict(X), before)
    layer.causal = layer.norm_first = False
    assert np.array_equal(net.predict(X), before)
    layer.dropout = 0.5
    assert not np.array_equal(net.forward(X, training=True), before)
    assert layer.dropout1.p == layer.self_attn.dropout == 0.5
    layer.self_attn.dropout = 0.25
    assert np.array_equal(net.predict(X), before)
    for name in ("layer_norm_eps", "bias", "activation"):
        with pytest.raises(ValueError, match=name):
            setattr(layer, name, {"layer_norm_eps": 0.1, "bias": False, "activation": "gelu"}[name])
    assert all(np.array_equal(value, state[key]) for key, value in net.state_dict().items())


@once
def test_a_whole_network_is_saved(tmp_path: Path) -> None:
    layer = nn.TransformerEncoderLayer(12, 3, 16, activation=nn.SiLU(), norm_first=True, causal=True)
    net = bp.Model(nn.TransformerEncoder(layer, 2, nn.RMSNorm(12, eps=0.1)), seed=1)
    net.fit(X, X, lengths=LENGTHS)
    net.save(tmp_path / "run")
    loaded = bp.load(tmp_path / "run")
    assert repr(loaded.net) == repr(net.net)
    assert np.array_equal(loaded.predict(X), net.predict(X))


@once
def test_lengths_of_other_rows_are_refused() -> None:
    class Other(nn.Module):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.attention, self.steps = nn.MultiheadAttention(4, 1), steps

        def forward(self, x: Any) -> Any:
            y = bp.cat([x, x], 0).reshape(-1, self.steps, 4)
            return self.attention(y, y, y)[0].reshape(-1, 21, 4)[: x.shape[0]]

    X = np.zeros((6, 21, 4))
    with refused("lengths has", "a layer that reads them gets"):
        bp.Model(Other(21), backend="numpy").predict(X, lengths=LENGTHS)
    with refused("known for rows of [21] steps, but a layer reads those of rows of 7"):
        bp.Model(Other(7), backend="numpy").predict(X, lengths=LENGTHS)


class Reverse(nn.Module):
    """Learned positions and one attention: all that it takes to turn a sequence around."""

    def __init__(self, symbols: int, steps: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(RNG.standard_normal((symbols, width)))
        self.positions = nn.Parameter(RNG.standard_normal((steps, width)))
        self.layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, norm_first=True)
        self.last = nn.Linear(width, symbols)

    def forward(self, x: Any) -> Any:
        return self.last(self.layer(F.embedding(x, self.table) + self.positions))


@once
def test_it_turns_sequences_around() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 6, (640, 8))
    net = bp.Model(Reverse(6, 8, 32), "cross_entropy", optim.Adam(lr=3e-3), seed=0)
    net.fit(x[:512], x[:512, ::-1].copy(), epochs=15, batch_size=32)
    assert np.array_equal(net.predict(x[512:]).argmax(-1), x[512:, ::-1])

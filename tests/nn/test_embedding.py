"""Tables and positions: what is refused, initial values, integers of every kind, tables that are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import on

rng = np.random.default_rng(0)
V, E = 7, 4
IDS = rng.integers(0, V, (12, 3))
Y = rng.standard_normal((12, 2))


def model(*layers: Any, **settings: Any) -> bp.Model:
    """A table, what follows it, and a linear layer."""
    first = layers or (nn.Embedding(V, E),)
    net = nn.Sequential(*first, nn.Flatten(), nn.Linear(3 * E, 2))
    return bp.Model(net, "mse", optim.Adam(1e-2), dtype="float64", **settings)


# -- arguments --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Embedding(0, 4), "Embedding: num_embeddings is 0, expected an integer of at least 1"),
        (lambda: nn.Embedding(4, 2.5), "Embedding: embedding_dim is 2.5, expected"),
        (lambda: nn.Embedding(4, 2, 4), r"Embedding: padding_idx is 4, expected None or an integer in \[-4, 3\]"),
        (lambda: nn.Embedding(4, 2, -5), "padding_idx is -5"),
        (lambda: nn.Embedding(4, 2, True), "padding_idx is True"),
        (lambda: nn.Embedding(4, 2, max_norm=1.0), "Embedding has no argument 'max_norm': is not supported"),
        (lambda: nn.Embedding(4, 2, norm_type=1.0), "'norm_type': is not supported"),
        (lambda: nn.Embedding(4, 2, scale_grad_by_freq=True), "'scale_grad_by_freq': is not supported"),
        (lambda: nn.Embedding(4, 2, mask_zero=True), "'mask_zero': padding_idx=0 leaves row 0 out"),
        (lambda: nn.Embedding.from_pretrained(np.ones(3)), r"embeddings has shape \(3,\), expected"),
        (lambda: nn.Embedding.from_pretrained([["a"]]), "embeddings is .*, expected an array of numbers"),
        (lambda: nn.Embedding.from_pretrained(np.ones((3, 2)), freeze="x"), "Embedding: freeze is 'x'"),
        (lambda: nn.EmbeddingBag(4, 2, "median"), "EmbeddingBag: mode is 'median', expected one of"),
        (lambda: nn.EmbeddingBag(4, 2, include_last_offset=True), "'include_last_offset': is not supported: a bag is a row"),
        (lambda: nn.EmbeddingBag(4, 2, max_norm=1.0), "EmbeddingBag has no argument 'max_norm': is not supported"),
        (lambda: nn.FeatureTokenizer(-1, 4), "FeatureTokenizer: num_features is -1"),
        (lambda: nn.FeatureTokenizer(0, 4), "num_features is 0, expected at least one, or cardinalities"),
        (lambda: nn.FeatureTokenizer(2, 4, 5), "cardinalities is 5, expected a tuple"),
        (lambda: nn.FeatureTokenizer(2, 4, (5, 0)), "cardinalities is 0, expected an integer"),
        (lambda: nn.PositionalEmbedding(0, 4), "PositionalEmbedding: max_len is 0"),
        (lambda: nn.SinusoidalPositions(4, max_len=-1), "SinusoidalPositions: max_len is -1"),
        (lambda: nn.SinusoidalPositions(4, base=0.5), "SinusoidalPositions: base is 0.5"),
        (lambda: nn.RotaryPositions(5, 4), "RotaryPositions: dim is 5, expected an even number"),
        (lambda: nn.RotaryPositions(4, 4, interleaved="x"), "RotaryPositions: interleaved is 'x'"),
    ],
)  # fmt: skip
def test_arguments(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_what_does_not_fit() -> None:
    for layer in (nn.PositionalEmbedding(2, E), nn.SinusoidalPositions(E, 2), nn.RotaryPositions(E, 2)):
        with pytest.raises(
            ValueError, match=r"has shape \(batch, 3, 4\), expected \(batch, steps, 4\) with at most 2"
        ):
            model(nn.Embedding(V, E), layer).predict(IDS)
    with pytest.raises(ValueError, match=r"expected \(batch, steps, 5\)"):
        model(nn.Embedding(V, E), nn.PositionalEmbedding(3, 5)).predict(IDS)
    with pytest.raises(TypeError, match="index is float64, expected int64"):
        bp.Model(nn.Sequential(nn.Linear(3, 3), nn.Embedding(V, E)), dtype="float64").predict(np.ones((2, 3)))
    with pytest.raises(ValueError, match="expected one that is like"):
        nn.Linear(E, V + 1).weight = nn.Embedding(V, E).weight


# -- indices ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_of_every_kind(dtype: str, backend: Backend) -> None:
    ours, other = on(backend, model()), on(backend, model())
    ours.fit(IDS, Y, epochs=2, batch_size=5, progress=False)
    other.fit(IDS.astype(dtype), Y, epochs=2, batch_size=5, progress=False)
    assert np.array_equal(ours.predict(IDS), other.predict(IDS.astype(dtype)))


@pytest.mark.parametrize("wrong", [V, -1, 2**31, 2**31 + 2, 2**32 + 1, 2**62, -(2**63)])
def test_indices_outside_are_found_before_training(wrong: int) -> None:
    ours = model()
    before, bad = ours.state_dict(), IDS.copy()
    bad[5, 1] = wrong
    for call in (lambda: ours.fit(bad, Y), lambda: ours.step(bad, Y), lambda: ours.predict(bad)):
        with pytest.raises(ValueError, match=f"X holds {wrong} at row 5, position 1, expected 0 to 6"):
            call()
    assert all(np.array_equal(before[key], value) for key, value in ours.state_dict().items())


def test_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="X has dtype float64, expected integers"):
        model().fit(IDS.astype(float), Y)


@pytest.mark.parametrize("rows", [1, 2])
def test_small_tables(rows: int, backend: Backend) -> None:
    ours = on(backend, model(nn.Embedding(rows, E)))
    ids = IDS % rows
    assert ours.fit(ids, Y, epochs=3, progress=False).history["loss"][-1] < 10
    assert bp.gradcheck(ours, ids, Y).worst_relative_error < 1e-6


def test_one_index_many_times(backend: Backend) -> None:
    """10,000 summands for one row: the reference's order."""
    ids, net = np.full((2500, 4), 3), nn.Sequential(nn.Embedding(V, 5), nn.Flatten(), nn.Linear(20, 1))
    ours = on(backend, bp.Model(net, "mse", optim.SGD(0.1), dtype="float64"))
    before = ours.net[0].weight.copy()
    w, b = ours.net[2].weight.copy(), ours.net[2].bias.copy()
    y = rng.standard_normal((2500, 1))
    ours.step(ids, y)
    x = before[ids].reshape(2500, 20)
    gradient = np.zeros_like(before)
    np.add.at(gradient, ids.ravel(), (2 / 2500 * (x @ w.T + b - y) @ w).reshape(-1, 5))
    np.testing.assert_allclose(ours.net[0].weight, before - 0.1 * gradient, rtol=1e-10)
    assert np.array_equal(np.delete(ours.net[0].weight, 3, 0), np.delete(before, 3, 0))


def test_constants_within_forward() -> None:
    class Net(nn.Module):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.table, self.at, self.steps = nn.Embedding(V, E), nn.Embedding(3, E), steps

        def forward(self, x: Any) -> Any:
            return (self.table(x) + self.at(bp.arange(self.steps))).sum(1)

    fine = bp.Model(Net(3), "mse", dtype="float64")
    state = fine.state_dict()
    want = (state["table.weight"][IDS] + state["at.weight"]).sum(1)
    np.testing.assert_allclose(fine.predict(IDS), want, rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"Embedding\(3, 4\) was called with indices from 0 to 3, expected 0 to 2"
    ):
        bp.Model(Net(4), "mse").predict(IDS)


# -- tables -----------------------------------------------------------------------------------------------------------------


def test_initial_values() -> None:
    weight = bp.Model(nn.Sequential(nn.Embedding(2000, 50, padding_idx=-3)), seed=1).net[0].weight
    assert not weight[-3].any()
    others = np.delete(weight, -3, 0)
    assert abs(others.mean()) < 0.02
    assert abs(others.std() - 1) < 0.02


def test_padding_stays_zero(backend: Backend) -> None:
    ours = on(backend, model(nn.Embedding(V, E, padding_idx=2)))
    ours.fit(IDS, Y, epochs=5, progress=False)
    assert not ours.net[0].weight[2].any()
    assert ours.net[0].weight[[0, 1, 3]].all()


@pytest.mark.parametrize("row", [0, 2, V - 1])
def test_weight_decay_leaves_the_padding_alone(row: int, backend: Backend) -> None:
    """Here, not in PyTorch: a row that is not 0 stays what it is; the others are decayed."""
    table = rng.standard_normal((V, E))
    for optimizer in (optim.AdamW(1e-2, weight_decay=0.5), optim.SGD(0.1, momentum=0.9, weight_decay=0.1)):
        layer = nn.Embedding.from_pretrained(table, freeze=False, padding_idx=row)
        ours = on(
            backend, bp.Model(nn.Sequential(layer, nn.Flatten(), nn.Linear(3 * E, 2)), "mse", optimizer)
        )
        ours.fit(np.full((12, 3), row), Y, epochs=2, batch_size=5, progress=False)
        assert np.array_equal(layer.weight[row], table[row].astype("float32"))
        assert (np.delete(layer.weight, row, 0) != np.delete(table, row, 0).astype("float32")).all()


def test_from_pretrained(tmp_path: Path) -> None:
    table = rng.standard_normal((V, E))
    frozen = model(nn.Embedding.from_pretrained(table, padding_idx=1))
    assert np.array_equal(frozen.net[0].weight, table)
    frozen.fit(IDS, Y, epochs=2, progress=False)
    assert np.array_equal(frozen.net[0].weight, table)
    tuned = model(nn.Embedding.from_pretrained(table, freeze=False))
    tuned.fit(IDS, Y, epochs=2, progress=False)
    assert not np.array_equal(tuned.net[0].weight, table)
    frozen.save(tmp_path / "run")
    loaded = bp.load(tmp_path / "run")
    assert np.array_equal(loaded.predict(IDS), frozen.predict(IDS))
    loaded.fit(IDS, Y, epochs=1, progress=False)
    assert np.array_equal(loaded.net[0].weight, table)


def test_a_tied_table_is_one_parameter(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(V, E), nn.Linear(E, V, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x: Any) -> Any:
            return self.head(F.rotary(self.embed(x)))

    ours = bp.Model(Tied(), "cross_entropy", optim.AdamW(1e-2), dtype="float64")
    assert [name for name, _ in ours.named_parameters()] == ["embed.weight"]
    assert [*ours.state_dict()] == ["embed.weight", "head.weight"]
    assert f"{V * E} parameters" in str(ours.summary())
    ours.fit(IDS, IDS, epochs=3, progress=False)
    assert np.array_equal(ours.net.embed.weight, ours.net.head.weight)
    assert bp.gradcheck(ours, IDS[:4], IDS[:4]).worst_relative_error < 1e-6


# -- bags and tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_empty_bags_and_padding(mode: Any, backend: Backend) -> None:
    """As PyTorch gives it, and as F.embedding_bag does."""
    torch = pytest.importorskip("torch")
    ids = np.array([[2, 2, 2], [2, 1, 2], [0, 4, 1], [5, 5, 2]])

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(V, E)

        def forward(self, x: Any) -> Any:
            return F.embedding_bag(x, self.table.weight, mode=mode, padding_idx=2 - V)

    ours = on(backend, bp.Model(nn.EmbeddingBag(V, E, mode, padding_idx=2), "mse", dtype="float64"))
    ours.net.weight[2] = 9
    theirs = torch.nn.EmbeddingBag(V, E, mode=mode, padding_idx=2).double()
    theirs.load_state_dict({"weight": torch.from_numpy(ours.net.weight.copy())})
    want = theirs(torch.from_numpy(ids)).detach().numpy()
    np.testing.assert_allclose(ours.predict(ids), want, rtol=1e-12)
    assert not ours.predict(ids)[0].any()
    functional = on(backend, bp.Model(Functional(), "mse", dtype="float64"))
    functional.net.table.weight = ours.net.weight
    assert np.array_equal(functional.predict(ids), ours.predict(ids))
    y = np.ones((4, E))
    ours.fit(ids, y, epochs=2, progress=False)
    functional.fit(ids, y, epochs=2, progress=False)
    assert np.array_equal(functional.net.table.weight, ours.net.weight)
    assert (ours.net.weight[2] == 9).all()


def test_what_a_bag_refuses() -> None:
    with pytest.raises(ValueError, match=r"has shape \(batch, 3, 1\), expected \(batch, indices\)"):
        bp.Model(nn.EmbeddingBag(V, E)).predict(IDS[..., None])

    class Offsets(nn.Module):
        def __init__(self, **settings: Any) -> None:
            super().__init__()
            self.table, self.settings_of_bag = nn.Embedding(V, E), settings

        def forward(self, x: Any) -> Any:
            return F.embedding_bag(x, self.table.weight, **self.settings_of_bag)

    for settings, message in (
        ({"offsets": [0]}, r"offsets is \[0\], expected None"),
        ({"per_sample_weights": 1}, "per_sample_weights is 1"),
        ({"mode": "x"}, "mode is 'x'"),
        ({"padding_idx": V}, "padding_idx is 7"),
    ):
        with pytest.raises(ValueError, match=message):
            bp.Model(Offsets(**settings)).predict(IDS)


@pytest.mark.torch
def test_tokens_of_numbers_and_categories(tmp_path: Path, backend: Backend) -> None:
    torch_peer = pytest.importorskip("helpers.torch_peer")
    tokenizer = nn.FeatureTokenizer(4, E, (3, 5), cls_token=True)
    net = nn.Sequential(tokenizer, nn.Flatten(), nn.Linear(7 * E, 2))
    ours = on(backend, bp.Model(net, "mse", optim.Adam(1e-2), dtype="float64"))
    assert [*ours.state_dict()][:5] == [
        f"0.{k}" for k in ("weight", "bias", "cls", "tables.0.weight", "tables.1.weight")
    ]
    x = {"x": rng.standard_normal((12, 4)), "categories": rng.integers(0, [3, 5], (12, 2))}
    x["categories"][3, 1] = 4
    theirs = torch_peer.FeatureTokenizer(4, E, (3, 5), cls_token=True).double()
    state = {k[2:]: torch_peer.tensor(v) for k, v in ours.state_dict().items() if k.startswith("0.")}
    theirs.load_state_dict(state)
    tokens = theirs(*map(torch_peer.tensor, x.values())).detach().numpy()
    want = tokens.reshape(12, -1) @ net[2].weight.T + net[2].bias
    np.testing.assert_allclose(ours.predict(x), want, rtol=1e-12)
    ours.fit(x, Y, epochs=3, batch_size=5, progress=False)
    assert bp.gradcheck(ours, x, Y).worst_relative_error < 1e-6
    ours.save(tmp_path / "run")
    np.testing.assert_allclose(bp.load(tmp_path / "run").predict(x), ours.predict(x), rtol=1e-12)
    wrong = x | {"categories": x["categories"] + [0, 1]}
    row = int((wrong["categories"][:, 1] == 5).argmax())
    with pytest.raises(
        ValueError, match=rf"X\['categories'\] holds 5 at row {row}, position 1, expected 0 to 4"
    ):
        ours.predict(wrong)


# -- positions --------------------------------------------------------------------------------------------------------------


def test_no_keys() -> None:
    ours = bp.Model(nn.Sequential(nn.SinusoidalPositions(4, 9), nn.RotaryPositions(4, 9)))
    assert ours.state_dict() == {}
    shape = (2, 3, 5, 4)
    assert ours.predict(rng.standard_normal(shape)).shape == shape


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_scores_depend_on_distances(interleaved: bool) -> None:
    net = nn.RotaryPositions(6, 40, interleaved=interleaved)
    turned = bp.Model(net, dtype="float64").predict(np.tile(rng.standard_normal(6), (1, 2, 40, 1)))
    scores = turned[0, 0] @ turned[0, 1].T
    for k in range(-39, 40):
        diagonal = np.diagonal(scores, k)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-10)
    with pytest.raises(ValueError, match="an even number of features"):
        bp.Model(Rotary()).predict(np.ones((2, 3, 5)))


class Rotary(nn.Module):
    def forward(self, x: Any) -> Any:
        return F.rotary(x)

"""Inputs that hold indices: int64 from the user to the kernel, their range checked before anything is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional
from backpass import nn, optim
from backpass.backends import Backend

rng = np.random.default_rng(0)
ROWS, USERS, ITEMS = 30, 7, 11
USER, ITEM = rng.integers(0, USERS, ROWS), rng.integers(0, ITEMS, ROWS).astype(np.int32)
AGE = rng.standard_normal(ROWS)
Y = rng.standard_normal((ROWS, 1))
TABLES = {"users": rng.standard_normal((USERS, 4)), "items": rng.standard_normal((ITEMS, 4))}


def define(nn: Any, F: Any, torch: Any, parameter: Any) -> type[Any]:
    class Recommender(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.users, self.items = parameter(TABLES["users"]), parameter(TABLES["items"])
            self.head = nn.Linear(9, 1)

        def forward(self, user: Any, item: Any, age: Any) -> Any:
            u, i = F.embedding(user, self.users), self.items[item]
            return self.head(torch.cat([u, i, age], dim=1)) + (u * i).sum(dim=1, keepdim=True)

    return Recommender


Recommender = define(nn, backpass.nn.functional, bp, nn.Parameter)


def model(**settings: Any) -> bp.Model:
    return bp.Model(Recommender(), "mse", optim.Adam(1e-2), dtype="float64", **settings)


X = {"user": USER, "item": ITEM, "age": AGE[:, None]}


@pytest.mark.torch
def test_trains_as_in_torch(backend: Backend) -> None:
    torch = pytest.importorskip("torch")

    def parameter(values: np.ndarray) -> Any:
        return torch.nn.Parameter(torch.from_numpy(values.copy()))

    peer = define(torch.nn, torch.nn.functional, torch, parameter)().double()
    ours = model()
    ours.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    optimizer = torch.optim.Adam(peer.parameters(), 1e-2)
    for _ in range(20):
        out = peer(torch.from_numpy(USER), torch.from_numpy(ITEM).long(), torch.from_numpy(AGE[:, None]))
        loss = ((out - torch.from_numpy(Y)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.step(X, Y) == pytest.approx(loss.item(), rel=1e-10)


def test_every_way_to_give_them(tmp_path: Path) -> None:
    """A dict, a tuple, a frame, memory maps and chunks train to the same bits."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": AGE, "item": ITEM, "user": USER})
    np.save(tmp_path / "user.npy", USER)
    mapped = X | {"user": np.load(tmp_path / "user.npy", mmap_mode="r")}
    ways: list[Any] = [X, (USER, ITEM, AGE[:, None]), frame, mapped]
    made = [model() for _ in ways]
    for one, data in zip(made, ways, strict=True):
        one.fit(data, Y, epochs=3, batch_size=8, validation_split=0.2, progress=False)
        assert np.array_equal(one.predict(data), one.predict(X))
    assert len({one.predict(X).tobytes() for one in made}) == 1
    chunked = model()
    halves = [({name: x[rows] for name, x in X.items()}, Y[rows]) for rows in (slice(9), slice(9, ROWS))]
    chunked.fit(halves, epochs=2, batch_size=8, progress=False)
    assert bp.gradcheck(chunked, {name: x[:6] for name, x in X.items()}, Y[:6]).worst_relative_error < 1e-6


def test_tuples_are_no_chunks() -> None:
    """Two inputs and two targets as tuples look like two chunks: the network tells."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(np.ones(1))

        def forward(self, a: Any, b: Any) -> Any:
            return a * self.scale, b * self.scale

    pair, data = bp.Model(Pair(), ["mse", "mse"]), (np.ones((4, 1)), np.ones((4, 2)))
    history = pair.fit(data, data, epochs=1, validation_data=(data, data), progress=False)
    assert "val_output_1_loss" in history.history


def test_the_range_is_checked_before_training() -> None:
    ours = model()
    before = ours.state_dict()
    wrong = X | {"item": np.where(np.arange(ROWS) == 17, 50000, ITEM)}
    for call in (ours.fit, ours.step, ours.evaluate):
        with pytest.raises(ValueError, match=r"X\['item'\] holds 50000 at row 17, expected 0 to 10"):
            call(wrong, Y)
    for pass_of in (ours.predict, lambda x: ours.forward(x, training=True)):
        with pytest.raises(ValueError, match=r"X\['item'\] holds 50000 at row 17, expected 0 to 10"):
            pass_of(wrong)
    with pytest.raises(ValueError, match=r"validation_data: X\['user'\] holds -1 at row 0, expected 0 to 6"):
        ours.fit(X, Y, validation_data=(X | {"user": USER - USER[0] - 1}, Y))
    with pytest.raises(ValueError, match=r"X\[0\]: X\['item'\] holds 50000"):
        ours.fit([(wrong, Y)])
    with pytest.raises(TypeError, match="index is float64, expected int64 indices"):
        ours.predict(X | {"item": ITEM.astype(float)})
    assert all(np.array_equal(before[key], value) for key, value in ours.state_dict().items())


class Columns(nn.Module):
    """Indices of two ranges in one input, one of which is a number as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(np.ones((3, 2))), nn.Parameter(np.ones((300, 2)))

    def forward(self, x: Any) -> Any:
        chosen = self.first[x[:, 0]] + self.second[x[:, 2]]
        return chosen * x[:, 1:2] + x[:, 2:3]


def test_each_column_has_its_range() -> None:
    ours = bp.Model(Columns(), "mse")
    rows = np.array([[0, 1000, 299], [2, -5, 7]])
    assert ours.predict(rows) == pytest.approx(np.array([[2299, 2299], [-3, -3]]))
    with pytest.raises(ValueError, match=r"X holds 3 at row 1, position 0, expected 0 to 2"):
        ours.predict(rows + np.array([[0, 0, 0], [1, 0, 0]]))
    with pytest.raises(ValueError, match=r"X holds 300 at row 0, position 2, expected 0 to 299"):
        ours.predict(rows + np.array([[0, 0, 1], [0, 0, 0]]))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Parameter(np.eye(5)), nn.Linear(5, 5)

    def forward(self, ids: Any) -> Any:
        return self.out(nn.functional.embedding(ids, self.table))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_sequences_of_any_integers(dtype: Any) -> None:
    ids = rng.integers(0, 5, (20, 6)).astype(dtype)
    ours = bp.Model(Tokens(), "cross_entropy", optim.Adam(3e-2))
    history = ours.fit(ids, ids.astype(np.int64), epochs=30, progress=False)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert ours.predict(ids[:1]).shape == (1, 6, 5)
    assert np.array_equal(ours.predict(ids)[3], ours.predict(ids[3:4])[0])


def test_large_indices_are_exact() -> None:
    """Above 2**24 float32 would lose them."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            table = np.zeros((2**24 + 4, 1), np.float32)
            table[-4:, 0] = [1, 2, 3, 4]
            self.table = nn.Parameter(table)

        def forward(self, ids: Any) -> Any:
            return nn.functional.embedding(ids, self.table)

    ids = 2**24 + np.arange(4)
    assert bp.Model(Wide(), "mse").predict(ids)[:, 0].tolist() == [1, 2, 3, 4]


def test_integers_that_are_no_indices_are_numbers() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(2, 1)

        def forward(self, a: Any, b: Any) -> Any:
            return self.out(bp.stack([a, b], dim=1))

    ours = bp.Model(Sum(), "mse")
    whole = ours.predict((USER, ITEM))
    assert np.array_equal(whole, ours.predict((USER.astype(np.float32), ITEM.astype(float))))
    ours.fit((USER, AGE), Y, epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"X\['a'\] holds nan at row 0"):
        ours.fit((USER * np.nan, AGE), Y)


def define_language_model(nn: Any, F: Any, torch: Any, parameter: Any) -> type[Any]:
    class LanguageModel(nn.Module):  # type: ignore[misc, name-defined]
        """A table of symbols that is the last layer's weight as well, as in GPT."""

        def __init__(self) -> None:
            super().__init__()
            self.table = parameter(TABLE)
            self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 9)
            self.head.weight = self.table

        def forward(self, ids: Any) -> Any:
            h = F.embedding(ids, self.table)
            h = h + torch.tanh(self.body(h))
            return self.head(h)

    return LanguageModel


TABLE = rng.standard_normal((9, 4))
LanguageModel = define_language_model(nn, backpass.nn.functional, bp, nn.Parameter)


@pytest.mark.torch
def test_a_table_tied_to_the_last_layer(backend: Backend) -> None:
    """The layer reads a weight that is stored as PyTorch's is; both gradients add up."""
    torch = pytest.importorskip("torch")
    ids, target = rng.integers(0, 9, (12, 5)), rng.integers(0, 9, (12, 5))

    def parameter(values: np.ndarray) -> Any:
        return torch.nn.Parameter(torch.from_numpy(values.copy()))

    peer = define_language_model(torch.nn, torch.nn.functional, torch, parameter)().double()
    ours = bp.Model(LanguageModel(), "cross_entropy", optim.Adam(1e-2), dtype="float64")
    ours.backend = backend
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in peer.named_parameters()]
    assert {*ours.state_dict()} == {*peer.state_dict()}
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    optimizer = torch.optim.Adam(peer.parameters(), 1e-2)
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(
            peer(torch.from_numpy(ids)).flatten(0, 1), torch.from_numpy(target).flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.step(ids, target) == pytest.approx(loss.item(), rel=1e-10)
    assert np.array_equal(ours.state_dict()["table"], ours.state_dict()["head.weight"])


def test_a_frame_of_indices_for_one_input() -> None:
    pandas = pytest.importorskip("pandas")
    ids = rng.integers(0, 5, (20, 6))
    ours = bp.Model(Tokens(), "cross_entropy")
    expected = ours.predict(ids)
    for dtype in ("int64", "uint8", "Int64"):
        assert np.array_equal(ours.predict(pandas.DataFrame(ids).astype(dtype)), expected)
    with pytest.raises(ValueError, match="X holds 5 at row 3, position 2, expected 0 to 4"):
        ours.fit(pandas.DataFrame(np.where(np.arange(120).reshape(20, 6) == 20, 5, ids)), ids)


def test_what_is_computed_of_numbers_is_a_number() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(np.eye(5))

        def forward(self, ids: Any) -> Any:
            return self.table[ids + 1.0]

    with pytest.raises(TypeError, match=r"expected int64 indices: an input .* computed of integers alone"):
        bp.Model(Shifted()).predict(np.zeros((3, 2), int))

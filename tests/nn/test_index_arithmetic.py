"""Arithmetic of indices in `forward`: int64 to the last bit, as in PyTorch, and in range before anything is computed."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import on

rng = np.random.default_rng(0)
ROWS, COLUMNS, V, E = 24, 3, 12, 4
SIZES = np.array([3, 5, 4])
IDS = np.stack([rng.integers(0, size, ROWS) for size in SIZES], axis=1)
Y = rng.standard_normal((ROWS, 2))
OFFSETS = np.cumsum([0, *SIZES[:-1]])
TABLE = rng.standard_normal((V, E))
# What is chosen from the table of 12 rows, of ids (N, 3), and where each id ends up.
CASES: dict[str, Any] = {
    "offsets of columns": lambda ids, torch, whole: ids + whole(OFFSETS),
    "an integer": lambda ids, torch, whole: 1 + ids,
    "hashed": lambda ids, torch, whole: (ids * 7919 + 13) % 12,
    "hashed beyond 64 bits": lambda ids, torch, whole: ((ids + 7) * 6364136223846793005) % 12,
    "negative, rounded down": lambda ids, torch, whole: (-ids // 2) % 5,
    "of another": lambda ids, torch, whole: ids[:, :1] * 3 + ids[:, 2:] // 2,
    "cat and stack": lambda ids, torch, whole: torch.stack(
        [torch.cat([ids[:, 1:], ids[:, :1]], dim=1), ids * 2], dim=1
    ).flatten(1),
    "reshaped": lambda ids, torch, whole: ids[:, None].expand(-1, 2, -1).reshape(-1, 6),
    "turned": lambda ids, torch, whole: ids[:, :2].reshape(-1, 2, 1).transpose(1, 2).reshape(-1, 2),
    "padding filled": lambda ids, torch, whole: (ids - 1).masked_fill(ids == 0, 11),
    "chosen": lambda ids, torch, whole: torch.where(ids - 2 > 0, ids - 2, ids),
    "clamped": lambda ids, torch, whole: (ids - 2).clamp(min=0, max=1),
    "of a mask": lambda ids, torch, whole: (ids >= 2).long() + (ids != 1).long(),
    "of numbers": lambda ids, torch, whole: (ids * 2.75).long(),
    "largest": lambda ids, torch, whole: torch.maximum(ids[:, :1], ids[:, 1:] + 1),
}  # fmt: skip


def define(case: str, nn: Any, torch: Any, parameter: Any, whole: Any) -> Any:
    class Chooser(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = parameter(TABLE), nn.Linear(E, 2)

        def forward(self, ids: Any) -> Any:
            chosen = CASES[case](ids, torch, whole)
            return self.out(self.table[chosen].masked_fill((ids[:, :1] == 2)[:, :, None], 0.5).mean(dim=1))

    return Chooser()


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_as_in_torch(case: str, backend: Backend) -> None:
    torch = pytest.importorskip("torch")

    def parameter(values: np.ndarray) -> Any:
        return torch.nn.Parameter(torch.from_numpy(values.copy()))

    peer = define(case, torch.nn, torch, parameter, torch.from_numpy).double()
    net = define(case, nn, bp, nn.Parameter, np.asarray)
    ours = on(backend, bp.Model(net, "mse", optim.SGD(0.1), dtype="float64"))
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    optimizer = torch.optim.SGD(peer.parameters(), 0.1)
    for _ in range(3):
        loss = ((peer(torch.from_numpy(IDS)) - torch.from_numpy(Y)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.step(IDS, Y) == pytest.approx(loss.item(), rel=1e-10)
    rows = ours.predict(IDS)
    alone = np.concatenate([ours.predict(IDS[i : i + 1]) for i in range(ROWS)])
    assert np.allclose(rows, alone, 1e-12) if backend.name != "native" else np.array_equal(rows, alone)


class Shifted(nn.Module):
    """Rows of a table by the ids less `first`; of a large number of ids by a remainder, or by a column of numbers."""

    def __init__(self, choose: Any, columns: int = 1) -> None:
        super().__init__()
        self.table, self.choose = nn.Embedding(V, E), choose
        self.register_buffer("offsets", OFFSETS)

    def forward(self, ids: Any) -> Any:
        return self.table(self.choose(self, ids)).mean(dim=1)


REFUSED: dict[str, tuple[Any, np.ndarray, str]] = {
    "above": (lambda net, ids: ids + 1, np.array([[3], [11]]), "X at row 1 leads to the index 12, expected 0 to 11"),
    "below": (lambda net, ids: ids - 1, np.array([[3], [1], [0]]), "X at row 2 leads to the index -1"),
    "a buffer": (lambda net, ids: ids + net.offsets, np.array([[2, 4, 3], [2, 4, 4]]), "X at row 1 leads to the index 12"),
    "remainder": (lambda net, ids: ids % 13, np.array([[0], [12]]), "X at row 1 leads to the index 12"),
    "chosen": (
        lambda net, ids: bp.where(ids == -1, 0, ids), np.array([[-1], [5], [-2]]), "X at row 2 leads to the index -2",
    ),
    "numbers": (lambda net, x: x[:, :1].long(), np.array([[11.9, 0.5], [12.0, 0.5]]), "X at row 1 leads to the index 12"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_range_is_checked_before_training(name: str, backend: Backend) -> None:
    choose, x, message = REFUSED[name]
    ours = on(backend, bp.Model(Shifted(choose), "mse", dtype="float64"))
    y = np.zeros((len(x), E))
    before = ours.state_dict()
    for call in (ours.fit, ours.step, ours.evaluate):
        with pytest.raises(ValueError, match=message):
            call(x, y)
    for pass_of in (ours.predict, lambda x: ours.forward(x, training=True)):
        with pytest.raises(ValueError, match=message):
            pass_of(x)
    many = np.concatenate([x[:1]] * 700 + [x])
    with pytest.raises(ValueError, match=rf"at row {699 + len(x)} leads"):
        ours.predict(many)
    assert all(np.array_equal(before[key], value) for key, value in ours.state_dict().items())
    assert np.isfinite(ours.predict(x[:1])).all()
    assert np.isfinite(ours.predict(many[:700])).all()


def test_two_inputs_lead_to_one_index() -> None:
    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(TABLE)

        def forward(self, user: Any, item: Any, age: Any) -> Any:
            return self.table[user * 4 + item] * age

    ours = bp.Model(Pairs(), "mse", dtype="float64")
    user, item, age = np.array([0, 2, 1]), np.array([3, 3, 0]), np.array([[1.0], [2.0], [3.0]])
    assert np.allclose(ours.predict((user, item, age)), TABLE[user * 4 + item] * age)
    with pytest.raises(ValueError, match=r"X\['user'\] and X\['item'\] at row 1 leads to the index 12"):
        ours.predict((user, item + np.array([0, 1, 0]), age))


def test_a_dict_of_large_ids_is_exact() -> None:
    """Beyond what floats hold: 2⁵³ + 1 and float32's 2²⁴ + 1."""

    class Hashed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Embedding(V, E), nn.Linear(E, 1)

        def forward(self, ids: Any) -> Any:
            same = (ids[:, :1] == ids[:, 1:]) * 1.0
            return self.out(self.table((ids * 7919) % V).sum(dim=1)) * 0 + same

    ours = bp.Model(Hashed(), "mse")
    ids = np.array([[2**53 + 1, 2**53], [2**24, 2**24 + 1], [2**62, 2**62]])
    assert ours.predict(ids).tolist() == [[0], [0], [1]]
    assert ours.predict(-ids).tolist() == [[0], [0], [1]]


def test_what_does_not_go() -> None:
    def tried(choose: Any, x: Any = IDS) -> None:
        bp.Model(Shifted(choose), "mse").predict(x)

    for choose, kind, message in (
        (lambda net, ids: ids + 0.5, TypeError, r"index is float32, expected int64 indices.*x\.long\(\) makes"),
        (lambda net, ids: ids / 2, TypeError, "index is float32"),
        (lambda net, ids: ids == 1, TypeError, "index is float32"),
        (lambda net, ids: ids // 2.0, TypeError, "// takes indices and integers"),
        (lambda net, ids: ids.float() % 3, TypeError, "% takes indices and integers"),
        (lambda net, ids: ids % 0, ValueError, "mod: an integer is divided by 0"),
        (lambda net, ids: ids + np.arange(4), ValueError, r"add: shapes \(3, 3\) and \(4,\) do not fit together"),
        (lambda net, ids: ids.to("cpu"), TypeError, r"to: dtype is 'cpu', expected np\.int64 or np\.float32"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            tried(choose)
    tried(lambda net, ids: ids.to(np.int64).long().int() + bp.arange(3))
    tried(lambda net, ids: ids.float().to("int32"))


def test_a_table_that_is_shared_trains_in_fit() -> None:
    """Columns of a frame with offsets, a sparse table, and resumed to the same bits."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Embedding(V, E, sparse=True), nn.Linear(COLUMNS * E, 2)
            self.register_buffer("offsets", OFFSETS)

        def forward(self, x: Any) -> Any:
            return self.out(self.table(x + self.offsets).flatten(1))

    pandas = pytest.importorskip("pandas")
    ours, theirs = (bp.Model(Shared(), "mse", optim.Adagrad(0.1), dtype="float64") for _ in range(2))
    ours.fit(IDS, Y, epochs=2, batch_size=7, progress=False)
    theirs.fit(pandas.DataFrame(IDS.astype(np.int32)), Y, epochs=2, batch_size=7, progress=False)
    assert all(np.array_equal(ours.state_dict()[key], value) for key, value in theirs.state_dict().items())
    assert bp.gradcheck(ours, IDS[:8], Y[:8]).worst_relative_error < 1e-6


MIXED: dict[str, Any] = {
    "similarity of rows": lambda net, ids: (lambda z: z @ z.transpose(0, 1) @ z)(net.table[ids + 1].mean(1)),
    "rows turned": lambda net, ids: net.table[(ids + 1).transpose(0, 1)].transpose(0, 1).mean(1),
    "one row of all": lambda net, ids: net.table[ids[:1] + 1].mean(1) + ids.float().mean(1, keepdim=True),
}


@pytest.mark.parametrize("case", MIXED)
def test_indices_of_networks_that_mix_rows(case: str) -> None:
    """Which row leads to an index is not known: an index outside is NaN, and training stops."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(TABLE)

        def forward(self, ids: Any) -> Any:
            return MIXED[case](self, ids)

    model = bp.Model(Mixed(), "mse", optim.SGD(0.1), dtype="float64")
    rows = model.predict(IDS)
    z = TABLE[IDS + 1].mean(1)
    expected = {"similarity of rows": z @ z.T @ z, "rows turned": z}
    if case in expected:
        assert np.allclose(rows, expected[case])
    assert model.step(IDS, np.zeros_like(rows)) == pytest.approx((rows**2).mean())
    outside = np.full_like(IDS, V - 1)
    assert np.isnan(model.predict(outside)).any()
    with pytest.raises(bp.NonFiniteError):
        model.step(outside, np.zeros_like(rows))

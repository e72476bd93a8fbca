"""Tables with sparse=True: a step moves the rows that occur, and leaves all others with their moments as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import on

rng = np.random.default_rng(0)
V, E, ROWS = 11, 5, 24
IDS = rng.integers(0, V - 2, (ROWS, 3))
Y = rng.standard_normal((ROWS, 2))
Make = Callable[[], optim.Optimizer]
EXACT: dict[str, Make] = {"sgd": lambda: optim.SGD(0.1), "adagrad": lambda: optim.Adagrad(0.1)}
OPTIMIZERS: dict[str, Make] = EXACT | {
    "adam": lambda: optim.Adam(1e-2),
    "amsgrad": lambda: optim.Adam(1e-2, amsgrad=True),
    "adamw": lambda: optim.AdamW(1e-2, weight_decay=0.0),
    "rmsprop": lambda: optim.RMSprop(1e-2),
    "rmsprop, centered": lambda: optim.RMSprop(1e-2, centered=True),
    "adadelta": lambda: optim.Adadelta(1.0),
    "nadam": lambda: optim.NAdam(1e-2),
    "lion": lambda: optim.Lion(1e-3, weight_decay=0.0),
    "adam, clipped": lambda: optim.Adam(1e-2, clip_grad_norm=0.5, clip_grad_value=0.1),
    "adam, groups": lambda: optim.Adam([{"params": "0", "lr": 3e-2}, {"params": "2"}], lr=1e-2),
}


def model(
    optimizer: Any, sparse: bool = True, layer: Any = None, width: int = 3 * E, **settings: Any
) -> bp.Model:
    table = layer(sparse=sparse) if layer else nn.Embedding(V, E, padding_idx=1, sparse=sparse)
    net = nn.Sequential(table, nn.Flatten(), nn.Linear(width, 2))
    return bp.Model(net, "mse", optimizer, **({"dtype": "float64", "seed": 3} | settings))


def moments(made: bp.Model) -> dict[str, np.ndarray]:
    """Each moment of the table as (V, E)."""
    engine = made.engine
    return {
        name: made.net[0].view_of("weight", flat)
        for name, flat in engine.optimizer_state.items()
        if flat.shape == engine.flat.params.shape
    }


LAYERS = {
    "embedding": (None, 3 * E),
    "mean": (lambda **s: nn.EmbeddingBag(V, E, "mean", padding_idx=1, **s), E),
    "sum": (lambda **s: nn.EmbeddingBag(V, E, "sum", **s), E),
    "max": (lambda **s: nn.EmbeddingBag(V, E, "max", padding_idx=-1, **s), E),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", EXACT)
def test_as_dense_where_no_moment_moves_a_row(name: str, layer: str, dtype: str, backend: Backend) -> None:
    """SGD without momentum and Adagrad: to the bit."""
    make, width = LAYERS[layer]
    dense, sparse = (
        on(backend, model(OPTIMIZERS[name](), flag, make, width, dtype=dtype)) for flag in (False, True)
    )
    for made in (dense, sparse):
        made.fit(IDS, Y, epochs=3, batch_size=7, progress=False)
    for key, value in dense.state_dict().items():
        assert np.array_equal(value, sparse.state_dict()[key]), key


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_occur_every_time_move_as_dense_ones(name: str, backend: Backend) -> None:
    """All others, with their moments, are what they were."""
    dense, sparse = (on(backend, model(OPTIMIZERS[name](), flag)) for flag in (False, True))
    before, empty = sparse.net[0].weight.copy(), {k: v.copy() for k, v in moments(sparse).items()}
    for k in range(6):
        ids = np.concatenate([np.arange(2, 8), np.full(ROWS * 3 - 6, 2 + k)]).reshape(ROWS, 3)
        losses = [made.step(ids, Y) for made in (dense, sparse)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    tolerance = 1e-12 if "clipped" in name else 0.0  # the norm is summed up in another order
    for key, value in dense.state_dict().items():
        np.testing.assert_allclose(sparse.state_dict()[key][2:8], value[2:8], rtol=tolerance, atol=tolerance)
    others = [0, 1, 8, 9, 10]
    assert np.array_equal(sparse.net[0].weight[others], before[others])
    for key, value in moments(sparse).items():
        assert np.array_equal(value[others], empty[key][others])
        np.testing.assert_allclose(value[2:8], moments(dense)[key][2:8], rtol=tolerance, atol=tolerance)


def test_adam_by_hand(backend: Backend) -> None:
    """Adam's own formula with the count of all steps; a row that is away keeps p, m and v."""
    made = on(backend, model(optim.Adam(1e-2)))
    p, m, v = made.net[0].weight.copy(), np.zeros((V, E)), np.zeros((V, E))
    for t in range(1, 8):
        ids = rng.integers(0, V, (ROWS, 3)) if t % 2 else np.full((ROWS, 3), 4)
        made.step(ids, Y)
        g = made.gradients()[0]
        rows = np.setdiff1d(ids, [1])
        m[rows] += 0.1 * (g[rows] - m[rows])
        v[rows] = 0.999 * v[rows] + 0.001 * g[rows] ** 2
        p[rows] -= 1e-2 / (1 - 0.9**t) * m[rows] / (np.sqrt(v[rows] / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(made.net[0].weight, p, rtol=1e-9)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("mode", ["embedding", "mean", "sum"])
def test_as_sparse_in_torch(name: str, mode: str, backend: Backend) -> None:
    """Where the formulas agree: SparseAdam with eps 0 is Adam's formula with eps 0, as long as no gradient is 0."""
    torch = pytest.importorskip("torch")
    hyper: dict[str, Any] = {"adam": {"lr": 1e-2, "eps": 1e-30}}.get(name, {"lr": 0.1})
    make, width = (None, 3 * E) if mode == "embedding" else (lambda **s: nn.EmbeddingBag(V, E, mode, **s), E)
    ours_of = {"sgd": optim.SGD, "adagrad": optim.Adagrad, "adam": optim.Adam}[name]
    made = on(backend, model(ours_of(**hyper), True, make, width))
    table = (
        torch.nn.Embedding(V, E, padding_idx=1, sparse=True)
        if mode == "embedding"
        else torch.nn.EmbeddingBag(V, E, mode=mode, sparse=True)
    ).double()
    head = torch.nn.Linear(width, 2).double()
    state = {k: torch.from_numpy(v) for k, v in made.state_dict().items()}
    table.load_state_dict({"weight": state["0.weight"]})
    head.load_state_dict({"weight": state["2.weight"], "bias": state["2.bias"]})
    if name == "adam":
        steppers = [
            torch.optim.SparseAdam(table.parameters(), **hyper),
            torch.optim.Adam(head.parameters(), **hyper),
        ]
    else:
        kind = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad}[name]
        steppers = [kind([*table.parameters(), *head.parameters()], **hyper)]
    for _ in range(30):
        ids = rng.integers(0, V, (ROWS, 3))
        out = head(table(torch.from_numpy(ids)).flatten(1))
        loss = ((out - torch.from_numpy(Y)) ** 2).mean()
        for stepper in steppers:
            stepper.zero_grad()
        loss.backward()
        for stepper in steppers:
            stepper.step()
        assert made.step(ids, Y) == pytest.approx(loss.item(), rel=1e-10)
    np.testing.assert_allclose(made.net[0].weight, table.weight.detach().numpy(), rtol=1e-8, atol=1e-10)


def test_bits_for_any_number_of_threads(native: Backend) -> None:
    ids, y = rng.integers(0, 3000, (4000, 4)), rng.standard_normal((4000, 2))
    found = set()
    for threads in (1, 2, 3, 8):
        net = nn.Sequential(nn.Embedding(3000, 16, sparse=True), nn.Flatten(), nn.Linear(64, 2))
        made = on(native, bp.Model(net, "mse", optim.Adam(1e-2, clip_grad_norm=1.0), threads=threads))
        made.fit(ids, y, epochs=2, batch_size=1024, progress=False)
        found.add(made.net[0].weight.tobytes())
    assert len(found) == 1


# -- around it --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            lambda: optim.AdamW(1e-2),
            r"AdamW: weight_decay is 0.01, and 0.weight has sparse=True: .*expected 0",
        ),
        (lambda: optim.Adam(1e-2, weight_decay=0.1), "Adam: weight_decay is 0.1"),
        (lambda: optim.SGD(1e-2, momentum=0.9), "SGD: momentum is 0.9, and 0.weight has sparse=True"),
        (lambda: optim.RMSprop(1e-2, momentum=0.5), "RMSprop: momentum is 0.5"),
        (lambda: optim.Adam([{"params": "0", "weight_decay": 0.2}, {"params": "2"}]), "weight_decay is 0.2"),
    ],
)
def test_what_would_move_all_rows_is_refused(optimizer: Make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(optimizer())
    made = model(optim.Adam(1e-2))
    with pytest.raises(ValueError, match=message):
        made.optimizer = optimizer()
    made.fit(IDS, Y, progress=False)
    made.net[0].requires_grad_(False)
    made.optimizer = optimizer()  # of a frozen table nothing moves
    made.fit(IDS, Y, progress=False)


def test_a_changed_setting_is_refused_too() -> None:
    made = model(optim.Adam(1e-2))
    made.optimizer.weight_decay = 0.1
    with pytest.raises(ValueError, match=r"weight_decay is 0\.1"):
        made.step(IDS, Y)
    made.optimizer.weight_decay = 0
    made.step(IDS, Y)
    with pytest.raises(ValueError, match=r"sparse of Embedding.* acts when bp\.Model makes the weights"):
        made.net[0].sparse = False
    group = optim.AdamW([{"params": "0", "weight_decay": 0}, {"params": "2"}], lr=1e-2)
    model(group).fit(IDS, Y, progress=False)


class Tied(nn.Module):
    """One table for three look-ups, of which two are of indices that overlap; and a head that may be tied to it."""

    def __init__(self, sparse: bool, tie: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(V, E, padding_idx=1, sparse=sparse)
        self.bag = nn.EmbeddingBag(V, E, "max", padding_idx=1, sparse=sparse)
        self.bag.weight = self.table.weight
        self.head = nn.Linear(E, V if tie else 2, bias=False)
        if tie:
            self.head.weight = self.table.weight

    def forward(self, x: Any) -> Any:
        seen = self.table(x).mean(dim=1) * self.table(x[:, :2])[:, 1]
        return self.head((seen + self.bag(x[:, 1:])).tanh() + self.table(x[:, :1]).detach()[:, 0])


@pytest.mark.parametrize("name", EXACT)
def test_several_look_ups_add_up(name: str, backend: Backend) -> None:
    """As one dense gradient, to the bit; a look-up that nothing flows back to adds nothing."""
    dense, sparse = (
        on(backend, bp.Model(Tied(flag), "mse", OPTIMIZERS[name](), dtype="float64", seed=3))
        for flag in (False, True)
    )
    for made in (dense, sparse):
        made.fit(IDS, Y, epochs=3, batch_size=7, progress=False)
    for key, value in dense.state_dict().items():
        assert np.array_equal(value, sparse.state_dict()[key]), key


def test_several_look_ups_for_any_number_of_threads(native: Backend) -> None:
    found = set()
    for threads in (1, 2, 3):
        made = on(native, bp.Model(Tied(True), "mse", optim.Adam(1e-2, clip_grad_norm=1.0), threads=threads))
        made.fit(np.tile(IDS, (100, 1)), np.tile(Y, (100, 1)), epochs=2, batch_size=800, progress=False)
        found.add(made.net.table.weight.tobytes())
    assert len(found) == 1


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_look_ups_twice_as_in_torch(backend: Backend) -> None:
    torch = pytest.importorskip("torch")
    table, head = torch.nn.Embedding(V, E, sparse=True).double(), torch.nn.Linear(E, 2).double()
    steppers = [
        torch.optim.SparseAdam(table.parameters(), 1e-2, eps=1e-30),
        torch.optim.Adam(head.parameters(), 1e-2, eps=1e-30),
    ]

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(V, E, sparse=True), nn.Linear(E, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.table(x[:, 0]) * self.table(x[:, 1:]).sum(dim=1))

    made = on(backend, bp.Model(Twice(), "mse", optim.Adam(1e-2, eps=1e-30), dtype="float64"))
    state = {key: torch.from_numpy(value) for key, value in made.state_dict().items()}
    table.load_state_dict({"weight": state["table.weight"]})
    head.load_state_dict({"weight": state["head.weight"], "bias": state["head.bias"]})
    for _ in range(20):
        ids = rng.integers(0, V, (ROWS, 3))
        index = torch.from_numpy(ids)
        out = head(table(index[:, 0]) * table(index[:, 1:]).sum(1))
        loss = ((out - torch.from_numpy(Y)) ** 2).mean()
        for stepper in steppers:
            stepper.zero_grad()
        loss.backward()
        for stepper in steppers:
            stepper.step()
        assert made.step(ids, Y) == pytest.approx(loss.item(), rel=1e-10)
    np.testing.assert_allclose(made.net.table.weight, table.weight.detach().numpy(), rtol=1e-8, atol=1e-10)


def test_a_table_that_a_head_reads_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=rf"a table of {V} rows has sparse=True, and another layer reads it as well.*sparse=False",
    ):
        bp.Model(Tied(True, tie=True), "cross_entropy").fit(IDS, IDS[:, 0], progress=False)
    bp.Model(Tied(False, tie=True), "cross_entropy").fit(IDS, IDS[:, 0], progress=False)


def test_resume_save_and_copies(tmp_path: Path, backend: Backend) -> None:
    whole, halves = (on(backend, model(optim.Adam(1e-2))) for _ in range(2))
    whole.fit(IDS, Y, epochs=4, batch_size=7, progress=False)
    halves.fit(IDS, Y, epochs=2, batch_size=7, progress=False)
    halves.save(tmp_path / "run")
    loaded = on(backend, bp.load(tmp_path / "run"))
    assert "sparse=True" in repr(loaded.net[0])
    loaded.fit(IDS, Y, epochs=4, batch_size=7, progress=False, resume=True)
    assert np.array_equal(loaded.net[0].weight, whole.net[0].weight)


def test_gradients_and_passes_one_at_a_time(backend: Backend) -> None:
    dense, sparse = (on(backend, model(optim.Adagrad(0.1), flag)) for flag in (False, True))
    for ids in (IDS, IDS[:9], IDS):
        for made in (dense, sparse):
            out = made.forward(ids, training=True)
            made.backward(out - Y[: len(ids)])
        for a, b in zip(dense.gradients(), sparse.gradients(), strict=True):
            assert np.array_equal(a, b)
        for made in (dense, sparse):
            made.update()
        assert np.array_equal(dense.net[0].weight, sparse.net[0].weight)
    ids = np.where(IDS == 1, 0, IDS)  # the row of the padding has no gradient, but its difference quotient
    check = on(backend, model(optim.Adam(), layer=lambda sparse: nn.Embedding(V, E, sparse=sparse)))
    assert bp.gradcheck(check, ids, Y).worst_relative_error < 1e-6
    monitor = bp.GradientMonitor(every="1 steps")
    check.fit(ids, Y, callbacks=[monitor], progress=False)
    assert all(norms[0] > 0 for norms in monitor.records.norms)


def test_a_loss_of_ones_own(backend: Backend) -> None:
    def squares(pred: Any, y: Any) -> Any:
        return float(((pred - y) ** 2).mean()), 2 * (pred - y) / y.size

    other = on(backend, model(optim.Adam(1e-2)))
    own = nn.Sequential(nn.Embedding(V, E, padding_idx=1, sparse=True), nn.Flatten(), nn.Linear(3 * E, 2))
    made = on(backend, bp.Model(own, squares, optim.Adam(1e-2), dtype="float64", seed=3))
    for trained in (made, other):
        trained.fit(IDS, Y, epochs=2, batch_size=7, progress=False)
    np.testing.assert_allclose(made.net[0].weight, other.net[0].weight, rtol=1e-10)


def test_a_step_that_is_not_finite_is_stopped(backend: Backend) -> None:
    made = on(backend, model(optim.Adam(1e-2)))
    before = made.state_dict()
    with pytest.raises(bp.NonFiniteError):
        made.step(IDS, np.full_like(Y, 1e300))
    assert all(np.array_equal(before[key], value) for key, value in made.state_dict().items())


@pytest.mark.parametrize("rows", [1, 2])
def test_small_tables_and_frozen_ones(rows: int, backend: Backend) -> None:
    made = on(backend, model(optim.Adam(1e-2), layer=lambda sparse: nn.Embedding(rows, E, sparse=sparse)))
    made.fit(IDS % rows, Y, epochs=2, progress=False)
    made.net[0].requires_grad_(False)
    before = made.net[0].weight.copy()
    made.fit(IDS % rows, Y, epochs=2, progress=False)
    assert np.array_equal(made.net[0].weight, before)
    made.net[0].requires_grad_()
    made.fit(IDS % rows, Y, epochs=2, progress=False)
    assert not np.array_equal(made.net[0].weight, before)


def test_a_row_that_overflowed_ends_the_fit_with_its_table() -> None:
    made = model(optim.SGD(0.1))
    made.net[0].weight[V - 1] = np.inf  # a row that no batch has
    with pytest.raises(bp.NonFiniteError, match=r"layer 0 \(Embedding.*0\.weight not finite"):
        made.fit(IDS, Y, epochs=2, batch_size=8)
    assert made.epoch == 2

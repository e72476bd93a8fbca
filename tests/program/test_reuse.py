"""Memory of inference: no bit depends on which buffers share it, and it is as little as a pass needs."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from backpass.backends import Backend
from backpass.engine import plans
from backpass.ops import expression
from backpass.program import Builder, Instruction, Plan, Spec, Tensor, build, parts_of, reuse
from backpass.system.memory import ALIGNMENT, aligned
from helpers import graphs, nets
from helpers.backends import once
from helpers.nets import on
from helpers.registered import sample_layers


@pytest.fixture(autouse=True)
def garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that buffers share holds NaN, or indices of -1, before a plan runs first."""

    def full(shape: Any, dtype: Any) -> np.ndarray:
        arena = aligned(shape, dtype)
        arena[...] = 255
        return arena

    monkeypatch.setattr(reuse, "aligned", full)


def without(function: Callable[[], Any]) -> Any:
    """What a function returns where every buffer has memory of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "reused", lambda plan, buffers: plan)
        return function()


# ---- networks --------------------------------------------------------------------------------------------------


class Views(nn.Module):
    """Slices, a transposed and a reversed view, parts behind each other, broadcast ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(6, 8)

    def forward(self, x: Any) -> Any:
        a, b = self.first(x).tanh(), self.second(x)
        crossed = (a[:, :, None] * b[:, None, :]).transpose(1, 2)
        repeated = a[:, None, :].expand(x.shape[0], 3, 8)
        rows = bp.cat(
            [crossed[:, ::2], repeated, b[:, None, 1:].sin()[:, :, [0, 6, 5, 4, 3, 2, 1, 0]]], dim=1
        )
        return bp.cat([rows.amax(1), rows.softmax(1).sum(1), a[:, 2:5], x], dim=1) * 0.5


class Branches(nn.Module):
    """Several outputs: one is the input of another, one shows a part of it, one is the input of all, one holds indices."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 7), nn.Linear(7, 7)

    def forward(self, x: Any) -> Any:
        body = self.body(x).relu()
        head = self.head(F.gelu(self.head(body)))
        return {"body": body, "part": body[:, 1:4], "head": head, "x": x, "class": head.argmax(1)}


class Chosen(nn.Module):
    """Indices that are computed, and elements by them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 9)
        self.table = nn.Parameter(np.random.default_rng(0).normal(size=(9, 4)))

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        best = y.argmax(1)
        return bp.cat([F.embedding(best, self.table), y.gather(1, best[:, None]), y.log_softmax(1)], dim=1)


class WholeBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        y = (y - y.mean(0)) / (y.var(0) + 1e-3).sqrt()
        return (y @ y.mT).softmax(1) @ y


def mlp(depth: int, width: int, inputs: int) -> nn.Module:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.GELU())]
    return nn.Sequential(nn.Linear(inputs, width), *hidden, nn.Linear(width, 3))


NETS: dict[str, Callable[[], nn.Module]] = {
    "net": nets.net, "everything": nets.with_everything, "shared": nets.shared_twice, "views": Views, "branches": Branches,
    "chosen": Chosen, "whole batch": WholeBatch, "mlp": lambda: mlp(5, 17, 6),
    # Rows a multiple of 1 KiB apart: the native backend pads them.
    "padded": lambda: mlp(2, 256, 6),
    "residual": lambda: nn.Sequential(*[nn.Residual(mlp(1, 5, 6), nn.Linear(3, 6), nn.LayerNorm(6)) for _ in range(4)]),
    "nothing": lambda: nn.Sequential(nn.Flatten()),
}  # fmt: skip


def arrays_of(given: Any) -> list[np.ndarray]:
    return [*given.values()] if isinstance(given, dict) else [given]


def predicted(make: Callable[[], nn.Module], X: Any, backend: Backend, dtype: str) -> list[np.ndarray]:
    """What a network predicts: for all rows, for other rows in between, again; and its state in the end."""
    model = on(backend, bp.Model(make(), seed=2, dtype=dtype))
    part = {name: rows[:5] for name, rows in X.items()} if isinstance(X, dict) else X[:5]
    found = [model.predict(X), model.predict(part), model.predict(X), model.predict(X)]
    return [array for given in [*found, model.state_dict()] for array in arrays_of(given)]


def check(make: Callable[[], nn.Module], X: Any, backend: Backend, dtype: str = "float32") -> None:
    found = predicted(make, X, backend, dtype)
    for a, b in zip(found, without(lambda: predicted(make, X, backend, dtype)), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", NETS)
def test_no_bit_of_a_network_depends_on_it(name: str, backend: Backend) -> None:
    check(NETS[name], nets.X, backend)
    check(NETS[name], nets.X, backend, "float64")


@pytest.mark.parametrize("name", sample_layers())
def test_no_bit_of_a_layer_depends_on_it(name: str, backend: Backend) -> None:
    sample = sample_layers()[name]

    def twice() -> nn.Module:
        try:
            return nn.Sequential(sample.make(), sample.make(), nn.Softmax(), nn.Flatten())
        except TypeError:
            return sample.make()

    try:
        check(twice, sample.data(9), backend)
    except (ValueError, TypeError):  # it does not follow itself
        check(sample.make, sample.data(9), backend)


@once
def test_no_bit_of_a_random_graph_depends_on_it() -> None:
    backend = bp.get_backend(bp.available_backends()[0])
    for seed in range(100):
        X = np.random.default_rng(seed).normal(size=(5, *graphs.Graph(seed).row))
        check(lambda seed=seed: graphs.Graph(seed), X, backend, "float64")  # type: ignore[misc]


def test_what_is_handed_out_and_what_is_learned_stays(backend: Backend) -> None:
    model = on(backend, bp.Model(nets.net(), seed=1))
    model.fit(nets.X, nets.Y, epochs=1)
    before = model.state_dict()
    first = model.predict(nets.X[:64])
    kept = first.copy()
    model.predict(nets.X[1:65])
    assert np.array_equal(first, kept)
    assert np.array_equal(inferring(model, 64).x, nets.X[1:65])
    model.step(nets.X, nets.Y)
    model.load_state_dict(before)
    assert np.array_equal(model.predict(nets.X[:64]), kept)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


# ---- by brute force --------------------------------------------------------------------------------------------


def inferring(model: bp.Model, rows: int) -> Plan:
    """The model's plan of inference for so many rows."""
    return next(p for spec, p in model.engine.plans.plans.items() if not spec.training and spec.rows == rows)


def named(instruction: Instruction, names: Any) -> Iterator[np.ndarray]:
    arrays = (instruction.fields.get(name) for name in names)
    return (array for array in arrays if isinstance(array, np.ndarray))


def words_of(array: np.ndarray) -> np.ndarray:
    """The addresses of the words of 4 bytes that an array has."""
    at = np.array([array.__array_interface__["data"][0]], np.int64)
    for size, stride in (*zip(array.shape, array.strides, strict=True), (array.itemsize // 4, 4)):
        at = at[..., None] + stride * np.arange(size)
    return at.reshape(-1)


def origins(plan: Plan) -> list[list[int]]:
    """Which instruction wrote each word that an instruction, or somebody behind them, reads; -1 for none.

    And how much of what an instruction writes it reads as well.
    """
    everything = [a for i in plan.forward for a in named(i, i.op.arrays)] + plan.handed_out
    memory = np.unique(np.concatenate([words_of(array) for array in everything]))
    writer = np.full(len(memory), -1)
    found = []
    for number, instruction in enumerate(plan.forward):
        reads = [np.searchsorted(memory, words_of(a)) for a in named(instruction, instruction.op.inputs)]
        writes = [np.searchsorted(memory, words_of(a)) for a in named(instruction, instruction.op.outputs)]
        found += [writer[at].tolist() for at in reads]
        found += [[np.intersect1d(at, other).size] for at in writes for other in reads]
        # Two outputs in one place: the second would be found twice.
        found += [[np.unique(np.concatenate(writes)).size]]
        for at in writes:
            writer[at] = number
    return found + [writer[np.searchsorted(memory, words_of(a))].tolist() for a in plan.handed_out]


def check_origins(make: Callable[[], nn.Module], row: tuple[int, ...], backend: Backend) -> None:
    def plan() -> Plan:
        model = on(backend, bp.Model(make(), seed=0))
        inputs = [(name, kind) for name, kind in model.net.takes.items()]
        specs = tuple(
            bp.program.InputSpec(name, (4, *row), np.dtype(np.int64) if kind == "index" else model.dtype)
            for name, kind in inputs
        )
        return model.engine.plans.inference(specs)

    shared, plain = plan(), without(plan)
    assert [i.op.name for i in shared.forward] == [i.op.name for i in plain.forward]
    assert origins(shared) == origins(plain)
    assert shared.bytes <= plain.bytes + ALIGNMENT * len(plain.forward)
    for a, b in zip(shared.forward, plain.forward, strict=True):
        for x, y in zip(named(a, a.op.arrays), named(b, b.op.arrays), strict=True):
            assert (x.strides, x.dtype, x.flags.writeable) == (y.strides, y.dtype, y.flags.writeable)
        for x, y in zip(named(a, a.op.outputs), named(b, b.op.outputs), strict=True):
            assert (words_of(x)[0] - words_of(y)[0]) % ALIGNMENT == 0


@pytest.mark.parametrize("name", NETS)
def test_each_instruction_reads_what_it_read_before(name: str, backend: Backend) -> None:
    check_origins(NETS[name], (6,), backend)


@once
def test_each_instruction_of_a_random_graph_reads_what_it_read_before() -> None:
    backend = bp.get_backend(bp.available_backends()[0])
    for seed in range(100):
        check_origins(lambda seed=seed: graphs.Graph(seed), graphs.Graph(seed).row, backend)  # type: ignore[misc]


@once
def test_the_check_finds_what_is_overwritten() -> None:
    x, y, z = (aligned((4,), np.float32) for _ in range(3))

    def plan(through: np.ndarray) -> Plan:
        first = Instruction(expression, expression.complete({"a": x, "y": through, "steps": "y = neg a"}))
        second = Instruction(
            expression, expression.complete({"a": x, "b": through, "y": z, "steps": "y = add a b"})
        )
        return Plan({"x": x}, z, [first, second])

    assert origins(plan(y)) != origins(plan(x))
    assert origins(plan(y)) != origins(plan(z))


# ---- what stays ------------------------------------------------------------------------------------------------


class Remembering(nn.Module):
    """y = 2x; what it saw last it keeps, in its state, without reading it."""

    def __init__(self) -> None:
        super().__init__()
        self.starts = {"seen": ((3, 256), 0.0)}

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if x.shape == self.state["seen"].shape:
            builder.run(expression, a=x, y=Tensor(self.state["seen"]), steps="y = copy a")
        return builder.run(expression, a=x, steps="y = mul a 2.0")


class Framed(nn.Module):
    """x with zeros on both sides, twice: nobody writes those that a buffer begins with."""

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        for _ in range(2):
            rows, size = x.shape
            y = builder.tensor((rows, size + 2))
            builder.run(expression, a=x, y=builder.view(y, y.array[:, 1:-1]), steps="y = copy a")
            x = builder.run(expression, a=builder.run(expression, a=y, steps="y = neg a"), steps="y = exp a")
        return x


def test_what_layers_write_into_their_state_stays(backend: Backend) -> None:
    layer = Remembering()
    model = on(
        backend,
        bp.Model(nn.Sequential(nn.Linear(2, 256), layer, nn.Linear(256, 256), nn.Linear(256, 2)), seed=3),
    )
    X = nets.X[:4, :2]
    for part in (X[:3], X[1:4]):
        plan = model.engine.plans.inference(model_inputs(model, (3, 2)))
        plan.inputs["x"][...] = part
        backend.compile(plan.forward).run()
        weight, bias = (model.state_dict()[name] for name in ("0.weight", "0.bias"))
        np.testing.assert_allclose(layer.state["seen"], part @ weight.T + bias, rtol=1e-5, atol=1e-6)


def test_zeros_that_nobody_writes_stay(backend: Backend) -> None:
    model = on(
        backend,
        bp.Model(nn.Sequential(nn.Linear(6, 6), Framed(), nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 2))),
    )
    for _ in range(2):
        out = model.predict(nets.X)
        assert np.isfinite(out).all()
        assert np.array_equal(out, model.predict(nets.X))
    check(lambda: nn.Sequential(nn.Linear(6, 6), Framed(), nn.ReLU(), Framed()), nets.X, backend)


# ---- how much it is --------------------------------------------------------------------------------------------


def model_inputs(model: bp.Model, shape: tuple[int, ...]) -> tuple[bp.program.InputSpec, ...]:
    return (bp.program.InputSpec("x", shape, model.dtype),)


@pytest.mark.parametrize("width", [64, 256])
def test_a_deep_network_needs_two_buffers(width: int, backend: Backend) -> None:
    """Also of matrices with padded rows, as the native backend has them for 1 KiB."""
    model, plain = (on(backend, bp.Model(mlp(20, width, 64))) for _ in range(2))
    padding = ALIGNMENT if backend.pads_rows and width == 256 else 0
    for rows in (1, 16, 512):
        inputs = model_inputs(model, (rows, 64))
        plan = model.engine.plans.inference(inputs)
        assert plan.bytes == plan.x.nbytes + plan.out.nbytes + 2 * (rows * (4 * width + padding) - padding)
        assert without(lambda: plain.engine.plans.inference(inputs)).bytes > 6 * plan.bytes  # noqa: B023


def test_a_residual_network_needs_the_branch_and_what_it_is_added_to(backend: Backend) -> None:
    net = nn.Sequential(*[nn.Residual(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 32)) for _ in range(9)])
    model = on(backend, bp.Model(net))
    plan = model.engine.plans.inference(model_inputs(model, (64, 32)))
    assert plan.bytes == plan.x.nbytes + plan.out.nbytes + 3 * 64 * 32 * 4


@once
def test_buffers_of_several_sizes() -> None:
    """Nowhere near the sum, and never less than what one instruction touches."""
    sizes = [300, 20, 150, 600, 7, 600, 40]
    net = nn.Sequential(*[nn.Linear(a, b) for a, b in zip([5, *sizes], [*sizes, 3], strict=True)])
    model = bp.Model(net, backend="numpy")
    plan = model.engine.plans.inference(model_inputs(model, (16, 5)))
    most = 16 * 4 * (600 + 150)
    assert most <= plan.bytes - plan.x.nbytes - plan.out.nbytes <= most + 16 * 4 * 20


# ---- rows a pass -----------------------------------------------------------------------------------------------


class Large(nn.Module):
    """Rows that need 12 KiB at a time in float32; nothing that it does depends on the number of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 512)

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        for _ in range(4):
            y = (y.reshape(-1, 2, 256).softmax(2).sin().reshape(-1, 512) + y).softmax(1)
        return y[:, :3] * 1.0


class Transposed(nn.Module):
    """A weight that is copied in each pass, as large as many rows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.random.default_rng(0).normal(size=(64, 6, 4)))

    def forward(self, x: Any) -> Any:
        return x @ self.weight.permute(1, 2, 0).reshape(6, 256).sin()


ROWS = np.random.default_rng(5).normal(size=(1111, 6)).astype(np.float32)


def inference_specs(model: bp.Model) -> dict[Spec, Plan]:
    return {spec: plan for spec, plan in model.engine.plans.plans.items() if not spec.training}


def test_rows_that_need_much_are_taken_a_few_at_a_time(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def model() -> bp.Model:
        return on(backend, bp.Model(Large(), seed=4))

    whole = model()
    expected = whole.predict(ROWS)
    assert max(spec.rows for spec in inference_specs(whole)) == 512
    size = inferring(whole, 512).bytes / 512
    for limit in (1, 7, 64, 100):
        monkeypatch.setattr(plans, "PASS_BYTES", int(limit * size * 1.01))
        few = model()
        assert few.predict(ROWS).tobytes() == expected.tobytes()
        # Never a plan that is too large, not even to find out.
        rows = {spec.rows: plan.bytes for spec, plan in inference_specs(few).items()}
        most = 1 << (limit.bit_length() - 1)
        assert max(rows) == max(most, 6)
        assert most in rows
        assert all(n <= 6 or used <= plans.PASS_BYTES for n, used in rows.items())
        assert few.predict(ROWS[:most]).tobytes() == expected[:most].tobytes()


def test_what_does_not_grow_with_the_rows_does_not_count(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = on(backend, bp.Model(Transposed()))
    plan = model.engine.plans.inference(model_inputs(model, (512, 6)))
    monkeypatch.setattr(plans, "PASS_BYTES", plan.bytes)
    model.predict(ROWS)
    assert max(spec.rows for spec in inference_specs(model)) == 512


def test_a_whole_batch_stays_one(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "PASS_BYTES", 1000)
    model = on(backend, bp.Model(WholeBatch()))
    assert model.predict(ROWS).shape == (1111, 6)
    assert max(spec.rows for spec in inference_specs(model)) == 1111


def test_sparse_rows_too(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X = np.where(np.random.default_rng(0).random((1500, 6)) < 0.4, 1.5, 0.0)
    whole_batch = nn.Sequential(
        nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)
    )
    for net in (mlp(2, 16, 6), whole_batch):
        again = deepcopy(net)
        model = on(backend, bp.Model(net, seed=1, dtype="float64"))
        expected = model.predict(sparse.csr_matrix(X))
        np.testing.assert_allclose(expected, model.predict(X), rtol=1e-9, atol=1e-12)
        monkeypatch.setattr(plans, "PASS_BYTES", 10_000)
        few = on(backend, bp.Model(again, seed=1, dtype="float64"))
        assert few.predict(sparse.csr_matrix(X)).tobytes() == expected.tobytes()
        monkeypatch.undo()
        assert few.engine.plans.whole_batch or max(spec.rows for spec in inference_specs(few)) < 100


def test_several_outputs_in_several_passes(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = on(backend, bp.Model(Branches(), seed=1)).predict(ROWS)
    monkeypatch.setattr(plans, "PASS_BYTES", 5000)
    few = on(backend, bp.Model(Branches(), seed=1))
    found = few.predict(ROWS)
    assert {*found} == {*whole}
    assert all(found[name].tobytes() == whole[name].tobytes() for name in whole)
    assert max(spec.rows for spec in inference_specs(few)) < 64
    assert len(parts_of(inferring(few, 3).out)) == 5

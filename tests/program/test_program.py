"""The Builder and the fusion of adjacent instructions: what is merged computes what was there before."""

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, ops, optim
from backpass.backends import Backend
from backpass.engine.step import step
from backpass.ops.formulas import ACTIVATIONS
from backpass.program import (
    Builder,
    InputSpec,
    Instruction,
    OwnLossPlan,
    Parameters,
    Tensor,
    address,
    build,
    call,
)
from backpass.system.memory import ALIGNMENT, aligned
from helpers.registered import activation_layers, sample_losses

LAYERS = activation_layers()


def test_every_activation_has_a_layer() -> None:
    assert LAYERS.keys() == ACTIVATIONS.keys()


def names(part: list[Instruction]) -> list[str]:
    return [i.op.name for i in part]


def planned(
    net: nn.Module,
    shape: tuple[int, ...],
    fuse: bool,
    monkeypatch: pytest.MonkeyPatch,
    dtype: str = "float32",
) -> tuple[bp.Model, OwnLossPlan]:
    model = bp.Model(net, dtype=dtype, seed=4)
    with monkeypatch.context() as patch:
        if not fuse:
            patch.setattr(build, "fused", lambda plan, viewed: plan)
        return model, model.engine.plans.own_loss((InputSpec("x", shape, model.dtype),))


def run(backend: Backend, built: OwnLossPlan, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    built.x[...] = rng.standard_normal(built.x.shape)
    built.dout[...] = rng.standard_normal(built.dout.shape)
    backend.compile(built.forward).run()
    backend.compile(built.backward).run()
    return built.out, built.dx["x"]


def assert_fusion_changes_nothing(
    make: Any, shape: tuple[int, ...], backend: Backend, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> tuple[OwnLossPlan, OwnLossPlan]:
    (a, fused), (b, plain) = (planned(make(), shape, fuse, monkeypatch, dtype) for fuse in (True, False))
    results = [run(backend, fused), run(backend, plain)]
    for got, want in zip([*results[0], *a.gradients()], [*results[1], *b.gradients()], strict=True):
        assert np.array_equal(got, want), f"differs by {np.abs(got - want).max()}"
    return fused, plain


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", LAYERS)
def test_fused_is_unfused(
    activation: str, dtype: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit: rows and columns around the widths of vectors and tiles."""
    for rows, inner, outer in ((1, 1, 1), (5, 17, 31), (33, 16, 7), (130, 40, 129)):

        def make(inner: int = inner, outer: int = outer) -> nn.Module:
            return nn.Sequential(
                nn.Linear(inner, outer),
                LAYERS[activation](),
                nn.Linear(outer, 3),
                LAYERS[activation](),
                nn.Linear(3, 5),
            )

        fused, plain = assert_fusion_changes_nothing(make, (rows, inner), backend, monkeypatch, dtype)
        if activation != "identity":
            assert names(plain.forward) == ["linear_forward", "activation_forward"] * 2 + ["linear_forward"]
        assert names(fused.forward) == ["linear_forward"] * 3
        assert names(fused.backward) == ["linear_backward"] * 3
        assert [i.fields["activation"] for i in fused.forward] == [activation, activation, "identity"]


def test_instruction_by_instruction(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every buffer that both programs have holds the same after each of the fused program's instructions."""
    _, fused = planned(
        nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 4), nn.Tanh()), (7, 6), True, monkeypatch
    )
    _, plain = planned(
        nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 4), nn.Tanh()), (7, 6), False, monkeypatch
    )
    for built in (fused, plain):
        run(backend, built)
    activations = [i for i in plain.forward if i.op.name == "activation_forward"]
    for one, other in zip(fused.forward, activations, strict=True):
        assert np.array_equal(one.fields["y"], other.fields["y"])
        assert (one.fields["slope"] is None) == (other.fields["slope"] is None)
        if one.fields["slope"] is not None:
            assert np.array_equal(one.fields["slope"], other.fields["slope"])


REUSES: dict[str, Any] = {
    "residual around the activation": lambda: nn.Sequential(
        nn.Linear(6, 6), nn.Residual(nn.ReLU()), nn.Linear(6, 6)
    ),
    "residual that starts with an activation": lambda: nn.Sequential(
        nn.Linear(6, 6), nn.Residual(nn.GELU(), nn.Linear(6, 6))
    ),
    "residual of a linear layer after an activation": lambda: nn.Sequential(
        nn.Linear(6, 6), nn.Tanh(), nn.Residual(nn.Linear(6, 6))
    ),
    "activation after the join": lambda: nn.Sequential(
        nn.Residual(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 6)
    ),
    "two activations": lambda: nn.Sequential(nn.Linear(6, 6), nn.Sigmoid(), nn.Tanh(), nn.Linear(6, 6)),
    "layer norm between": lambda: nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 6)),
    "flatten between": lambda: nn.Sequential(
        nn.Linear(3, 5), nn.Flatten(), nn.SiLU(), nn.Linear(10, 6), nn.Flatten(), nn.ReLU()
    ),
    "one layer twice": lambda: (lambda layer: nn.Sequential(layer, nn.ReLU(), layer, nn.Tanh(), layer))(
        nn.Linear(6, 6)
    ),
    "starts and ends with an activation": lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 6), nn.Tanh()),
    "nothing but activations": lambda: nn.Sequential(nn.Tanh(), nn.GELU()),
}


@pytest.mark.parametrize("name", REUSES)
def test_a_tensor_used_twice_is_not_fused_away(
    name: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (5, 2, 3) if name == "flatten between" else (5, 6)
    assert_fusion_changes_nothing(REUSES[name], shape, backend, monkeypatch, "float64")


def test_what_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(net: nn.Module) -> tuple[list[str], list[str]]:
        _, built = planned(net, (5, 6), True, monkeypatch)
        return names(built.forward), names(built.backward)

    linear, activation = "linear_forward", "activation_forward"
    assert both(nn.Sequential(nn.Linear(6, 6), nn.Residual(nn.ReLU())))[0] == [linear, activation, "add"]
    assert both(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Tanh()))[0] == [linear, activation]
    forward, backward = both(nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Residual(nn.Linear(6, 6))))
    assert forward == [linear, linear, "add"]
    assert backward == ["linear_backward", "add", "activation_backward", "linear_backward"]
    assert both(nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.ReLU()))[0] == [
        linear,
        "dropout_forward",
        activation,
    ]


class Block(nn.Module):
    """A residual block, whose shortcut is a convolution where the channels become more."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        self.activation = activation

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(self.activation(self.bn1(self.conv1(x)))))
        return self.activation(self.shortcut(x) + y)


# Enough rows for statistics by parts.
IMAGES = (5, 2, 48, 48)


@pytest.mark.parametrize("activation", ["relu", "silu", "elu"])
def test_residual_blocks_of_images(
    activation: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit; what is added to a normalisation, and to the gradient of a convolution, is added by that op."""

    def make() -> nn.Module:
        act = LAYERS[activation]
        return nn.Sequential(nn.Conv2d(2, 3, 1), act(), Block(3, 3, act()), Block(3, 4, act()))

    fused, plain = assert_fusion_changes_nothing(make, IMAGES, backend, monkeypatch, "float32")
    normalised = [i for i in fused.forward if i.op.name == "batch_norm_rows"]
    assert [i.fields["activation"] for i in normalised] == [
        activation,
        activation,
        activation,
        "identity",
        activation,
    ]
    assert [i.fields["other"] is not None for i in normalised] == [False, True, False, False, True]
    gradients = [i for i in fused.backward if i.op.name == "conv2d_backward"]
    assert [i.fields["other"] is not None for i in gradients].count(True) == 2
    assert "add" not in names(fused.backward)
    assert "activation_backward" in names(plain.backward)


class Views(nn.Module):
    """Several readers of one tensor by views that show the same: their gradients are added up in place."""

    def __init__(self, view: Any) -> None:
        super().__init__()
        self.shown = view
        self.lin = nn.Linear(6, 6)
        self.one, self.other = nn.Conv1d(1, 2, 3, padding=1), nn.Conv1d(1, 2, 5, padding=2)

    def forward(self, x: Any) -> Any:
        h = self.lin(x).tanh()
        return self.one(self.shown(h)) + self.other(self.shown(h)) * 2


@pytest.mark.parametrize("view", [lambda h: h.unsqueeze(1), lambda h: h[:, None], lambda h: h[:, None, :]])
def test_a_sum_in_place_is_not_fused(view: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    fused, _ = assert_fusion_changes_nothing(lambda: Views(view), (3, 6), backend, monkeypatch, "float64")
    for instruction in fused.backward:
        if (other := instruction.fields.get("other")) is not None:
            assert not np.may_share_memory(other, instruction.fields["dx"])


def test_what_a_buffer_keeps_is_written(backend: Backend) -> None:
    """An output that a buffer keeps is read once more, after the step."""

    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.p = nn.Parameter(np.ones((1, 4)))
            self.register_buffer("last", np.zeros((1, 4)))

        def forward(self, x: Any) -> Any:
            z = self.lin(self.p)
            self.last = z
            return x + z.relu()

    model = bp.Model(Keeps(), optimizer=optim.SGD(0.0), dtype="float64")
    model.backend = backend
    model.fit(np.ones((8, 4)), np.ones((8, 4)), epochs=1, batch_size=8)
    weights = model.state_dict()
    np.testing.assert_allclose(weights["last"], weights["p"] @ weights["lin.weight"].T + weights["lin.bias"])


def test_a_sum_that_somebody_else_reads_is_not_fused_away(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: Any) -> Any:
            y = self.norm(self.conv(x))
            return (y + y).relu() + (y + 1).tanh() * y.mean((2, 3), keepdim=True)

    assert_fusion_changes_nothing(Twice, IMAGES, backend, monkeypatch, "float64")


def test_fusion_leaves_the_instructions_it_was_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain = planned(nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4)), (7, 6), False, monkeypatch)
    before = [(i.op.name, dict(i.fields)) for i in [*plain.forward, *plain.backward]]
    merged = build.fused(plain)
    assert len(merged.forward) < len(plain.forward)
    for (name, fields), instruction in zip(before, [*plain.forward, *plain.backward], strict=True):
        assert instruction.op.name == name
        assert all(instruction.fields[k] is v for k, v in fields.items())


# ---- Builder ---------------------------------------------------------------------------------------------------------


def builder() -> Builder:
    return Builder(np.dtype(np.float64), training=True)


def leaf(*values: float) -> Tensor:
    x = Tensor(aligned((len(values),), np.float64), True)
    x.array[...] = values
    return x


def gradient_of(b: Builder, out: Tensor, x: Tensor, *dout: float) -> np.ndarray | None:
    forward, b.instructions = b.instructions, []
    b.add_gradient(out, leaf(*dout))
    b.backward()
    dx = b.gradient(x)
    for instruction in [*forward, *b.instructions]:
        instruction.op(**instruction.fields)
    return None if dx is None else dx.array


def test_a_tensor_used_n_times_gets_n_gradients() -> None:
    for times in (1, 2, 3, 4, 7):
        b, x = builder(), leaf(0.5, -2.0)
        parts = [
            b.emit(ops.activation_forward, x=x, activation="leaky_relu", alpha=0.25) for _ in range(times)
        ]
        out = parts[0]
        for part in parts[1:]:
            out = b.emit(ops.add, a=out, b=part)
        got = gradient_of(b, out, x, 3.0, 5.0)
        assert np.allclose(got, [3.0 * times, 5.0 * 0.25 * times]), times


def test_alias_gradients_are_passed_on_without_a_copy() -> None:
    b, x, y = builder(), leaf(1.0), leaf(2.0)
    out = b.emit(ops.add, a=x, b=y)
    dout = leaf(3.0)
    b.add_gradient(out, dout)
    b.instructions = []
    b.backward()
    assert b.instructions == []
    assert b.gradient(x) is dout
    assert b.gradient(y) is dout


def test_add_of_a_tensor_to_itself_doubles() -> None:
    b, x = builder(), leaf(1.0, 2.0)
    got = gradient_of(b, b.emit(ops.add, a=x, b=x), x, 3.0, 4.0)
    assert np.array_equal(got, [6.0, 8.0])
    b, x = builder(), leaf(1.0, 2.0)
    twice = b.emit(ops.add, a=x, b=x)
    got = gradient_of(b, b.emit(ops.add, a=twice, b=twice), x, 3.0, 4.0)
    assert np.array_equal(got, [12.0, 16.0])


def test_alias_gradients_that_meet_do_not_spoil_each_other() -> None:
    """x + relu(x): the sum of x's gradients must not be written over the gradient that the relu still reads."""
    b, x = builder(), leaf(1.0, -1.0)
    relu = b.emit(ops.activation_forward, x=x, activation="relu")
    middle = b.emit(ops.add, a=x, b=relu)
    out = b.emit(ops.add, a=middle, b=b.emit(ops.activation_forward, x=middle, activation="tanh"))
    slope = 1 + (1 - np.tanh([2.0, -1.0]) ** 2)
    got = gradient_of(b, out, x, 1.0, 1.0)
    assert np.allclose(got, slope * [2.0, 1.0])


def test_nothing_flows_where_no_gradient_is_wanted() -> None:
    b = builder()
    x = Tensor(aligned((3,), np.float64))
    out = b.emit(ops.activation_forward, x=x, activation="tanh")
    forward = len(b.instructions)
    b.add_gradient(out, leaf(1.0, 1.0, 1.0))
    b.backward()
    assert len(b.instructions) == forward
    assert b.gradient(x) is None
    model = bp.Model(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    built = model.engine.plans.training((InputSpec("x", (5, 4), model.dtype),), ((2,), model.dtype))
    assert built.backward[-1].fields["dx"] is None, (
        "the first layer computes a gradient of X that nobody reads"
    )


def test_an_unused_branch_gets_no_gradient() -> None:
    b, x = builder(), leaf(1.0)
    b.emit(ops.activation_forward, x=x, activation="tanh")
    out = b.emit(ops.activation_forward, x=x, activation="relu")
    assert np.array_equal(gradient_of(b, out, x, 5.0), [5.0])


def test_reshape_is_a_view_and_its_gradient_too() -> None:
    b = builder()
    x = Tensor(aligned((2, 3), np.float64), True)
    y = b.reshape(x, (6,))
    assert np.shares_memory(x.array, y.array)
    b.add_gradient(y, leaf(*range(6)))
    b.backward()
    dx = b.gradient(x)
    assert dx is not None
    assert np.array_equal(dx.array, np.arange(6.0).reshape(2, 3))
    assert b.instructions == []


def test_emit_refuses() -> None:
    b = builder()
    with pytest.raises(ValueError, match="add: b has shape"):
        b.emit(ops.add, a=leaf(1.0), b=leaf(1.0, 2.0))
    with pytest.raises(TypeError, match=r"add: unknown argument \['c'\]"):
        b.emit(ops.add, a=leaf(1.0), b=leaf(1.0), c=1)
    with pytest.raises(TypeError, match="float32, expected float64"):
        b.emit(ops.add, a=leaf(1.0), b=Tensor(np.zeros(1, np.float32)))


# ---- instructions and buffers --------------------------------------------------------------------------------------------


def test_instructions_are_immutable() -> None:
    instruction = call(ops.add, a=np.zeros(1), b=np.zeros(1), y=np.zeros(1))
    for name in ("op", "fields", "layer", "other"):
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(instruction, name, None)
    assert (
        call(
            ops.advance,
            loss=np.zeros(1),
            count=np.zeros(1),
            step=np.zeros(1, np.int64),
            cursor=np.zeros(1, np.int64),
            total=np.zeros(2),
            rows=3,
        ).op
        is ops.advance
    )


@pytest.mark.parametrize("name", sample_losses())
def test_buffers_of_a_plan_are_aligned(name: str) -> None:
    sample = sample_losses()[name]
    net = sample.net(
        nn.Linear(7, 13), nn.BatchNorm1d(13), nn.GELU(), nn.Dropout(0.1), nn.Residual(nn.Linear(13, 13), nn.ReLU()),
        nn.LayerNorm(13),
        nn.Linear(13, sample.outputs),
    )  # fmt: skip
    loss = sample.make()
    weight = {"weight": np.ones(sample.outputs)} if "weight" in vars(loss) else {}
    model = bp.Model(net, type(loss)(**weight))
    target = (sample.y.shape[1:], sample.y.dtype if sample.of_classes else model.dtype)
    built = model.engine.plans.training((InputSpec("x", (11, 7), model.dtype),), target, ())
    for instruction in step(built, model.engine, model.engine.counters()):
        for name in instruction.op.arrays:
            array = instruction.fields[name]
            if array is not None and array.size > 2:  # of one or two numbers: counters
                assert array.ctypes.data % ALIGNMENT == 0, f"{name} of {instruction.op.name}"
    for array in (built.x, built.out, built.target, built.weight):
        assert array is not None
        assert array.ctypes.data % ALIGNMENT == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters(dtype: str) -> None:
    flat = Parameters(dtype)
    numbers = [flat.add(shape) for shape in ((3, 5), (1,), (17,), (), (2, 0))]
    flat.allocate()
    views = [flat.view(n, flat.params) for n in numbers]
    for number, view in zip(numbers, views, strict=True):
        assert not view.size or address(view) % ALIGNMENT == 0
        assert flat.tensor(number) is flat.tensor(number)
        assert flat.tensor(number).array.shape == view.shape
        view[...] = number + 1
    assert flat.params.sum() == 15 * 1 + 1 * 2 + 17 * 3 + 1 * 4, "parameters overlap"


def test_the_padding_stays_zero() -> None:
    """What lies between the parameters must not drift: it is part of the flat vector that optimizers and norms run over."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), rng.standard_normal((40, 3))
    for optimizer in optim.NAMES:
        model = bp.Model(nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)), "mse", optimizer)
        model.fit(x, y, epochs=3)
        inside = np.zeros(model.engine.flat.size, bool)
        for number in range(len(model.engine.flat.shapes)):
            model.engine.flat.view(number, inside)[...] = True
        assert not model.engine.flat.params[~inside].any(), optimizer
        assert not model.engine.flat.grads[~inside].any(), optimizer


@pytest.mark.parametrize("keys", [("weight_ih_l0", "weight_hh_l0"), ("bias_ih_l0", "bias_hh_l0")])
def test_two_inputs_of_one_call_may_be_one_parameter(
    keys: tuple[str, str], backend: bp.backends.Backend
) -> None:
    """Both contributions to its gradient count."""
    layer = nn.LSTM(3, 3)
    setattr(layer, keys[0], layer.learned[keys[1]])
    model = bp.Model(layer, dtype="float64", backend=backend.name)
    x, y = np.random.default_rng(0).standard_normal((2, 2, 3, 3))
    assert bp.gradcheck(model, x, y).worst_relative_error < 1e-5

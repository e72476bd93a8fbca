"""Padded rows: which matrices have them, that ops take them, and that no bit depends on it."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import get_backend
from backpass.ops.contract import REGISTRY
from backpass.program import InputSpec, Instruction
from backpass.system.memory import padded_matrix
from helpers import samples

pytestmark = pytest.mark.skipif(
    "native" not in bp.available_backends(), reason="the native backend is not there"
)


def network() -> list[nn.Module]:
    """Hidden layers of 1 and 2 KiB, with what needs contiguous arrays behind two of them."""
    return [
        nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256), nn.Tanh(),
        nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 3),
    ]  # fmt: skip


def model(**options: Any) -> bp.Model:
    return bp.Model(nn.Sequential(*network()), loss="cross_entropy", seed=3, backend="native", **options)


@pytest.fixture
def unpadded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(get_backend("native")), "pads_rows", False)


DATA = np.random.default_rng(0).normal(size=(70, 512)).astype(np.float32)
LABELS = np.arange(70) % 3
INPUTS = (InputSpec("x", (8, 512), np.dtype(np.float32)),)


def computed() -> list[np.ndarray]:
    """All that a user can get of it."""
    trained = model(optimizer="adam")
    monitor = bp.callbacks.GradientMonitor(every="1 step")
    history = trained.fit(DATA, LABELS, epochs=2, batch_size=32, callbacks=[monitor])
    out = trained.forward(DATA[:9], training=True)
    dx = trained.backward(out)
    return [
        np.array(history.history["loss"]), out, dx, trained.predict(DATA), *map(np.copy, trained.gradients()),
        *map(np.copy, trained.parameters()), *(np.array([*part.values()]) for k, part in monitor.history.items() if k != "step"),
    ]  # fmt: skip


def test_no_bit_depends_on_it(request: pytest.FixtureRequest) -> None:
    padded_rows = computed()
    request.getfixturevalue("unpadded")
    for a, b in zip(padded_rows, computed(), strict=True):
        assert a.flags.c_contiguous or a.T.flags.c_contiguous
        np.testing.assert_array_equal(a, b)


def padded_rows(instructions: list[Instruction]) -> set[tuple[str, str, int]]:
    return {
        (i.op.name, name, array.shape[1])
        for i in instructions
        for name, array in i.fields.items()
        if isinstance(array, np.ndarray) and not array.flags.c_contiguous
    }


def test_which_do() -> None:
    made = model()
    plan = made.engine.plans.training(INPUTS, ((), np.dtype(np.int64)))
    assert plan.x.strides[0] == 2048 + 64
    assert padded_rows(plan.forward) == {
        ("linear_forward", "x", 512), ("linear_forward", "y", 256), ("linear_forward", "x", 256),
        ("linear_forward", "y", 512), ("linear_forward", "slope", 512),
    }  # fmt: skip
    assert {name for _, name, _ in padded_rows(plan.backward)} == {"x", "dy", "slope", "dx"}
    assert not padded_rows([i for i in plan.backward if not i.op.name.startswith("linear")])
    forward = made.engine.plans.own_loss(INPUTS)
    assert forward.dx["x"].flags.c_contiguous
    made.predict(DATA[:4])
    assert (4, 512) in made.engine.plans.inferring
    inference = made.engine.plans.inference((InputSpec("x", (4, 512), np.dtype(np.float32)),))
    assert inference.x.flags.c_contiguous
    assert inference.out.flags.c_contiguous


@pytest.mark.parametrize("other", [name for name in bp.available_backends() if name != "native"])
def test_a_pass_may_change_its_backend(other: str) -> None:
    made, plain = model(), model()
    out = made.forward(DATA[:9], training=True)
    made.backend = other
    dx = made.backward(out)
    np.testing.assert_allclose(
        dx, plain.backward(plain.forward(DATA[:9], training=True)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(made.forward(DATA[:9], training=True), out, rtol=1e-4, atol=1e-5)
    plan = made.engine.last_pass
    assert plan is not None
    assert not padded_rows(plan.forward)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_ops_take_what_they_say(name: str) -> None:
    """The native backend and Op.padded agree on which arrays may have padded rows."""
    op = REGISTRY[name]
    for argument in op.arrays:
        calls = (c for c in samples.all_calls(op, "float32") if c.get(argument) is not None)
        fields = next((c for c in calls if c[argument].ndim == 2 and min(c[argument].shape) > 1), None)
        if fields is None:
            assert argument not in op.padded
            continue
        spaced = padded_matrix(fields[argument].shape, fields[argument].dtype)
        spaced[...] = fields[argument]
        changed = op.complete({**fields, argument: spaced})
        if argument in op.padded or argument in op.strided:
            get_backend("native").run_op(name, changed)
        else:
            with pytest.raises(ValueError, match=f"{argument} is not C-contiguous"):
                get_backend("native").run_op(name, changed)

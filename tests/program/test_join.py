"""Joining: what becomes one expression, what stays, and that views are copied once at most."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.ops.expression import INPUTS, MOST_STEPS, OUTPUTS, parsed
from backpass.program import InputSpec, Instruction, Plan, Spec, build_plan
from helpers.backends import once

pytestmark = once
F64 = np.dtype("float64")


def plan(forward: Callable[[Any], Any], shape: tuple[int, ...] = (3, 4), training: bool = False) -> Plan:
    """The plan of a module with this forward; training: around a loss of somebody else's."""

    class Body(nn.Module):
        def forward(self, x: Any) -> Any:
            return forward(x)

    spec = Spec((InputSpec("x", shape, F64),), own_loss=training)
    return build_plan(Body(), None, F64, 0, np.zeros(1, np.int64), spec)


def steps(instruction: Instruction) -> list[str]:
    return [step.function for step in parsed(instruction.fields["steps"])]


def run(made: Plan, x: np.ndarray) -> np.ndarray:
    made.x[...] = x
    for instruction in made.forward:
        instruction.op(**instruction.fields)
    return made.out.copy()


def test_a_formula_is_one_instruction_without_memory_between() -> None:
    made = plan(lambda x: x.sin() * x.cos() + (1 - x.sin()) * x)
    (instruction,) = made.forward
    assert sorted(steps(instruction)) == ["add", "cos", "mul", "mul", "sin", "sin", "sub"]
    assert [name for name in OUTPUTS if instruction.fields[name] is not None] == ["y"]
    assert [name for name in INPUTS if instruction.fields[name] is not None] == ["a"]
    x = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_allclose(run(made, x), np.sin(x) * np.cos(x) + (1 - np.sin(x)) * x, rtol=1e-14)


def test_the_backward_pass_is_one_as_well() -> None:
    made = plan(lambda x: (x * x).sin(), training=True)
    assert [len(steps(i)) for i in made.forward] == [2]
    assert len(made.backward) == 1  # type: ignore[attr-defined]


def test_what_is_read_elsewhere_is_kept() -> None:
    """The sum between reads x², which has to be in memory; x² + 1 joins the pass that makes it."""

    def forward(x: Any) -> Any:
        squares = x * x
        return squares.sum(dim=1, keepdim=True) * squares

    made = plan(forward)
    assert [i.op.name for i in made.forward] == ["expression", "reduce_sum", "expression"]
    x = np.random.default_rng(1).standard_normal((3, 4))
    np.testing.assert_allclose(run(made, x), (x * x).sum(axis=1, keepdims=True) * x * x, rtol=1e-14)


def test_views_are_copied_once_and_only_for_ops_that_need_it() -> None:
    """A product and a sum read the transposed view where it is; softmax has one copy of it for two uses."""
    made = plan(lambda x: (x.mT @ x).sum(2) + x.mT.sum(1, keepdim=True).sum(1), (3, 4, 4))
    assert "copy" not in [name for i in made.forward if i.op.name == "expression" for name in steps(i)]

    def twice(x: Any) -> Any:
        turned = x.transpose(1, 2)
        return turned.softmax(-1).sum(2) + turned.log_softmax(-1).sum(2)

    names = [name for i in plan(twice, (3, 4, 5)).forward if i.op.name == "expression" for name in steps(i)]
    assert names.count("copy") == 1


@pytest.mark.parametrize("count", [1, 8, 9, 20, 40, 90])
def test_long_sums_fit_the_limits(count: int) -> None:
    """More inputs and steps than one expression may have become several, which give the same."""

    def forward(x: Any) -> Any:
        total = x[:, :1] * 0.5
        for number in range(1, count):
            total = total + x[:, number : number + 1] * (0.5 + number)
        return total

    made = plan(forward, (3, max(count, 1)))
    for instruction in made.forward:
        assert len(steps(instruction)) <= MOST_STEPS
    assert len(made.forward) <= 2 + count // 3
    x = np.random.default_rng(2).standard_normal((3, max(count, 1)))
    np.testing.assert_allclose(run(made, x)[:, 0], x @ (0.5 + np.arange(max(count, 1))), rtol=1e-12)


def test_networks_without_expressions_are_left_alone() -> None:
    """Residual sums and activations of layers keep their own instructions: the bits of the first version."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Residual(nn.Linear(4, 4), nn.Tanh()), nn.ReLU())
    model = bp.Model(net, dtype="float64")
    model.step(np.ones((3, 4)), np.ones((3, 4)))
    names = {i.op.name for p in model.engine.plans.plans.values() for part in p.parts.values() for i in part}
    assert "expression" not in names
    assert "add" in names

"""Gradients of slices: those that make up the whole are written into their places."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn


class Cut(nn.Module):
    """What a function makes of one product (N, 3, 24)."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(5, 24), function

    def forward(self, x: Any) -> Any:
        return self.function(self.linear(x)).reshape(x.shape[0], -1).sum(1, keepdim=True)


def heads(x: Any) -> Any:
    q, k, v = (x[..., 8 * i : 8 * i + 8].reshape(x.shape[0], 3, 2, 4).transpose(1, 2) for i in range(3))
    return F.scaled_dot_product_attention(q, k, v)


def gated(x: Any) -> Any:
    return x[..., :12].relu() * x[..., 12:].tanh()


def twice(x: Any) -> Any:
    part = x[..., :12]
    return part.reshape(x.shape[0], 36).tanh() * part.reshape(x.shape[0], 36).sin() + x[..., 12:].reshape(
        x.shape[0], 36
    )


def turned_and_plain(x: Any) -> Any:
    a, b = x[..., :3], x[..., 3:6]
    return a.transpose(1, 2) @ b + a.sin() @ b.transpose(1, 2) + x[..., 6:].tanh().sum()


CASES: dict[str, Callable[[Any], Any]] = {
    "attention": heads,
    "gated": gated,
    "a part that two reshape": twice,
    "a part turned and plain": turned_and_plain,
    "parts overlap": lambda x: x[..., :15].tanh() * x[..., 9:].sin(),
    "a part twice": lambda x: x[..., :12].tanh() * x[..., :12].sin() + x[..., 12:],
    "a hole": lambda x: x[..., :4].tanh() * x[..., 20:],
    "a part nobody uses": lambda x: (x[..., :12], x[..., 12:].tanh())[1],
    "a part without a gradient": lambda x: x[..., :12].tanh() + 0 * (x[..., 12:] > 0).float(),
    "every other one": lambda x: x[..., ::2].tanh() * x[..., 1::2],
    "backwards": lambda x: x[:, ::-1].tanh() * x[..., :1],
    "parts of parts": lambda x: (
        x[..., :12][..., :6].tanh() * x[..., :12][..., 6:] + x[..., 12:18] * x[..., 18:]
    ),
    "the whole as well": lambda x: x[..., :12].tanh() * x[..., 12:] + x.sin()[..., :12],
    "steps": lambda x: x[:, 0].tanh() * x[:, 1] + x[:, 2].sin(),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backend", bp.available_backends())
def test_gradients(case: str, backend: str) -> None:
    model = bp.Model(Cut(CASES[case]), "mse", dtype="float64", backend=backend)
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 1))
    assert bp.gradcheck(model, x, y).worst_relative_error < 1e-5


def fills(case: str) -> int:
    """How many instructions of the backward pass write zeros."""
    model = bp.Model(Cut(CASES[case]), "mse")
    model.fit(np.ones((2, 3, 5)), np.ones((2, 1)))
    plan = model.engine.plans.trained
    assert plan is not None
    return sum(i.fields.get("steps") == "y = copy 0.0" for i in plan.backward)


@pytest.mark.parametrize(
    ("case", "zeros"),
    [
        ("attention", 0),
        ("gated", 0),
        ("every other one", 0),
        ("steps", 0),
        ("a hole", 1),
        ("parts overlap", 1),
    ],
)
def test_zeros_are_written_where_something_is_missing(case: str, zeros: int) -> None:
    assert fills(case) == zeros


def test_attention_writes_into_the_gradient_of_the_product() -> None:
    model = bp.Model(Cut(heads), "mse")
    model.fit(np.ones((2, 3, 5)), np.ones((2, 1)))
    plan = model.engine.plans.trained
    assert plan is not None
    [attention] = [i for i in plan.backward if i.op.name == "attention_backward"]
    product = plan.backward[-1]
    assert product.op.name == "linear_backward"
    for name in ("dq", "dk", "dv"):
        assert np.shares_memory(attention.fields[name], product.fields["dy"])

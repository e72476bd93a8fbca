"""Live parity with PyTorch: tables and positions."""

from collections.abc import Callable
from typing import Any

import pytest

from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import Builder, check_trajectory, runs

pytestmark = pytest.mark.torch
V = 7


def network(net: Builder, *shape: int, optimizer: str = "SGD", **hyper: Any) -> Case:
    """A net on rows of integers below V."""
    hyper = hyper or {"lr": 0.05, "momentum": 0.8}
    return Case(net, mse, optimizer, hyper, shape=shape or (3,), indices=V)


def embedding(width: int = 4, **arguments: Any) -> Builder:
    return lambda nn: nn.Sequential(
        nn.Embedding(V, width, **arguments), nn.Flatten(), nn.Tanh(), nn.Linear(3 * width, 4)
    )


def positions(layer: Callable[[Any], Any], width: int) -> Case:
    """Positions behind a table and a nonlinearity, so that their input has a gradient."""
    net = lambda nn: nn.Sequential(  # noqa: E731
        nn.Embedding(V, width), nn.Tanh(), layer(nn), nn.Tanh(), nn.Flatten(), nn.Linear(5 * width, 4)
    )
    return network(net, 5)


def tied(nn: Any) -> Any:
    """A language model without a middle: what it looks up is also what it compares with."""
    table, head = nn.Embedding(V, 4), nn.Linear(4, V, bias=False)
    head.weight = table.weight
    return nn.Sequential(table, nn.Tanh(), head, nn.Flatten(), nn.Linear(3 * V, 4))


def tied_to_the_head(nn: Any) -> Any:
    table, head = nn.Embedding(V, 4), nn.Linear(4, V, bias=False)
    table.weight = head.weight
    return nn.Sequential(table, nn.Tanh(), head, nn.Flatten(), nn.Linear(3 * V, 4))


def bag(mode: str, width: int = 5, **arguments: Any) -> Builder:
    return lambda nn: nn.Sequential(
        nn.EmbeddingBag(V, width, mode=mode, **arguments), nn.Tanh(), nn.Linear(width, 4)
    )


def tokens(features: int, width: int, cardinalities: tuple[int, ...], cls_token: bool = False) -> Builder:
    count = features + len(cardinalities) + cls_token
    return lambda nn: nn.Sequential(
        nn.FeatureTokenizer(features, width, cardinalities, cls_token=cls_token),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(count * width, 4),
    )


CASES: dict[str, Case] = {
    "embedding": network(embedding()),
    "embedding, one column": network(embedding(1)),
    "embedding, wide": network(embedding(33)),
    "embedding, padding_idx": network(embedding(padding_idx=2)),
    "embedding, padding_idx from the end": network(embedding(padding_idx=-1)),
    "embedding, Adam": network(embedding(padding_idx=0), optimizer="Adam", lr=1e-2),
    "embedding, indices of two dimensions": network(
        lambda nn: nn.Sequential(nn.Embedding(V, 3), nn.Flatten(), nn.Linear(18, 4)), 2, 3
    ),
    "embedding, tied to a head": network(tied),
    "embedding, tied to a head's weight": network(tied_to_the_head),
    "bag, mean": network(bag("mean")),
    "bag, sum": network(bag("sum", padding_idx=2)),
    "bag, mean, padding_idx": network(bag("mean", padding_idx=-1)),
    "bag, max": network(bag("max")),
    "bag, max, padding_idx, wide": network(bag("max", 33, padding_idx=0)),
    "bag, a single index": network(bag("mean", padding_idx=0), 1),
    "bag, long": network(bag("mean", padding_idx=3), 40),
    "tokens of numbers": Case(tokens(6, 5, ()), mse, "SGD", {"lr": 0.05, "momentum": 0.8}),
    "tokens of numbers, cls": Case(tokens(6, 5, (), True), mse, "SGD", {"lr": 0.05, "momentum": 0.8}),
    "tokens of categories": network(tokens(0, 5, (7, 9, 8))),
    "tokens of categories, cls": network(tokens(0, 4, (7, 9, 8), True), optimizer="Adam", lr=1e-2),
    "positional embedding": positions(lambda nn: nn.PositionalEmbedding(9, 4), 4),
    "positional embedding, all steps": positions(lambda nn: nn.PositionalEmbedding(5, 3), 3),
    "sinusoidal positions": positions(lambda nn: nn.SinusoidalPositions(6, 9), 6),
    "sinusoidal positions, odd": positions(lambda nn: nn.SinusoidalPositions(5), 5),
    "rotary positions": positions(lambda nn: nn.RotaryPositions(6, 9), 6),
    "rotary positions, base": positions(lambda nn: nn.RotaryPositions(2, 5, base=50.0), 2),
    "rotary positions, interleaved": positions(lambda nn: nn.RotaryPositions(6, 5, interleaved=True), 6),
}
CORE = [
    "embedding, padding_idx",
    "bag, max",
    "bag, mean, padding_idx",
    "tokens of categories, cls",
    "embedding, tied to a head",
    "rotary positions",
]


@pytest.mark.parametrize(("name", "backend", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, backend: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[backend], dtype, record_property)

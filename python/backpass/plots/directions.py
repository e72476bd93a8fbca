"""Directions in the space of a model's parameters: random ones as long as its filters, or a user's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.arrays import as_array


def random_direction(
    weights: Mapping[str, np.ndarray], still: set[str], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """A direction in which each filter, a row of a weight, is as long as the model's."""
    found: dict[str, np.ndarray] = {}
    for name, weight in weights.items():
        drawn = generator.standard_normal(weight.shape)
        if weight.ndim < 2 or name in still:
            drawn[...] = 0
        else:
            axes = tuple(range(1, weight.ndim))
            own, its = (np.sqrt((array**2).sum(axis=axes, keepdims=True)) for array in (weight, drawn))
            drawn *= own / np.where(its > 0, its, 1)
        found[name] = drawn
    return found


def given_directions(directions: Any, weights: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Two directions of a user's, with 0 for the parameters that they leave out."""
    if not isinstance(directions, list | tuple) or len(directions) != 2:
        raise TypeError(f"directions is {directions!r:.80}, expected two dicts of arrays")
    found = []
    for number, direction in enumerate(directions):
        if not isinstance(direction, Mapping):
            raise TypeError(f"directions[{number}] is {direction!r:.80}, expected a dict of arrays")
        drawn = {name: np.zeros(weight.shape) for name, weight in weights.items()}
        for name, given in direction.items():
            if name not in weights:
                raise ValueError(
                    f"directions[{number}] has {name!r}, expected names among {[*weights]!r:.200}"
                )
            drawn[name] = _checked(f"directions[{number}][{name!r}]", given, weights[name].shape)
        found.append(drawn)
    return found


def _checked(argument: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = as_array(argument, given).astype(np.float64)
    if array.shape != shape:
        raise ValueError(f"{argument} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{argument} holds NaN or infinity")
    return array

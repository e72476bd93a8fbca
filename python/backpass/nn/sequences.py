"""Checks that layers of sequences share: what PyTorch's layers take, and what stands in its place."""

from typing import Any

from ..checks import is_whole
from .module import Module

# More would be a mistake that takes all memory.
MOST_LAYERS = 1000


def batch_first_only(layer: Module, batch_first: Any) -> None:
    """ValueError where the steps are to come before the rows, PyTorch's default."""
    if not layer.flag("batch_first", batch_first):
        raise ValueError(
            f"{type(layer).__name__}: batch_first is False; rows of X come first: give (N, steps, features) and batch_first=True"
        )


def layer_count(layer: Module, num_layers: Any) -> int:
    """The number of layers on top of each other, checked."""
    if not is_whole(num_layers) or not 1 <= num_layers <= MOST_LAYERS:
        raise ValueError(
            f"{type(layer).__name__}: num_layers is {num_layers!r}, expected an integer from 1 to {MOST_LAYERS}"
        )
    return int(num_layers)


def unavailable(layer: Module, **options: Any) -> None:
    """ValueError for an option of PyTorch's layer that this one lacks, if it is asked for."""
    for name, value in options.items():
        if layer.flag(name, value):
            raise ValueError(
                f"{type(layer).__name__}: {name} is {value!r}, expected False; it is not available"
            )

"""Checks that layers of sequences share: what PyTorch's layers take, and what stands in its place."""

from typing import Any

from .module import Module


def batch_first_only(layer: Module, batch_first: Any) -> None:
    """ValueError where the steps are to come before the rows, PyTorch's default."""
    if not layer.flag("batch_first", batch_first):
        raise ValueError(
            f"{type(layer).__name__}: batch_first is False; rows of X come first: give (N, steps, features) and batch_first=True"
        )


def unavailable(layer: Module, **options: Any) -> None:
    """ValueError for an option of PyTorch's layer that this one lacks, if it is asked for."""
    for name, value in options.items():
        if layer.flag(name, value):
            raise ValueError(
                f"{type(layer).__name__}: {name} is {value!r}, expected False; it is not available"
            )

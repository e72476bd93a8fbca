"""Parts of the default networks: numbers of units, linear layers at the end."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ... import nn
from ...checks import is_whole


def whole_numbers(name: str, value: Any) -> list[int]:
    """Numbers of channels or units; ValueError names the parameter."""
    numbers = [value] if is_whole(value) else [*value]
    if not all(is_whole(number) and 0 < number < 2**31 for number in numbers):
        raise ValueError(f"{name} is {value!r:.80}, expected integers from 1 to {2**31 - 1}")
    return [int(number) for number in numbers]


def linear_layers(units: Sequence[int], dropout: float) -> list[nn.Module]:
    """[Dropout], Linear and ReLU between the units, without the last ReLU."""
    layers: list[nn.Module] = []
    for number, (before, behind) in enumerate(pairwise(units)):
        layers += [nn.ReLU()] if number else []
        layers += [nn.Dropout(dropout)] if dropout else []
        layers.append(nn.Linear(before, behind))
    return layers

"""Things by label: "" for one, else [0], ['name'] or [x]."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...nn import Module
from ...program import Several, Tensor


def labels_of(layer: Module, count: int) -> list[str]:
    """What the inputs of a layer are called: one "", several by their names in `forward`."""
    return [""] if count == 1 else [f"[{name}]" for name, _ in zip(layer.takes, range(count), strict=False)]


def named(value: Any) -> dict[str, Any]:
    """One thing or several by label."""
    return (
        {value.label(name): part for name, part in value.parts.items()}
        if isinstance(value, Several)
        else {"": value}
    )


def numbered(values: Sequence[Any]) -> dict[str, Any]:
    """Things by their place."""
    return {"" if len(values) == 1 else f"[{n}]": value for n, value in enumerate(values)}


def arrays_of(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The arrays of tensors, under the same labels."""
    return {label: tensor.array for label, tensor in tensors.items()}

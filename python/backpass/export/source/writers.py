"""Which writer translates which op: an op that is not here is refused by name."""

from collections.abc import Callable
from typing import Any

from ... import ops
from ...ops import Op
from . import activation, linear
from .source import Source

WRITERS: dict[Op, Callable[[Source, dict[str, Any]], None]] = {
    ops.activation_forward: activation.activation,
    ops.linear_forward: linear.linear,
}

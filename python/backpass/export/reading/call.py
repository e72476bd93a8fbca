"""Call: one node of a network that is being traced, as the readers of operators see it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...program import Builder
from ...program.operands import constant
from ...program.symbolic import SymbolicTensor
from .description import Node
from .turned import plain


class Call:
    """A node with the values of its inputs: tensors, arrays that are known while tracing, None where one is absent."""

    def __init__(self, node: Node, builder: Builder | None, values: Sequence[Any]) -> None:
        self.node, self._builder, self.values = node, builder, values
        self._unread = {**node.attributes}

    @property
    def builder(self) -> Builder:
        """That of the network; ValueError where constants alone are computed."""
        if self._builder is None:
            raise ValueError("its inputs are no constants")
        return self._builder

    def raw(self, number: int) -> Any:
        """An input as it is, its rows wherever they are; None where it is absent."""
        return self.values[number] if number < len(self.values) else None

    def __getitem__(self, number: int) -> Any:
        """An input as a tensor or an array; None where it is absent."""
        return plain(self.raw(number))

    def tensor(self, number: int) -> SymbolicTensor:
        """An input as a tensor."""
        return self.as_tensor(self[number])

    def as_tensor(self, value: Any) -> SymbolicTensor:
        """A value as a tensor."""
        value = plain(value)
        return value if isinstance(value, SymbolicTensor) else constant(self.builder, value)

    def known(self, number: int, what: str) -> np.ndarray | None:
        """An input that has to be known before any row is: sizes, axes, limits."""
        value = self[number]
        if value is not None and not isinstance(value, np.ndarray):
            raise ValueError(f"{what} is computed of the input, expected a constant")
        return value

    def numbers(self, number: int, what: str) -> list[int] | None:
        """Integers that have to be known, as a list; None where they are absent."""
        value = self.known(number, what)
        return None if value is None else [int(each) for each in value.reshape(-1)]

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, or its default."""
        return self._unread.pop(name, default)

    def expect(self, **expected: Any) -> None:
        """Attributes that have to be these, or absent."""
        for name, value in expected.items():
            found = self.attribute(name, value)
            if found != value:
                raise ValueError(f"{name} is {found!r:.80}, expected {value!r:.80}")

    def axes(self, number: int) -> list[int] | None:
        """Axes, an input or an attribute; None where they are absent."""
        given = self.attribute("axes", None)
        return self.numbers(number, "axes") if given is None else given

    def finish(self) -> None:
        """ValueError for an attribute that nobody has read."""
        if self._unread:
            name, value = next(iter(self._unread.items()))
            raise ValueError(f"{name} is {value!r:.80}, which backpass does not know")


def is_array(value: Any) -> bool:
    """Whether a value is known while tracing."""
    return value is None or isinstance(value, np.ndarray)

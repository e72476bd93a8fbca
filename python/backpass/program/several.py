"""Several things in the place of one: the outputs of a network, their targets, their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Several:
    """Things by name in the place of one, as a tuple or a dict of them. Of arrays, all have the same rows.

    Where code holds an array or Several of them, `len`, rows by index, writing and `copy` mean the same for both.
    """

    def __init__(self, parts: Mapping[str, Any], named: bool) -> None:
        """named: whether users see a dict, else a tuple."""
        self.parts, self.named = dict(parts), named

    @classmethod
    def of(cls, given: Sequence[Any] | Mapping[str, Any]) -> Several:
        """What a tuple, a list or a dict holds."""
        if isinstance(given, Mapping):
            return cls(given, True)
        return cls({str(number): value for number, value in enumerate(given)}, False)

    @classmethod
    def of_arrays(cls, given: Any) -> Several | None:
        """What a dict, or a tuple of arrays, holds; None for all else, lists of rows among it."""
        arrays = (
            isinstance(given, tuple) and len(given) > 0 and all(hasattr(part, "__array__") for part in given)
        )
        return cls.of(given) if arrays or (isinstance(given, dict) and given) else None

    def given(self) -> Any:
        """As users see it: a dict, or a tuple."""
        return dict(self.parts) if self.named else tuple(self.parts.values())

    def label(self, name: str) -> str:
        """How a message says which part: ['policy'], or [0]."""
        return f"[{name!r}]" if self.named else f"[{name}]"

    def like(self, given: Any) -> Several | None:
        """What a tuple, a list or a dict holds, if it is arranged like this one; else None."""
        several = Several.of(given) if isinstance(given, Mapping | tuple | list) else given
        return several if self.fits(several) else None

    def kind(self) -> str:
        """What a message calls it: a dict with 'a', 'b'; a tuple of 2."""
        return f"a dict with {[*self.parts]}" if self.named else f"a tuple of {len(self.parts)}"

    def fits(self, other: Any) -> bool:
        """Whether another one has the same names, in any order."""
        return isinstance(other, Several) and {*self.parts} == {*other.parts} and self.named == other.named

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, rows: Any) -> Several:
        return Several({name: array[rows] for name, array in self.parts.items()}, self.named)

    def __setitem__(self, rows: Any, value: Any) -> None:
        for name, array in self.parts.items():
            array[rows] = value.parts[name]

    def copy(self) -> Several:
        """Copies of all parts."""
        return Several({name: array.copy() for name, array in self.parts.items()}, self.named)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Several) and self.fits(other) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash((self.named, *self.parts.items()))

    def __repr__(self) -> str:
        return repr(self.given())


def as_given(value: Any) -> Any:
    """What users see: a dict or a tuple of Several, one thing itself."""
    return value.given() if isinstance(value, Several) else value


def on_each(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """function(first, *others), or Several of what it gives for the parts of each name."""
    if not isinstance(first, Several):
        return function(first, *others)
    parts = {name: function(part, *(o.parts[name] for o in others)) for name, part in first.parts.items()}
    return Several(parts, first.named)


def parts_of(value: Any) -> list[Any]:
    """The parts of Several, or the one thing itself."""
    return [*value.parts.values()] if isinstance(value, Several) else [value]

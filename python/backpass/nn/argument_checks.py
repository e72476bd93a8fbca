"""Checks of what users give to a layer: what fits comes back, all else is an error that names the layer and the argument."""

from collections.abc import Collection
from typing import Any

from ..checks import flag, is_name, is_whole, real
from ..program import Tensor


class ArgumentChecks:
    """The checks that layers share."""

    def positive_int(self, name: str, value: Any) -> int:
        """Check a size given by the user."""
        if not is_whole(value) or value < 1:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected an integer of at least 1")
        return int(value)

    def in_range(self, name: str, value: float, low: float, high: float) -> float:
        """Check a number given by the user."""
        number = real(value)
        if not low <= number <= high:
            raise ValueError(
                f"{type(self).__name__}: {name} is {value!r}, expected a number in [{low}, {high}]"
            )
        return number

    def flag(self, name: str, value: Any) -> bool:
        """Check True or False given by the user."""
        return flag(f"{type(self).__name__}: {name}", value)

    def one_of(self, name: str, value: str, options: Collection[str]) -> str:
        """Check a name given by the user."""
        if not is_name(value, options):
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected one of {sorted(options)}")
        return value

    def expect_last(self, x: Tensor, size: int) -> None:
        """Check the last dimension of the input."""
        if not x.shape or x.shape[-1] != size:
            raise self.unfit(x, f"{size} features last")

    def unfit(self, x: Tensor, expected: str, name: str = "the input") -> ValueError:
        """The error for an input of another shape."""
        given = ", ".join(map(str, ("batch", *x.shape[1:])))
        return ValueError(f"{self!r}: {name} has shape ({given}), expected {expected}")

    def sizes(self, name: str, value: Any, dims: int, least: int = 1) -> tuple[int, ...]:
        """An integer for all of `dims` dimensions, or a tuple with one for each."""
        each = value if isinstance(value, tuple | list) else (value,) * dims
        if len(each) != dims or not all(is_whole(one) and one >= least for one in each):
            raise ValueError(
                f"{type(self).__name__}: {name} is {value!r}, expected an integer of at least {least}, or a tuple of {dims}"
            )
        return tuple(int(one) for one in each)

"""Layer: what every layer is. It declares parameters and state, and emits its calls into a Builder."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import flag, is_name, is_whole, real
from ..memory import aligned
from ..program import Builder, Parameters, Tensor
from ..recorded import Recorded


@dataclass
class Parameter:
    """A learned array that a layer declared; `number` is its place in the model's flat vector."""

    shape: tuple[int, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...], int], Any]
    fan_in: int
    shown: tuple[int, ...]  # the shape that users see
    transposed: bool
    number: int | None = None


class Layer(Recorded):
    """Base of all layers. A subclass declares parameters in `__init__` and emits its calls in `emit`."""

    def __init__(self) -> None:
        self.learned: dict[str, Parameter] = {}
        self.starts: dict[
            str, tuple[tuple[int, ...], float | int]
        ] = {}  # state that is not learned: shape and first value
        self.state: dict[str, np.ndarray] = {}
        self._flat: Parameters | None = None

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        """Emit this layer's calls on x; returns its output."""
        raise TypeError(f"{type(self).__name__} has to define emit(builder, x)")

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Inner layers by name."""
        return iter(())

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer and all inner ones with their dotted names, as in PyTorch's state_dict."""
        yield prefix, self
        for name, child in self.children():
            yield from child.walk(f"{prefix}.{name}" if prefix else name)

    def parameter(
        self,
        name: str,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, tuple[int, ...], int], Any],
        fan_in: int | None = None,
        transposed: bool = False,
        shown: tuple[int, ...] | None = None,
    ) -> None:
        """Declare a learned array. `transposed`: users see it as `.T` (PyTorch keeps weights as (out, in)); `shown`: reshaped."""
        self.learned[name] = Parameter(shape, draw, fan_in or shape[0], shown or shape, transposed)

    def bind(self, flat: Parameters) -> None:
        """Reserve the parameters in a model's flat vector."""
        if self._flat is not None and self._flat is not flat:
            raise ValueError(
                f"net: {self!r} already belongs to another model; build a new layer or copy.deepcopy it"
            )
        if self._flat is None:
            self._flat = flat
            for parameter in self.learned.values():
                parameter.number = flat.add(parameter.shape)
            for name, (shape, start) in self.starts.items():
                self.state[name] = aligned(shape, np.int64 if isinstance(start, int) else flat.dtype)
                self.state[name][...] = start

    def release(self, flat: Parameters) -> None:
        """Belong to no model again, if it was the one with this flat vector."""
        if self._flat is flat:
            self._flat = None

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw the initial values of the parameters."""
        assert self._flat is not None
        for parameter in self.learned.values():
            assert parameter.number is not None
            values = parameter.draw(rng, parameter.shape, parameter.fan_in)
            self._flat.tensor(parameter.number).array[...] = values

    def tensor(self, name: str) -> Tensor | None:
        """A parameter as a tensor of the graph; None if this layer was made without it."""
        if name not in self.learned:
            return None
        number = self.learned[name].number
        if self._flat is None or number is None:
            raise AttributeError(f"{self!r} has no {name} yet: bp.Model(...) makes the weights")
        return self._flat.tensor(number)

    def view(self, name: str, gradient: bool = False) -> np.ndarray:
        """A parameter (or its gradient) as the user sees it: in PyTorch's layout, writable, no copy."""
        tensor = self.tensor(name)
        assert tensor is not None
        array = tensor.gradient if gradient else tensor.array
        assert array is not None
        return array.T if self.learned[name].transposed else array.reshape(self.learned[name].shown)

    def view_of(self, name: str, flat: np.ndarray) -> np.ndarray:
        """The part of another flat vector, such as a moment, that belongs to a parameter, as the user sees the parameter."""
        parameter = self.learned[name]
        assert self._flat is not None and parameter.number is not None  # noqa: PT018 one thing: it has a model
        array = self._flat.view(parameter.number, flat)
        return array.T if parameter.transposed else array.reshape(parameter.shown)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            if name in self.__dict__.get("learned", ()):
                return self.view(name)
            if name in self.__dict__.get("state", ()):
                return self.state[name]
            if name in ("weight", "bias"):
                return None
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("learned", ()):
            self.view(name)[...] = value
        else:
            super().__setattr__(name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        """A layer of the same description that belongs to no model yet."""
        from copy import deepcopy

        new = object.__new__(type(self))
        memo[id(self)] = new
        for key, value in self.__dict__.items():
            new.__dict__[key] = None if key == "_flat" else deepcopy(value, memo)
        new.state = {}
        for parameter in new.learned.values():
            parameter.number = None
        return new

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

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

    def one_of(self, name: str, value: str, known: Collection[str]) -> str:
        """Check a name given by the user."""
        if not is_name(value, known):
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected one of {sorted(known)}")
        return value

    def expect_last(self, x: Tensor, size: int) -> None:
        """Check the last dimension of the input."""
        if not x.shape or x.shape[-1] != size:
            raise ValueError(
                f"{self!r}: the input has shape (batch, {', '.join(map(str, x.shape[1:]))}), expected {size} features last"
            )

"""The tree of a module: the modules and the parameters within it, under PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from ..described import Adjustable
from .parameter import Parameter


class Tree(Adjustable):
    """A module with modules as attributes; `learned` are its own parameters."""

    learned: dict[str, Parameter]

    @property
    def has_forward(self) -> bool:
        """Whether `forward` says what this module computes, so that its attributes are the modules within."""
        return False

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """Inner modules by name: all that are attributes."""
        if not self.has_forward:
            return iter(())
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Tree))

    def children(self) -> Iterator[Any]:
        """Inner modules: all that are attributes."""
        return (module for _, module in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """This module and all within by their dotted names, each once."""
        first: dict[int, tuple[str, Any]] = {}
        for name, module in self.walk():
            first.setdefault(id(module), (name, module))
        return iter(first.values())

    def modules(self) -> Iterator[Any]:
        """This module and all within, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters within by their dotted names, each once; their values are the model's: `model.named_parameters()`."""
        return (
            (dotted(prefix, name), module.learned[name]) for prefix, module, name in self.parameter_places()
        )

    def parameter_places(self) -> Iterator[tuple[str, Any, str]]:
        """Where each parameter within stands first: the dotted name of its module, the module, and its name there."""
        seen: set[int] = set()
        for prefix, module in self.walk():
            for name, parameter in module.learned.items():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield prefix, module, name

    def parameters(self) -> Iterator[Parameter]:
        """The parameters within, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """This layer and all inner ones with their dotted names, as in PyTorch's state_dict."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.walk(dotted(prefix, name))

    def apply(self, function: Callable[[Any], Any]) -> Self:
        """Call `function` with every module within, inner ones first, and with this one. Returns the module."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self


def dotted(prefix: str, name: str) -> str:
    """The name of something in the module that `prefix` names; "" is the network itself."""
    return f"{prefix}.{name}" if prefix else name

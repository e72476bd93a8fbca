"""Modules that hold modules or parameters for a `forward`: ModuleList, ModuleDict, ParameterList."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

import numpy as np

from .module import Module
from .parameter import Parameter


class ModuleList(Module):
    """List of modules (PyTorch's `nn.ModuleList`), whose weights belong to the module that has it as an attribute.

    Args:
        modules: the modules; default none. `append` and `extend` add more.

    Shapes: those of the modules, where `forward` calls them; `modules[i]` is one of them.

    Raises:
        TypeError: something that is no module, and its place.

    Example:
        >>> nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        ModuleList([Linear(4, 4), Linear(4, 4)])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.items: list[Module] = []
        self.extend(modules)

    def append(self, module: Module) -> "ModuleList":
        """Add a module at the end."""
        self.items.append(_checked(self, len(self.items), module))
        return self

    def extend(self, modules: Iterable[Module]) -> "ModuleList":
        """Add several modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), module) for i, module in enumerate(self.items))

    def __getitem__(self, index: int) -> Module:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"ModuleList({self.items!r})"


class ModuleDict(Module):
    """Modules by name (PyTorch's `nn.ModuleDict`), whose weights belong to the module that has it as an attribute.

    Args:
        modules: the modules by name; default none. `self.blocks["name"] = module` adds more.

    Shapes: those of the modules, where `forward` calls them; `modules[name]` is one of them.

    Raises:
        TypeError: something that is no module, and its name.

    Example:
        >>> nn.ModuleDict({"body": nn.Linear(4, 4)})
        ModuleDict({'body': Linear(4, 4)})
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.named: dict[str, Module] = {}
        for name, module in (modules or {}).items():
            self[name] = module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(self.named.items())

    def __getitem__(self, name: str) -> Module:
        return self.named[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.named[name] = _checked(self, name, module)

    def __contains__(self, name: object) -> bool:
        return name in self.named

    def __len__(self) -> int:
        return len(self.named)

    def __iter__(self) -> Iterator[str]:
        return iter(self.named)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self.named.keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self.named.values()

    def items(self) -> ItemsView[str, Module]:
        """Names and modules."""
        return self.named.items()

    def __repr__(self) -> str:
        return f"ModuleDict({self.named!r})"


class ParameterList(Module):
    """List of parameters (PyTorch's `nn.ParameterList`), which belong to the module that has it as an attribute.

    Args:
        values: the parameters, or arrays that become parameters; default none. `append` and `extend` add more.

    Shapes: those of the parameters; `values[i]` is one of them, in `forward` a tensor.

    Raises:
        TypeError: something that is neither.

    Example:
        >>> nn.ParameterList([np.ones(3), np.zeros((2, 3))])
        ParameterList([Parameter of shape (3,), Parameter of shape (2, 3)])
    """

    def __init__(self, values: Iterable[Parameter | np.ndarray] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: "Parameter | np.ndarray") -> "ParameterList":
        """Add a parameter at the end."""
        setattr(self, str(len(self)), value if isinstance(value, Parameter) else Parameter(value))
        return self

    def extend(self, values: "Iterable[Parameter | np.ndarray]") -> "ParameterList":
        """Add several parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if not -len(self) <= index < len(self):
            raise IndexError(f"ParameterList: index is {index}, expected one of {len(self)} parameters")
        return getattr(self, str(index % len(self)))

    def __len__(self) -> int:
        return len(self.learned)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"ParameterList({[*self.learned.values()]!r})"


def _checked(holder: Module, place: object, module: object) -> Module:
    if not isinstance(module, Module):
        raise TypeError(f"{type(holder).__name__}: {place!r} is {module!r:.80}, expected a module")
    return module

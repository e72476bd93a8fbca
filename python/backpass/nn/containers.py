"""Layers made of layers: Sequential, Residual; and Flatten."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, ClassVar, overload

from ..checks import is_whole
from ..ops import add
from ..program import Builder, Several, Tensor
from .module import Kind, Module, own_names


class Sequential(Module):
    """Layers one after another (PyTorch's `nn.Sequential`).

    Args:
        layers: the layers themselves, in the order of the forward pass; of a list: `nn.Sequential(*layers)`. Or one dict, such as
            an OrderedDict, of layers by name: the names stand in `state_dict`, and `net.name` is the layer.

    Shapes: those of the first layer's input and the last layer's output. `net[i]` is a layer, `net[i:j]` a Sequential of some.

    Raises:
        TypeError: something that is no layer, and its place. ValueError: a name with a dot, or one of nn.Module's own.

    Example:
        >>> nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
        Sequential(Linear(8, 16), ReLU(), Linear(16, 1))
    """

    structural: ClassVar[tuple[str, ...]] = ("layers",)
    # Whether the layers were given by name; pickle asks before there are any.
    has_names = False

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            raise TypeError(
                "Sequential: layers is a list, expected the layers themselves: nn.Sequential(*layers)"
            )
        found: dict[str, Any] = {str(i): layer for i, layer in enumerate(layers)}
        named = len(layers) == 1 and isinstance(layers[0], Mapping)
        if named:
            found = dict(layers[0])
            if type(self).__init__ is Sequential.__init__:  # a class of one's own has arguments of its own
                self.settings["layers"] = (found,)  # whoever changes theirs changes no network
            for name in found:
                if wrong := wrong_name(name):
                    raise ValueError(f"Sequential: a layer's name is {name!r:.80}, {wrong}")
        for name, layer in found.items():
            if not isinstance(layer, Module):
                described = f"the class {layer.__name__}" if isinstance(layer, type) else repr(layer)
                raise TypeError(f"Sequential: layer {name} is {described:.80}, expected a backpass.nn layer")
        self.names = tuple(found)
        self.layers: tuple[Module, ...] = tuple(found.values())
        self.has_names = named

    def adopt(self, twin: Module, name: str) -> None:
        if self._flat is not None and name not in self.structural:
            raise ValueError(
                f"{name} of {self!r:.80} makes other layers, and has its weights; build a new network"
            )
        super().adopt(twin, name)

    @property
    def takes(self) -> Mapping[str, Kind]:
        return self.layers[0].takes if self.layers else {"x": "number"}

    @property
    def reads_sparse(self) -> bool:  # type: ignore[override]
        return bool(self.layers) and self.layers[0].reads_sparse

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        for layer in self.layers:
            if layer.row_shape is not None:
                return layer.row_shape
        return None

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return zip(self.names, self.layers, strict=False)

    def emit(self, builder: Builder, *inputs: Tensor) -> Any:
        for i, (name, layer) in enumerate(self.named_children()):
            if isinstance(inputs[0], Several):
                raise ValueError(
                    f"Sequential: layer {self.names[i - 1]} gives several outputs, but {layer!r:.80} takes one"
                )
            if i > 0 and len(layer.takes) > 1:
                raise ValueError(
                    f"Sequential: layer {name}, {layer!r:.80}, takes {', '.join(layer.takes)}, but gets one tensor"
                )
            with builder.inside(name):
                inputs = (layer.emit(builder, *inputs),)
        return inputs[0]

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Module:
        if not isinstance(index, slice):
            return self.layers[index]
        some = dict(zip(self.names[index], self.layers[index], strict=True))
        return Sequential(some) if self.has_names else Sequential(*some.values())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(self.names if self.has_names else ())]

    def __setattr__(self, name: str, value: Any) -> None:
        if self.has_names and name in self.names:
            raise TypeError(f"Sequential: layer {name!r} is fixed once it is made; build a new nn.Sequential")
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if self.has_names and name in self.names:
            return self.layers[self.names.index(name)]
        return super().__getattr__(name)

    def __setitem__(self, index: int, layer: Module) -> None:
        raise TypeError("Sequential: layers are fixed once it is made; build a new nn.Sequential")

    def __len__(self) -> int:
        return len(self.layers)


def wrong_name(name: Any) -> str:
    """What is wrong about the name of a layer of a Sequential, "" for nothing."""
    if not isinstance(name, str) or not name or "." in name or name.startswith("_"):
        return "expected a text without a dot that begins with no underscore"
    own = {*own_names(), "layers", "names", "has_names", "settings"}
    return (
        "which nn.Module has itself; expected another one" if name in own or hasattr(Sequential, name) else ""
    )


class Residual(Module):
    """Residual branch: y = shortcut(x) + inner(x) (He et al. 2016). Without a shortcut, the gradient reaches x undamped.

    Args:
        inner: a layer, or several that follow each other.
        shortcut: the layer beside them, where they change the shape of x; default None, x as it is.

    Shapes: input (N, ...); inner and shortcut give the same shape, which is the output's.

    Raises:
        TypeError: something that is no layer. ValueError: shapes that differ, when the network first meets its input.

    Example:
        >>> nn.Residual(nn.Linear(8, 4), nn.ReLU(), shortcut=nn.Linear(8, 4))
        Residual(Linear(8, 4), ReLU(), shortcut=Linear(8, 4))
    """

    structural: ClassVar[tuple[str, ...]] = ("inner", "shortcut")

    def __init__(self, *inner: Module, shortcut: Module | None = None) -> None:
        super().__init__()
        for name, layer in (*(("inner", layer) for layer in inner), ("shortcut", shortcut)):
            if not isinstance(layer, Module) and (layer is not None or name == "inner"):
                raise TypeError(f"Residual: {name} is {layer!r:.80}, expected a backpass.nn layer")
        self.inner = inner[0] if len(inner) == 1 else Sequential(*inner)
        self.shortcut = shortcut

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        if self.inner.row_shape is None and self.shortcut is not None:
            return self.shortcut.row_shape
        return self.inner.row_shape

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield "inner", self.inner
        if self.shortcut is not None:
            yield "shortcut", self.shortcut

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        branches = {"inner": x, "shortcut": x}
        for name, layer in self.named_children():
            with builder.inside(name):
                y = layer.emit(builder, x)
            if isinstance(y, Several):
                raise ValueError(f"Residual: {name} gives {len(y.parts)} outputs, expected one")
            branches[name] = y
        y, beside = branches["inner"], branches["shortcut"]
        if y.shape != beside.shape:
            shapes = f"inner turns {x.shape[1:]} into {y.shape[1:]}"
            if self.shortcut is None:
                raise ValueError(
                    f"Residual: {shapes}, expected the same shape; give a layer that changes x alike as shortcut="
                )
            raise ValueError(f"Residual: {shapes}, but shortcut= into {beside.shape[1:]}")
        if beside.array.flags.c_contiguous or y.array.flags.c_contiguous:
            return builder.emit(add, a=beside, b=y)
        from ..program.order import alike  # here: `import backpass` is to be quick

        return alike(builder, lambda a, b: builder.emit(add, a=a, b=b), beside, y)


class Flatten(Module):
    """Flatten: dimensions start_dim to end_dim as one, in their order (PyTorch's `nn.Flatten`).

    A view of the same buffer; where the channels of images lie last in memory, a copy.

    Args:
        start_dim: the first of these dimensions, at least 1 (0 is the batch, which stays); default 1.
        end_dim: the last of them, negative ones counted from the end; default -1.

    Shapes: input (N, C, H, W), output (N, C·H·W) by default.

    Raises:
        ValueError: a dimension that the input does not have.

    Example:
        >>> nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        Sequential(Flatten(), Linear(784, 10))
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        # 0 is the batch, which stays.
        self.start_dim = self.positive_int("start_dim", start_dim)
        if not is_whole(end_dim):
            raise ValueError(f"Flatten: end_dim is {end_dim!r}, expected an integer")
        self.end_dim = int(end_dim)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        end = self.end_dim % len(x.shape) + 1 if -len(x.shape) <= self.end_dim < len(x.shape) else 0
        if end <= self.start_dim:
            raise ValueError(
                f"{self!r}: cannot flatten dimensions {self.start_dim} to {self.end_dim} of {len(x.shape)}"
            )
        lead, middle, tail = x.shape[: self.start_dim], x.shape[self.start_dim : end], x.shape[end:]
        return builder.reshape(x, (*lead, prod(middle), *tail))

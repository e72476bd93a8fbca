"""Layers made of layers: Sequential, Residual, Flatten."""

from collections.abc import Iterator
from math import prod

from ..checks import is_whole
from ..program import Builder, Tensor
from .layer import Layer


class Sequential(Layer):
    """Layers one after another."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: layer {i} is {layer!r}, expected a backpass.nn layer")
        self.layers = list(layers)

    def children(self) -> Iterator[tuple[str, Layer]]:
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        outer = builder.layer
        for name, layer in self.children():
            builder.layer = f"{outer}.{name}" if outer else name
            x = layer.emit(builder, x)
        builder.layer = outer
        return x

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


class Residual(Layer):
    """y = x + inner(x) (He et al. 2016): the gradient reaches x undamped. inner keeps the shape."""

    def __init__(self, *inner: Layer) -> None:
        super().__init__()
        for layer in inner:
            if not isinstance(layer, Layer):
                raise TypeError(f"Residual: inner is {layer!r}, expected a backpass.nn layer")
        self.inner = inner[0] if len(inner) == 1 else Sequential(*inner)

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield "inner", self.inner

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        outer = builder.layer
        builder.layer = f"{outer}.inner" if outer else "inner"
        y = self.inner.emit(builder, x)
        builder.layer = outer
        if y.shape != x.shape:
            raise ValueError(
                f"Residual: inner turns {x.shape[1:]} into {y.shape[1:]}, expected the same shape"
            )
        return builder.emit("add", a=x, b=y)

    def __repr__(self) -> str:
        return f"Residual({self.inner!r})"


class Flatten(Layer):
    """Dimensions start_dim to end_dim as one, by default all but the batch: another view of the same buffer."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = self.positive_int("start_dim", start_dim)  # 0 is the batch, which stays
        if not is_whole(end_dim):
            raise ValueError(f"Flatten: end_dim is {end_dim!r}, expected an integer")
        self.end_dim = int(end_dim)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        last = self.end_dim % len(x.shape) + 1 if -len(x.shape) <= self.end_dim < len(x.shape) else 0
        if last <= self.start_dim:
            raise ValueError(
                f"{self!r}: cannot flatten dimensions {self.start_dim} to {self.end_dim} of {len(x.shape)}"
            )
        lead, middle, rest = x.shape[: self.start_dim], x.shape[self.start_dim : last], x.shape[last:]
        return builder.reshape(x, (*lead, prod(middle), *rest))

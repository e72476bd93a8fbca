"""Layers made of layers: Sequential, Residual, Flatten."""

from collections.abc import Iterator
from math import prod

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
    """(B, ...) to (B, everything else): another view of the same buffer. Only the PyTorch default, start_dim=1."""

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.reshape(x, (x.shape[0], prod(x.shape[1:])))

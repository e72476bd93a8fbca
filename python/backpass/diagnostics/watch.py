"""Layers watched while a network is emitted: what each of them takes and gives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..nn import Module
from ..program import Builder

# (layer, builder, inputs) -> the inputs that the layer is given.
Enter = Callable[[Module, Builder, tuple[Any, ...]], tuple[Any, ...]]


def as_they_are(layer: Module, builder: Builder, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs themselves."""
    return inputs


@contextmanager
def watched(
    net: Module, note: Callable[[Module, Builder, Any], None], enter: Enter = as_they_are
) -> Iterator[None]:
    """Within, `note(layer, builder, output)` is called whenever a layer of the network has emitted its output.

    enter: is called before it emits, and says what it is given.
    """

    def noting(layer: Module) -> Callable[..., Any]:
        def emit(builder: Builder, *tensors: Any) -> Any:
            y = type(layer).emit(layer, builder, *enter(layer, builder, tensors))
            note(layer, builder, y)
            return y

        return emit

    layers = [layer for _, layer in net.walk()]
    try:
        for layer in layers:
            layer.__dict__["emit"] = noting(layer)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("emit", None)

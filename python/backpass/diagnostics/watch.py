"""Layers watched while a network is emitted: what each of them gives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..nn import Module
from ..program import Builder


@contextmanager
def watched(net: Module, note: Callable[[Module, Builder, Any], None]) -> Iterator[None]:
    """Within, `note(layer, builder, output)` is called whenever a layer of the network has emitted its output."""

    def noting(layer: Module) -> Callable[..., Any]:
        def emit(builder: Builder, *tensors: Any) -> Any:
            y = type(layer).emit(layer, builder, *tensors)
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

"""model.summary(): a table of the layers, the shapes they give and the parameters they learn."""

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from .nn import Layer
from .program import Builder, Tensor

if TYPE_CHECKING:
    from .model import Model

BATCH = 2  # batch normalisation takes no fewer rows


def summary(model: "Model") -> str:
    """A table with one line for each layer: name, layer, output shape without the batch, learned parameters."""
    shapes = output_shapes(model)
    rows = [("name", "layer", "output", "parameters")]
    seen: set[int] = set()
    total = state = 0
    for name, layer in model.net.walk():
        shared = id(layer) in seen
        seen.add(id(layer))
        own = 0 if shared else sum(prod(parameter.shape) for parameter in layer.learned.values())
        total += own
        state += 0 if shared else sum(array.size for array in layer.state.values())
        if name and not any(True for _ in layer.children()):
            rows.append((name, repr(layer), shapes.get(name, "?"), "(shared)" if shared else f"{own:,}"))
        elif name or model.net.learned:
            rows.append((name or "net", type(layer).__name__, shapes.get(name, "?"), f"{own:,}" if own else ""))
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{a:<{width[0]}}  {b:<{width[1]}}  {c:<{width[2]}}  {d:>{width[3]}}".rstrip() for a, b, c, d in rows]
    rule = "-" * (sum(width) + 6)
    memory = total * model.dtype.itemsize / 1024
    end = [f"{total:,} parameters, {memory:,.1f} KiB as {model.dtype}" + (f"; {state:,} values not learned" if state else "")]
    end.append(f"loss {model.callable_loss or model.loss!r}, optimizer {model.optimizer!r}, backend {model.backend.name}")
    return "\n".join([lines[0], rule, *lines[1:], rule, *end])


def output_shapes(model: "Model") -> dict[str, str]:
    """The output shape of each layer by name; empty if the network does not tell what input it takes."""
    for shape in candidates(model):
        try:
            return _trace(model, shape)
        except ValueError:  # this input does not fit
            continue
    return {}


def candidates(model: "Model") -> list[tuple[int, ...]]:
    """Shapes of one row of X: the one the model was used with, else what the first layer that says so expects."""
    used = [spec.shape[1:] for spec in model._plans]
    for _, layer in model.net.walk():
        for attribute in ("in_features", "num_features"):
            if hasattr(layer, attribute):
                return [*used, (getattr(layer, attribute),)]
        if hasattr(layer, "normalized_shape"):
            return [*used, layer.normalized_shape]
    return used


def _trace(model: "Model", shape: tuple[int, ...]) -> dict[str, str]:
    """Emit the network once, for nothing but the shapes, and note what each layer returns."""
    found: dict[str, str] = {}
    names: dict[int, str] = {}
    layers: dict[int, Layer] = {}
    for name, layer in model.net.walk():
        names[id(layer)] = name
        layers[id(layer)] = layer

    def noting(layer: Layer) -> Callable[[Builder, Tensor], Tensor]:
        def emit(builder: Builder, x: Tensor) -> Tensor:
            y: Any = type(layer).emit(layer, builder, x)
            found[names[id(layer)]] = str(tuple(y.shape[1:]))
            return y  # type: ignore[no-any-return]

        return emit

    try:
        for layer in layers.values():
            layer.__dict__["emit"] = noting(layer)
        model.net.emit(Builder(model.dtype, training=False), Tensor(Builder(model.dtype, False).tensor((BATCH, *shape)).array))
    finally:
        for layer in layers.values():
            layer.__dict__.pop("emit", None)
    return found

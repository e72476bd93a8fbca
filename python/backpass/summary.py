"""model.summary(): a table of the layers, the shapes they give and the parameters they learn."""

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from .nn import Layer
from .program import Builder, Tensor

if TYPE_CHECKING:
    from .model import Model


def summary(model: "Model") -> str:
    """A table with one line for each layer: name, layer, shape of one row of its output, learned parameters."""
    shapes = output_shapes(model)
    rows = [("name", "layer", "output", "parameters")]
    seen: set[int] = set()
    total = state = 0
    for name, layer in model.net.walk():
        shared = id(layer) in seen
        seen.add(id(layer))
        own = sum(prod(parameter.shape) for parameter in layer.learned.values())
        if not shared:
            total += own
            state += sum(array.size for array in layer.state.values())
        leaf = next(layer.children(), None) is None
        if name or leaf:
            count = "(shared)" if shared and own else f"{own:,}" if leaf else ""
            rows.append(
                (
                    name or "net",
                    repr(layer) if leaf else type(layer).__name__,
                    shapes.get(id(layer), "?"),
                    count,
                )
            )
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{a:<{width[0]}}  {b:<{width[1]}}  {c:<{width[2]}}  {d:>{width[3]}}".rstrip() for a, b, c, d in rows
    ]
    rule = "-" * max(map(len, lines))
    parameters = f"{total:,} parameters, {total * model.dtype.itemsize / 1024:,.1f} KiB as {model.dtype}"
    if state:
        parameters += f"; {state:,} values kept but not learned"
    loss = getattr(model.callable_loss, "__name__", repr(model.callable_loss or model.loss))
    setting = f"loss {loss}, optimizer {model.optimizer!r}, backend {model.backend.name}"
    return "\n".join([lines[0], rule, *lines[1:], rule, parameters, setting])


def output_shapes(model: "Model") -> dict[int, str]:
    """The output shape of each layer by its id; empty if nothing tells what input the network takes."""
    for shape in _input_shapes(model):
        try:
            return _trace(model, shape)
        except ValueError:  # this one does not fit
            continue
    return {}


def _input_shapes(model: "Model") -> list[tuple[int, ...]]:
    """The shape that the model was used with, else what the first layer that has an opinion expects."""
    used = [spec.shape[1:] for spec in model.programs.plans]
    for _, layer in model.net.walk():
        for attribute in ("in_features", "num_features", "normalized_shape"):
            expected = getattr(layer, attribute, None)
            if expected is not None:
                return [*used, expected if isinstance(expected, tuple) else (expected,)]
    return used


def _trace(model: "Model", shape: tuple[int, ...]) -> dict[int, str]:
    """Emit the network for one row and throw the program away; only the shapes are kept."""
    found: dict[int, str] = {}

    def noting(layer: Layer) -> Callable[[Builder, Tensor], Tensor]:
        def emit(builder: Builder, x: Tensor) -> Tensor:
            y = type(layer).emit(layer, builder, x)
            found[id(layer)] = str(y.shape[1:])
            return y

        return emit

    layers = [layer for _, layer in model.net.walk()]
    builder = Builder(model.dtype, training=False)
    try:
        for layer in layers:
            layer.__dict__["emit"] = noting(layer)
        model.net.emit(builder, builder.tensor((1, *shape)))
    finally:
        for layer in layers:
            layer.__dict__.pop("emit", None)
    return found

"""summary: a table of the layers, the shapes they give and the parameters they learn."""

from math import prod
from typing import Any, NamedTuple

from ..drawing.html import boxed, line_of, table
from ..engine.engine import Engine
from ..nn import Module
from ..program import Builder, InputSpec, parts_of
from .text import Text
from .watch import watched

HEAD = ("name", "layer", "output", "parameters")
# Layers of a table in a notebook.
MOST = 60


class Table(NamedTuple):
    """The lines of a summary: for each layer its name, itself, the shape of a row of its output, its parameters; and two more."""

    layers: list[tuple[str, str, str, str]]
    parameters: str
    setting: str


def summary(engine: Engine) -> Text:
    """A table with one line for each layer: name, layer, shape of one row of its output, learned parameters."""
    found = table_of(engine)
    rows = [HEAD, *found.layers]
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{a:<{width[0]}}  {b:<{width[1]}}  {c:<{width[2]}}  {d:>{width[3]}}".rstrip() for a, b, c, d in rows
    ]
    rule = "-" * max(map(len, lines))
    return Text("\n".join([lines[0], rule, *lines[1:], rule, found.parameters, found.setting]))


def summary_html(engine: Engine) -> str:
    """The same for a notebook; of many layers the first."""
    found = table_of(engine)
    rows, left = found.layers[:MOST], len(found.layers) - MOST
    rows += [("…", f"{left:,} more", "", "")] if left > 0 else []
    return boxed(table(HEAD, rows, left=3), line_of(found.parameters), line_of(found.setting))


def table_of(engine: Engine) -> Table:
    """What a summary says."""
    shapes = output_shapes(engine)
    rows: list[tuple[str, str, str, str]] = []
    seen: set[int] = set()
    counted: set[int] = set()
    total = state = 0
    for name, layer in engine.net.walk():
        shared = id(layer) in seen
        seen.add(id(layer))
        learned = sum(prod(parameter.shape) for parameter in layer.learned.values())
        if not shared:
            # A tied one counts once.
            total += sum(prod(p.shape) for p in layer.learned.values() if id(p) not in counted)
            counted.update(map(id, layer.learned.values()))
            state += sum(array.size for array in layer.state.values())
        leaf = next(layer.named_children(), None) is None
        if name or leaf:
            count = "(shared)" if shared and learned else f"{learned:,}" if leaf else ""
            rows.append(
                (
                    name or "net",
                    repr(layer) if leaf else type(layer).__name__,
                    shapes.get(id(layer), "?"),
                    count,
                )
            )
    parameters = f"{total:,} parameters, {total * engine.dtype.itemsize / 1024:,.1f} KiB as {engine.dtype}"
    if state:
        parameters += f"; {state:,} values kept but not learned"
    loss = getattr(engine.loss_function, "__name__", repr(engine.loss_function or engine.loss))
    setting = f"loss {loss}, optimizer {engine.optimizer!r}, backend {engine.backend.name}"
    return Table(rows, parameters, setting)


def output_shapes(engine: Engine) -> dict[int, str]:
    """The output shape of each layer by its id; empty if nothing tells what input the network takes."""
    for inputs in engine.plans.used_inputs():
        try:
            return _trace(engine, inputs)
        except ValueError:  # this one does not fit
            continue
    return {}


def _trace(engine: Engine, inputs: tuple[InputSpec, ...]) -> dict[int, str]:
    """Emit the network for one row and throw the program away; only the shapes are kept."""
    shapes: dict[int, str] = {}

    def note(layer: Module, builder: Builder, y: Any) -> None:
        shapes[id(layer)] = ", ".join(str(part.shape[1:]) for part in parts_of(y))

    builder = Builder(engine.dtype, training=False)
    with watched(engine.net, note):
        engine.net.emit(builder, *(builder.tensor((1, *spec.shape[1:]), spec.dtype) for spec in inputs))
    return shapes

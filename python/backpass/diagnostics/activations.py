"""bp.activations: what the layers of a network give for some rows, by their names."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..data.inputs import with_lengths
from ..data.sparse import SparseRows
from ..engine.engine import Engine, HasEngine
from ..engine.inputs import taken
from ..engine.passes import rows_as_they_are
from ..errors import did_you_mean
from ..nn import Module
from ..program import Builder, Several, Spec, Tensor, build_plan
from ..system.exclusive import computing
from .watch import watched

# Rows of one pass.
ROWS = 128


def activations(
    model: HasEngine, x: Any, layer: str | Iterable[str] | None = None, lengths: Any = None
) -> dict[str, np.ndarray]:
    """Activations: the outputs of the layers of a network for some rows, as for inference.

    Names are those of `state_dict` and `summary`, such as "0" or "3.inner.1"; the network itself is "".

    Args:
        model: any bp.Model.
        x: (N, ...) rows, as for `predict`.
        layer: the name of a layer or a container, or several; default None, all layers that hold no others.
        lengths: (N,) integers, as for `predict`; default None.

    Returns a dict of arrays, the rows first, in the order in which the layers come. Of several outputs of one layer the names
    end in [0] or ['name']; of a layer that is called several times the last output is kept.

    Raises:
        ValueError: a name that there is not. ValueError, TypeError: x does not fit the network.

    Example:
        >>> {name: y.shape for name, y in bp.activations(model, X[:5]).items()}
        {'0': (5, ...), ...}
    """
    names = None if layer is None else [layer] if isinstance(layer, str) else listed(layer)
    return _activations(model, with_lengths(x, lengths, model.engine.net), names)


def listed(names: Any) -> list[str]:
    """The names of several layers, as a user gives them."""
    if not isinstance(names, list | tuple | set | dict) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"layer is {names!r:.80}, expected the name of a layer, or a list of names")
    return [*names]


@computing
def _activations(model: HasEngine, x: Any, names: list[str] | None) -> dict[str, np.ndarray]:
    engine = model.engine
    engine.refresh()
    inputs = taken(engine, x, rows_as_they_are)
    if any(isinstance(source, SparseRows) for source in inputs.sources.values()):
        raise TypeError("x is a sparse matrix, expected a dense batch: x.toarray()")
    if not inputs.rows:
        raise ValueError("x is empty, expected at least one row")
    engine.plans.output_shape(inputs.specs(1, engine.dtype))  # says so if it does not fit
    rows = inputs.rows if engine.plans.whole_batch else ROWS
    network = _Watched(engine, names)
    passes: list[dict[str, np.ndarray]] = []
    executor = None
    for start in range(0, inputs.rows, rows):
        part = inputs.part(slice(start, start + rows))
        if executor is None or part.rows != rows:
            spec = Spec(part.specs(part.rows, engine.dtype), precision=engine.precision)
            plan = build_plan(network, None, engine.dtype, engine.seed, engine.step_count, spec)
            executor = engine.backend.compile(plan.forward)
        with np.errstate(all="ignore"):  # in their dtype numbers may be too large for the model's
            for name, array in part.batch(slice(None)).items():
                plan.inputs[name][...] = array
        executor.run(1, engine.threads)
        assert isinstance(plan.out, Several)
        passes.append({name: array.copy() for name, array in plan.out.parts.items()})
    return {name: _joined([one[name] for one in passes]) for name in passes[0]}


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _Watched:
    """A network whose outputs are those of its layers."""

    def __init__(self, engine: Engine, names: list[str] | None) -> None:
        self.net, self.names = engine.net, names

    def emit(self, builder: Builder, *inputs: Tensor, **options: Any) -> Several:
        outputs: dict[str, Any] = {}
        leaves: list[str] = []

        def note(layer: Module, builder: Builder, y: Any) -> None:
            outputs.pop(builder.layer, None)
            outputs[builder.layer] = y
            if next(layer.named_children(), None) is None and builder.layer not in leaves:
                leaves.append(builder.layer)

        with watched(self.net, note):
            self.net.emit(builder, *inputs)
        for name in self.names or ():
            if name not in outputs:
                near = did_you_mean(name, outputs) or f"; expected one of {[*outputs]!r:.200}"
                raise ValueError(f"layer is {name!r}, but the network has no such layer{near}")
        chosen = [name for name in outputs if name in (leaves if self.names is None else self.names)]
        return Several(
            {key: tensor for name in chosen for key, tensor in named_parts(name, outputs[name])}, named=True
        )


def named_parts(name: str, y: Any) -> Iterable[tuple[str, Tensor]]:
    """The outputs of a layer, usually one, by name."""
    return (
        [(name + y.label(key), part) for key, part in y.parts.items()]
        if isinstance(y, Several)
        else [(name, y)]
    )

"""bp.gradients: the gradients of a loss for one batch, of the parameters or of what the layers give, by name."""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from ..checks import is_name
from ..engine import weights
from ..engine.engine import HasEngine
from ..errors import did_you_mean
from .activations import listed, named_parts
from .backprop.passes import Passes, run_passes

OF = ("parameters", "outputs")


def gradients(
    model: HasEngine,
    x: Any,
    y: Any,
    layer: str | Iterable[str] | None = None,
    of: Literal["parameters", "outputs"] = "parameters",
    lengths: Any = None,
) -> dict[str, np.ndarray]:
    """Gradients: dL/dw of the parameters of a model for one batch, or dL/dy of what its layers give, as in training.

    They are those of `model.step(x, y)` before clipping and weight decay, with its dropout masks and batch statistics. A copy
    of the model computes them: its weights, moments and counters stay as they are.

    Args:
        model: any bp.Model; one with a callable loss, too.
        x: (N, ...) rows of one batch. y: their targets, as in `fit`.
        layer: the name of a layer or a container, or several; default None, all.
        of: "parameters" (default), by the names of `state_dict`, such as "0.weight"; "outputs", by the names of `activations`.
        lengths: (N,) integers, as in `fit`; default None.

    Returns a dict of arrays: of parameters in PyTorch's layout, 0 where they are frozen; of outputs shaped like them, of a layer
    that is called several times that of the last call, and none where nothing flows back.

    Raises:
        ValueError: a name that there is not, another word for of. ValueError, TypeError: x or y does not fit.

    Example:
        >>> {name: g.shape for name, g in bp.gradients(model, X[:5], y[:5]).items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (1, 8), '2.bias': (1,)}
    """
    if not is_name(of, OF):
        raise ValueError(f"of is {of!r:.80}, expected 'parameters' or 'outputs'")
    names = None if layer is None else [layer] if isinstance(layer, str) else listed(layer)
    walked = dict(model.engine.net.walk())
    for name in names or ():
        if name not in walked:
            near = did_you_mean(name, walked) or f"; expected one of {[*walked]!r:.200}"
            raise ValueError(f"layer is {name!r}, but the network has no such layer{near}")
    passes = run_passes(model, x, y, lengths)
    return _of_outputs(passes, names) if of == "outputs" else _of_parameters(passes, names)


def _of_parameters(passes: Passes, names: list[str] | None) -> dict[str, np.ndarray]:
    found, net = passes.gradients(), passes.engine.net
    if names is None:
        return found
    within = {
        id(inner.learned[key])
        for name in names
        for _, inner, key in dict(net.walk())[name].parameter_places()
    }
    return {
        name: found[name] for name, inner, key in weights.learned(net) if id(inner.learned[key]) in within
    }


def _of_outputs(passes: Passes, names: list[str] | None) -> dict[str, np.ndarray]:
    recorder = passes.recorder
    for name in names or ():
        if name not in recorder.outputs:
            raise ValueError(
                f"layer is {name!r}, but forward calls no such layer, expected one of {[*recorder.outputs]!r:.200}"
            )
    leaves = [call.name for call in recorder.calls]
    chosen = [name for name in recorder.outputs if name in (leaves if names is None else names)]
    parts = [part for name in chosen for part in named_parts(name, recorder.outputs[name])]
    gradients = {name: recorder.gradient(tensor) for name, tensor in parts}
    return {name: np.array(array, order="C") for name, array in gradients.items() if array is not None}

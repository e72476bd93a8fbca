"""bp.explain: one step of backpropagation with every number."""

from typing import Any, Literal

from ..checks import is_name
from ..engine.engine import HasEngine
from .backprop.explanation import Explanation
from .backprop.nodes import Nodes
from .backprop.passes import run_passes
from .backprop.weighed import add_chains, add_weights

DETAIL = ("auto", "numbers", "summary")


def explain(
    model: HasEngine,
    x: Any,
    y: Any,
    *,
    detail: Literal["auto", "numbers", "summary"] = "auto",
    lengths: Any = None,
) -> Explanation:
    """One step of backpropagation with every number: dL/dw = Σ dL/dy · dy/dz · dz/dw over the rows of a batch.

    For each layer its formula, input, output, local slope, the gradient that arrives (dL/dy) and that leaves (dL/dx), the
    gradients of the weights, and what the optimizer takes off the weights. The step runs on a copy of the model, on its
    backend and in its dtype; weights, moments, counters and random numbers of the model stay as they are.

    The numbers are those of the program's own buffers. A step of `fit` computes a layer and its activation at once; here each
    op keeps its buffer, so that what lies between the two, z, stands there as well. A weight that is used several times shows at
    each use the gradient of all of them.

    Args:
        model: any bp.Model; one with a callable loss, too.
        x: (N, ...) rows of one batch. y: their targets, as in `fit`.
        detail: of text "auto" (default), every number of arrays of at most 64, of larger ones shape, mean, range and norm;
            "numbers", every number; "summary", none. A page holds the numbers of arrays of at most 512.
        lengths: (N,) integers, as in `fit`; default None.

    Returns an Explanation: print it, `to_dict()` has its arrays by layer name, `to_html(path)` writes a page on which a click on
    a weight shows its chain of factors. A notebook shows that page.

    Raises:
        ValueError, TypeError: x, y or another argument does not fit. NonFiniteError: the loss or a gradient is not finite.

    Example:
        >>> step = bp.explain(model, X[:5], y[:5])
        >>> step.to_dict()["0"]["dweight"].shape
        (8, 4)
    """
    if not is_name(detail, DETAIL):
        raise ValueError(f"detail is {detail!r:.80}, expected one of {[*DETAIL]}")
    passes = run_passes(model, x, y, lengths)
    engine, plan = passes.engine, passes.plan
    nodes = Nodes(passes).nodes
    add_weights(nodes, passes)
    add_chains(nodes)
    loss = getattr(engine.loss_function, "__name__", repr(engine.loss_function or engine.loss))
    setting = f"loss {loss}, optimizer {engine.optimizer!r}, backend {engine.backend.name}, {engine.dtype}"
    return Explanation(nodes, float(plan.loss[0]), len(plan.x), setting, detail)

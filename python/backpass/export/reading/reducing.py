"""What is computed along dimensions: sums, largest elements, softmax."""

from collections.abc import Callable
from typing import Any

from ...nn import functional as F
from ...program.symbolic import SymbolicTensor
from .call import Call
from .turned import Turned, like

Reader = Callable[[Call], Any]


def reduced(function: Callable[[SymbolicTensor, list[int], bool], SymbolicTensor]) -> Reader:
    """A reduction over axes, default all."""

    def read(call: Call) -> Any:
        x, axes = call.raw(0), call.axes(1)
        keep, empty = bool(call.attribute("keepdims", 1)), call.attribute("noop_with_empty_axes", 0)
        if not axes and empty:
            return x
        gone = sorted({axis % x.ndim for axis in axes}) if axes else [*range(x.ndim)]
        if isinstance(x, Turned) and x.at not in gone:
            y = function(x.tensor, [x.axis(axis) for axis in gone], keep)
            return like(y, x.at if keep else x.at - sum(axis < x.at for axis in gone))
        return function(call.tensor(0), gone, keep)

    return read


def argmax(call: Call) -> Any:
    """Where the first of the largest elements is."""
    call.expect(select_last_index=0)
    return call.tensor(0).argmax(call.attribute("axis", 0), bool(call.attribute("keepdims", 1)))


def softmax(call: Call) -> Any:
    """Softmax along an axis, or its logarithm."""
    x, axis = call.raw(0), call.attribute("axis", -1)
    function = F.log_softmax if call.node.op == "LogSoftmax" else F.softmax
    if isinstance(x, Turned) and axis % x.ndim != x.at:
        return like(function(x.tensor, x.axis(axis)), x.at)
    return function(call.tensor(0), axis)


REDUCING: dict[str, Reader] = {
    "ArgMax": argmax, "Softmax": softmax, "LogSoftmax": softmax,
    "ReduceSum": reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMean": reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMax": reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": reduced(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceSumSquare": reduced(lambda x, axes, keep: (x * x).sum(axes, keep)),
    "ReduceL2": reduced(lambda x, axes, keep: (x * x).sum(axes, keep).sqrt()),
    "ReduceLogSumExp": reduced(lambda x, axes, keep: x.logsumexp(axes, keep)),
}  # fmt: skip

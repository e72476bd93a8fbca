"""The weights of LSTM, GRU and RNN as nn has them, however nodes arrange them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..graph.recurrent import GRU_GATES, LSTM_GATES
from .call import Call, is_array
from .description import OURS, Description, Node
from .learned import Learned
from .readers import computed

GATES = {"LSTM": LSTM_GATES, "GRU": GRU_GATES, "RNN": (0,)}
# Nodes that only arrange weights.
ARRANGING = {
    "Gather", "Reshape", "Transpose", "Concat", "Slice", "Unsqueeze", "Squeeze", "Identity", "Split", "Constant",
}  # fmt: skip


def recurrent_weights(
    node: Node, network: Description, producers: dict[str, Node]
) -> tuple[Node, dict[str, Learned]]:
    """A recurrent node that reads the weights of each direction as nn has them, and these by name."""
    inputs = (*node.inputs, *[""] * 8)[:8]
    if inputs[7] or (node.op != "LSTM" and inputs[6]):
        raise ValueError(f"{node} has peepholes or a cell state that backpass does not know")
    given = [_array(name, node, network, producers) for name in inputs[1:4]]
    w, r, b = given
    if w is None or r is None or w.ndim != 3 or r.ndim != 3:
        raise ValueError(f"{node} has no weights of three dimensions")
    directions, units, gates = len(w), r.shape[2], len(GATES[node.op])
    shapes = (directions, gates * units, w.shape[2]), (directions, gates * units, units)
    if (w.shape, r.shape) != shapes or (b is not None and b.shape != (directions, 2 * gates * units)):
        raise ValueError(
            f"{node} has weights of the shapes {w.shape}, {r.shape} and {None if b is None else b.shape}"
        )
    if directions != 1 + (node.attributes.get("direction", "forward") == "bidirectional"):
        raise ValueError(f"{node} has weights of {directions} directions")
    learned: dict[str, Learned] = {}
    names: list[str] = []
    leaves = [[*_leaves(name, network, producers)] for name in inputs[1:4]]
    label = node.name or node.outputs[0] or "recurrent"
    for direction in range(directions):
        parts = {"weight_ih": (w[direction], leaves[0]), "weight_hh": (r[direction], leaves[1])}
        if b is not None:
            half = gates * units
            parts["bias_ih"], parts["bias_hh"] = ((b[direction][k : k + half], leaves[2]) for k in (0, half))
        for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            if key not in parts:
                names.append("")
                continue
            part, candidates = parts[key]
            values = _ordered(part, GATES[node.op])
            default = f"{label}.{key}{'_reverse' * direction}"
            name = next(
                (n for n in candidates if n not in learned and _same(network.arrays[n], values)), default
            )
            names.append(name)
            turned = values.reshape(gates, units, *values.shape[1:])
            if values.ndim == 2:
                learned[name] = Learned(values, (values.shape[1], gates, units), (1, 2, 0))
            else:
                learned[name] = Learned(values, turned.shape)
    states = (inputs[0], inputs[4], inputs[5], inputs[6])
    return node._replace(op=f"{OURS}{node.op}", inputs=(*states, *names)), learned


def _ordered(part: np.ndarray, gates: tuple[int, ...]) -> np.ndarray:
    """Rows of all gates in PyTorch's order."""
    by_gate = part.reshape(len(gates), -1, *part.shape[1:])
    ordered: np.ndarray = by_gate[np.argsort(gates)].reshape(part.shape)
    return ordered


def _same(array: np.ndarray, values: np.ndarray) -> bool:
    return array.shape == values.shape and np.array_equal(array, values)


def _leaves(name: str, network: Description, producers: dict[str, Node]) -> Iterator[str]:
    """The arrays of numbers of which nodes arrange a weight."""
    waiting, seen = [name], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in network.arrays and network.arrays[name].dtype.kind == "f":
            yield name
        elif name in producers and producers[name].op in ARRANGING:
            waiting += producers[name].inputs


def _array(name: str, node: Node, network: Description, producers: dict[str, Node]) -> np.ndarray | None:
    """A weight, however nodes arrange it; None where it is absent."""
    known: dict[str, Any] = {"": None, **network.arrays}
    waiting = [name]
    while waiting:
        last = waiting[-1]
        if last in known:
            waiting.pop()
            continue
        producer = producers.get(last)
        if producer is None or producer.op not in ARRANGING:
            raise ValueError(f"{node} has the weight {name!r}, which is computed, expected a constant")
        missing = [one for one in producer.inputs if one not in known]
        if missing:
            waiting += missing
            continue
        found = computed(Call(producer, None, [known[one] for one in producer.inputs]))
        parts = found if isinstance(found, tuple) else (found,)
        known |= dict(zip(producer.outputs, parts, strict=False))
        if not all(is_array(part) for part in parts):
            raise ValueError(f"{node} has the weight {name!r}, which is no constant")
    array: np.ndarray | None = known[name]
    return array

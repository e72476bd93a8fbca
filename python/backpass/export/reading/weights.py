"""What is learned of the arrays of a file, how it lies in memory, and the weights of recurrent operators as nn has them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...nn.parameter import Parameter
from ..graph.recurrent import GRU_GATES, LSTM_GATES
from .call import Call, is_array
from .description import Description, Node, needed
from .readers import computed

GATES = {"LSTM": LSTM_GATES, "GRU": GRU_GATES, "RNN": (0,)}
# Inputs that are weights even where they are a single number, and inputs that are none, by operator.
WEIGHTS = {
    "Gemm": (1, 2), "MatMul": (0, 1), "Conv": (1, 2), "ConvTranspose": (1, 2), "LayerNormalization": (1, 2), "PRelu": (1,),
    "BatchNormalization": (1, 2), "InstanceNormalization": (1, 2), "GroupNormalization": (1, 2), "Gather": (0,),
}  # fmt: skip
SETTINGS = {"Clip": (1, 2), "Pad": (1, 2), "Dropout": (1,), "Pow": (1,), "Resize": (1, 2), "OneHot": (2,)}
STATISTICS = {"BatchNormalization": (3, 4)}
# Nodes that only arrange weights.
ARRANGING = {
    "Gather",
    "Reshape",
    "Transpose",
    "Concat",
    "Slice",
    "Unsqueeze",
    "Squeeze",
    "Identity",
    "Split",
    "Constant",
}


class Learned(NamedTuple):
    """A parameter: its values as users see them, the shape in memory, and the axes that turn that into theirs."""

    values: np.ndarray
    stored: tuple[int, ...]
    axes: tuple[int, ...] | None = None

    def parameter(self) -> Parameter:
        """It as nn has it."""
        turned = self.stored if self.axes is None else tuple(self.stored[axis] for axis in self.axes)
        values = self.values.reshape(turned)
        values = values if self.axes is None else values.transpose(np.argsort(self.axes))
        draw = Values(np.ascontiguousarray(values))
        return Parameter.declared(self.stored, draw, 1, self.values.shape, self.axes)


class Values:
    """Initial values that are drawn from nothing."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        return self.values


class Arranged(NamedTuple):
    """The nodes of a network, what it learns, its running statistics and its constants."""

    nodes: tuple[Node, ...]
    learned: dict[str, Learned]
    statistics: dict[str, np.ndarray]
    constants: dict[str, np.ndarray]


def arranged(network: Description) -> Arranged:
    """What each array of a file is for; ValueError names the node whose weights are none."""
    producers = {name: node for node in network.nodes for name in node.outputs}
    learned: dict[str, Learned] = {}
    nodes = []
    for node in network.nodes:
        if node.op in GATES:
            node, weights = _recurrent(node, network, producers)
            for name, value in weights.items():
                if name in learned:
                    raise ValueError(f"{node} shares the weight {name!r}, expected weights of its own")
                learned[name] = value
        nodes.append(node)
    nodes = needed(nodes, network.outputs)
    users = _users(nodes)
    statistics, constants = {}, {}
    for name, array in network.arrays.items():
        uses = users.get(name, [])
        if name in learned and uses and not all(node.op.startswith("backpass.") for node, _ in uses):
            raise ValueError(f"{uses[0][0]} shares the weight {name!r}, expected weights of its own")
        if name in learned or (not uses and name not in network.outputs):
            continue
        if array.dtype.kind == "f" and any(place in STATISTICS.get(node.op, ()) for node, place in uses):
            statistics[name] = array
        elif array.dtype.kind == "f" and _is_learned(name, array, uses, network.learned, producers):
            learned[name] = _laid_out(array, uses)
        else:
            constants[name] = array
    return Arranged(tuple(nodes), learned, statistics, constants)


def _users(nodes: list[Node]) -> dict[str, list[tuple[Node, int]]]:
    users: dict[str, list[tuple[Node, int]]] = {}
    for node in nodes:
        for place, name in enumerate(node.inputs):
            users.setdefault(name, []).append((node, place))
    return users


def _is_learned(
    name: str,
    array: np.ndarray,
    uses: list[tuple[Node, int]],
    known: frozenset[str] | None,
    producers: dict[str, Node],
) -> bool:
    """Whether an array is a weight: as the file says, else by where it is used."""
    if known is not None:
        return name in known
    if any(place in WEIGHTS.get(node.op, ()) for node, place in uses):
        return True
    if any(node.op == "Add" and _is_product(node.inputs[1 - place], producers) for node, place in uses):
        return True
    setting = all(place in SETTINGS.get(node.op, ()) for node, place in uses)
    return array.size > 1 and not setting and bool(np.isfinite(array).all())


def _is_product(name: str, producers: dict[str, Node]) -> bool:
    """Whether a value comes of a product, to which a bias is added."""
    while name in producers and producers[name].op in ("Cast", "Identity"):
        name = producers[name].inputs[0]
    return name in producers and producers[name].op in ("MatMul", "Gemm", "Conv")


def _laid_out(array: np.ndarray, uses: list[tuple[Node, int]]) -> Learned:
    """A weight in the order of memory that its first use reads."""
    node, place = uses[0]
    by_rows = node.op == "Gemm" and place == 1 and node.attributes.get("transB", 0)
    by_rows = by_rows or (node.op == "Transpose" and [*node.attributes.get("perm", [1, 0])] == [1, 0])
    if array.ndim == 2 and by_rows:
        return Learned(array, array.shape[::-1], (1, 0))
    if node.op in ("Conv", "ConvTranspose") and place == 1 and array.ndim in (3, 4):
        height, width = (1, *array.shape[2:])[-2:]
        return Learned(array, (height, width, array.shape[1], array.shape[0]), (3, 2, 0, 1))
    return Learned(array, array.shape)


def _recurrent(
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
    return node._replace(op=f"backpass.{node.op}", inputs=(*states, *names)), learned


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

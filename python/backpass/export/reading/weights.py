"""What each array of a file is for: learned, a running statistic, or a constant."""

from typing import NamedTuple

import numpy as np

from .description import OURS, Description, Node, needed
from .learned import Learned
from .recurrent_weights import GATES, recurrent_weights

# Inputs that are weights even where they are a single number, by operator.
WEIGHTS = {
    "Gemm": (1, 2), "MatMul": (0, 1), "Conv": (1, 2), "ConvTranspose": (1, 2), "LayerNormalization": (1, 2), "PRelu": (1,),
    "BatchNormalization": (1, 2), "InstanceNormalization": (1, 2), "GroupNormalization": (1, 2), "Gather": (0,),
}  # fmt: skip
# Inputs that are none.
SETTINGS = {"Clip": (1, 2), "Pad": (1, 2), "Dropout": (1,), "Pow": (1,), "Resize": (1, 2), "OneHot": (2,)}


# Inputs that training moves without a gradient.
STATISTICS = {"BatchNormalization": (3, 4)}


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
            node, weights = recurrent_weights(node, network, producers)
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
        if name in learned and uses and not all(node.op.startswith(OURS) for node, _ in uses):
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

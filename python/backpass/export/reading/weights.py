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


# Steps of the preparation of an input, whose numbers are of the data.
PREPARING = ("Cast", "Identity", "Sub", "Div", "Mul")
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
    statistics, constants, held = {}, {}, _in_nodes(nodes)
    for name, array in {**network.arrays, **held}.items():
        uses = users.get(name, [])
        if name in learned and uses and not all(node.op.startswith(OURS) for node, _ in uses):
            raise ValueError(f"{uses[0][0]} shares the weight {name!r}, expected weights of its own")
        if name in learned or (not uses and name not in network.outputs):
            continue
        if array.dtype.kind == "f" and any(place in STATISTICS.get(node.op, ()) for node, place in uses):
            statistics[name] = array
        elif array.dtype.kind == "f" and _is_learned(name, array, uses, network, producers):
            learned[name] = _laid_out(array, uses)
        elif name in network.arrays:
            constants[name] = array
    moved = {*held} & {*learned, *statistics}
    left = tuple(node for node in nodes if not moved & {*node.outputs})
    return Arranged(left, learned, statistics, constants)


def _in_nodes(nodes: list[Node]) -> dict[str, np.ndarray]:
    """The arrays that nodes hold, by the names of their outputs."""
    held = {node.outputs[0]: node.attributes.get("value") for node in nodes if node.op == "Constant"}
    return {name: value for name, value in held.items() if isinstance(value, np.ndarray) and value.ndim}


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
    network: Description,
    producers: dict[str, Node],
) -> bool:
    """Whether an array is a weight: as the file says, else by where it is used."""
    if network.learned is not None:
        return name in network.learned
    if any(place in WEIGHTS.get(node.op, ()) for node, place in uses):
        # A node of equal numbers is how exporters write a normalisation that has no scale or no shift.
        written = name in producers and all("Normalization" in node.op for node, _ in uses)
        return not written or bool(np.ptp(array))
    if any(node.op == "Add" and _is_product(node.inputs[1 - place], producers) for node, place in uses):
        return True
    if name in producers or all(_prepares(node, place, network, producers) for node, place in uses):
        return False
    setting = all(place in SETTINGS.get(node.op, ()) for node, place in uses)
    return array.size > 1 and not setting and bool(np.isfinite(array).all())


def _prepares(node: Node, place: int, network: Description, producers: dict[str, Node]) -> bool:
    """Whether an operand moves or scales an input of the network before anything else does."""
    if node.op not in ("Sub", "Div", "Mul"):
        return False
    name = node.inputs[1 - place]
    while name in producers:
        fixed = (
            one for one in producers[name].inputs if one in network.arrays or _is_constant(one, producers)
        )
        data = {*producers[name].inputs} - {*fixed}
        if producers[name].op not in PREPARING or len(data) != 1:
            return False
        (name,) = data
    return any(name == one.name for one in network.inputs)


def _is_constant(name: str, producers: dict[str, Node]) -> bool:
    return name in producers and producers[name].op == "Constant"


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

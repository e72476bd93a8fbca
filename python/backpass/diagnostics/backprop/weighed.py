"""The weights of the nodes: parameters before the step, their gradients and updates, and the factors of their gradients."""

from collections import Counter

import numpy as np

from ...engine import weights
from .node import Chain, Factor, Node, Weight
from .passes import Passes


def add_weights(nodes: list[Node], passes: Passes) -> None:
    """Run the update, and hand each parameter to the nodes of its layer; what no layer on its own shows, to those around."""
    values, gradients = passes.parameters(), passes.gradients()
    frozen, updates = {*weights.frozen(passes.engine.net)}, passes.update()
    first = {id(layer.learned[key]): name for name, layer, key in weights.learned(passes.engine.net)}
    by_home: dict[str, list[Node]] = {}
    for node in nodes:
        if node.home is not None:
            by_home.setdefault(node.home, []).append(node)
    for prefix, layer in passes.engine.net.walk():
        for key in layer.learned:
            name = first[id(layer.learned[key])]
            home, own = prefix, key
            while home not in by_home and home:
                home, _, part = home.rpartition(".")
                own = f"{part}.{own}"
            weight = Weight(values[name], None if name in frozen else gradients[name], updates[name])
            around = by_home.get(home, [])
            reading = [n for n in around if any(np.may_share_memory(a, layer.view(key)) for a in n.reads)]
            for node in reading or around:
                node.weights[own] = weight


def add_chains(nodes: list[Node]) -> None:
    """The factors of dL/dw of the linear layers: through functions element by element behind them, up to what arrives there."""
    consumers: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        for source in node.sources:
            consumers.setdefault(source, []).append(number)
    uses = Counter(id(weight.value) for node in nodes for weight in node.weights.values())
    for number, node in enumerate(nodes):
        if not node.linear or "weight" not in node.weights or "" not in node.arriving:
            continue
        path = [number]
        while len(after := consumers.get(path[-1], [])) == 1 and nodes[after[0]].slope is not None:
            path.append(after[0])
        last = nodes[path[-1]]
        if "" not in last.arriving:
            continue
        units = node.outputs[""].shape[-1]
        factors = [Factor(f"dL/dy[{last.name}]", _rows(last.arriving[""], units))]
        for inner, outer in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
            slope = nodes[outer].slope
            assert slope is not None
            factors.append(Factor(f"dy[{nodes[outer].name}]/dy[{nodes[inner].name}]", _rows(slope, units)))
        behind = consumers.get(path[-1], [])
        following = behind[0] if len(behind) == 1 and nodes[behind[0]].linear else -1
        node.chain = Chain(
            factors,
            _rows(node.inputs[""], node.inputs[""].shape[-1]),
            following,
            uses[id(node.weights["weight"].value)],
        )


def _rows(array: np.ndarray, columns: int) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1, columns)

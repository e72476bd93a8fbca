"""The nodes of a step: what the recorder noted and the passes computed, in the order of the forward pass."""

from collections.abc import Sequence

import numpy as np

from ...nn import Module
from ...program import Instruction, Tensor, address
from .formulas import formula_of, formula_of_ops
from .labels import arrays_of, labels_of, named, numbered
from .node import Node
from .passes import Passes
from .recorder import Call
from .slopes import slopes_of

LINEAR = "linear_forward"


class Nodes:
    """Builds the list of nodes; `sources` of each are found by the tensors, and through views by their memory."""

    def __init__(self, passes: Passes) -> None:
        self.passes, self.recorder, self.plan = passes, passes.recorder, passes.plan
        engine = passes.engine
        self.layers: dict[str, Module] = dict(engine.net.walk())
        self.slopes = slopes_of(self.recorder.calls, self.plan, engine.backend, engine.threads)
        self.nodes: list[Node] = []
        # Which node a tensor comes from.
        self.origin: dict[Tensor, int] = {}
        self._add_inputs()
        place = 0
        for call in self.recorder.calls:
            self._add_operations(self.plan.forward[place : call.forward[0]])
            self._add_call(call)
            place = call.forward[1]
        self._add_operations(self.plan.forward[place:])
        self._add_loss()

    def _add(self, node: Node) -> int:
        taken, name, number = {n.name for n in self.nodes}, node.name, 2
        while node.name in taken:
            node.name, number = f"{name}#{number}", number + 1
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _add_inputs(self) -> None:
        for name, x in zip(self.plan.inputs, self.recorder.inputs, strict=False):
            arriving = self._gradients({"": x})
            self.origin[x] = self._add(Node(name, "input", "input", "", {}, {"": x.array}, arriving, {}))

    def _add_call(self, call: Call) -> None:
        taken = dict(zip(labels_of(call.layer, len(call.taken)), call.taken, strict=True))
        given = named(call.output)
        instructions = self.plan.forward[call.forward[0] : call.forward[1]]
        number = self._add(
            Node(
                call.name or "net", "layer", repr(call.layer), formula_of(call.layer), arrays_of(taken), arrays_of(given),
                self._gradients(given), self._gradients(taken), slope=self.slopes.get(call),
                sources=[self._source(x) for x in call.given], home=call.name,
                linear=len(instructions) == 1 and instructions[0].op.name == LINEAR,
            )
        )  # fmt: skip
        self.origin |= dict.fromkeys(given.values(), number)

    def _add_operations(self, instructions: Sequence[Instruction]) -> None:
        """Operations that `forward` or a container adds: those of one layer that follow each other are one node."""
        while instructions:
            end = next(
                (n for n, i in enumerate(instructions) if i.layer != instructions[0].layer), len(instructions)
            )
            self._add_group(instructions[:end])
            instructions = instructions[end:]

    def _add_group(self, group: Sequence[Instruction]) -> None:
        written = [array for i in group for array in _fields(i, i.op.outputs)]
        parameters = [self.passes.engine.flat.params]
        read = {id(a): a for i in group for a in _fields(i, i.op.inputs)}
        outside = [a for a in read.values() if not _within(a, written) and not _within(a, parameters)]
        sources = [(a, s) for a in outside if (s := self._producer(a)) >= 0]
        inner = {id(a) for a in read.values()}
        ends = [a for a in written if id(a) not in inner] or written[-1:]
        tensors = [self._tensor_of(a) for a in ends]
        given = numbered([t for t in tensors if t is not None])
        layer, instruction = self.layers.get(group[0].layer), group[0]
        arrays = arrays_of(given) or numbered(ends[-1:])
        gradients = self._gradients(given)
        # Of a sum, dy is the gradient of all that it adds.
        alike = len(group) == 1 and instruction.op.alias_gradient and gradients
        leaving = numbered([gradients[""] for _ in sources]) if alike else {}
        number = self._add(
            Node(
                instruction.layer or "net", "operations", "operations" if layer is None else type(layer).__name__,
                formula_of_ops(group),
                numbered([a for a, _ in sources]), arrays, gradients, leaving, sources=[s for _, s in sources],
                home=instruction.layer, reads=[a for a in read.values() if _within(a, parameters)],
            )
        )  # fmt: skip
        self.origin |= dict.fromkeys(given.values(), number)

    def _add_loss(self) -> None:
        engine, plan = self.passes.engine, self.plan
        out, target = named(plan.out), named(self.passes.target)
        preds = {label: self._tensor_of(array) for label, array in out.items()}
        leaving = self._gradients({label: t for label, t in preds.items() if t is not None})
        loss = engine.loss_function or engine.loss
        shown = getattr(loss, "__name__", repr(loss))
        # A callable may be given anything as y.
        targets = {label: array for label, array in target.items() if isinstance(array, np.ndarray)}
        node = Node(
            "loss", "loss", shown, "" if engine.loss_function else formula_of(loss), out, {"": plan.loss}, {}, leaving,
            targets=targets,
            sources=[self._producer(array) for array in out.values()],
        )  # fmt: skip
        self._add(node)

    def _gradients(self, tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
        found = {label: self.recorder.gradient(x) for label, x in tensors.items()}
        return {label: array for label, array in found.items() if array is not None}

    def _tensor_of(self, array: np.ndarray) -> Tensor | None:
        """The tensor of the tape that an array belongs to."""
        alike = (
            t for t in reversed(self.recorder.written)
            if address(t.array) == address(array) and t.array.size == array.size
        )  # fmt: skip
        return next(alike, None)

    def _source(self, x: Tensor) -> int:
        return self.origin[x] if x in self.origin else self._producer(x.array)

    def _producer(self, array: np.ndarray) -> int:
        """The last node that wrote what an array shows; -1 for none."""
        for number in range(len(self.nodes) - 1, -1, -1):
            if _within(array, [*self.nodes[number].outputs.values()]):
                return number
        return -1


def _within(array: np.ndarray, others: Sequence[np.ndarray]) -> bool:
    return any(np.may_share_memory(array, other) for other in others)


def _fields(instruction: Instruction, names: Sequence[str]) -> list[np.ndarray]:
    return [a for name in names if isinstance(a := instruction.fields.get(name), np.ndarray)]

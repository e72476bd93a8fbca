"""Buffers, instructions, and the Builder that emits a network's forward pass and its backward pass in reverse.

A program is a flat list of instructions over arrays that are allocated once. Layers do not compute: they emit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from .contract import REGISTRY, Dims, Op
from .memory import ALIGNMENT, aligned

ITEM = ALIGNMENT // 4  # parameters start at multiples of this many elements, aligned for float32 and float64


@dataclass(frozen=True)
class Instruction:
    """One call of an op on fixed arrays and scalars."""

    op: Op
    fields: dict[str, Any]
    layer: str = ""  # which layer emitted it, for messages


@dataclass(eq=False)
class Tensor:
    """A buffer and its place in the graph; `name` is set for parameters."""

    array: np.ndarray
    requires_grad: bool = False
    gradient: np.ndarray | None = None  # where a parameter's gradient goes

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


class Parameters:
    """All parameters of a model in one flat vector, all gradients in another; layers see views."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.shapes: list[tuple[int, ...]] = []
        self.offsets: list[int] = []
        self.size = 0
        self._tensors: dict[int, Tensor] = {}
        self.params = self.grads = np.zeros(0, self.dtype)

    def add(self, shape: Sequence[int]) -> int:
        """Reserve a parameter; returns its number."""
        self.shapes.append(tuple(shape))
        self.offsets.append(self.size)
        count = prod(shape)
        self.size += -(-count // ITEM) * ITEM
        return len(self.shapes) - 1

    def allocate(self) -> None:
        """Make the flat vectors; the padding between parameters stays zero for ever."""
        self.params = aligned((self.size,), self.dtype)
        self.grads = aligned((self.size,), self.dtype)

    def view(self, number: int, flat: np.ndarray) -> np.ndarray:
        """The part of a flat vector that belongs to a parameter."""
        shape, start = self.shapes[number], self.offsets[number]
        return flat[start : start + prod(shape)].reshape(shape)

    def tensor(self, number: int) -> Tensor:
        """A parameter as a tensor of the graph: the same object each time, so that shared layers add their gradients up."""
        if number not in self._tensors:
            self._tensors[number] = Tensor(
                self.view(number, self.params), True, self.view(number, self.grads)
            )
        return self._tensors[number]


@dataclass
class _Entry:
    """One step of the tape: an op (or a reshape, op None) with its tensors and scalars."""

    op: Op | None
    tensors: dict[str, Tensor | None]
    scalars: dict[str, Any]
    layer: str


@dataclass
class Builder:
    """Emits calls; `backward` appends each op's gradient call in reverse."""

    dtype: np.dtype[Any]
    training: bool
    step: np.ndarray = field(default_factory=lambda: aligned((1,), np.int64))  # completed steps
    seed: int = 0
    instructions: list[Instruction] = field(default_factory=list)
    kept: list[Instruction] = field(
        default_factory=list
    )  # what a step changes in layers once it is sure to count
    layer: str = ""  # set by containers while a layer emits
    mixing: tuple[np.ndarray, np.ndarray] | None = None  # set by nn.MixUp: share (1,) and partners (B,)
    bytes: int = 0  # of all buffers
    _tape: list[_Entry] = field(default_factory=list)
    _gradients: dict[Tensor, list[Tensor]] = field(default_factory=dict)
    _streams: int = 0

    def tensor(self, shape: Sequence[int], dtype: Any = None, requires_grad: bool = False) -> Tensor:
        """A new buffer."""
        array = aligned(shape, dtype or self.dtype)
        self.bytes += array.nbytes
        return Tensor(array, requires_grad)

    def stream(self) -> int:
        """The next random stream: one for each layer that draws."""
        self._streams += 1
        return self._streams

    def emit(self, name: str, /, want: Iterable[str] = (), **given: Any) -> Tensor:
        """Append a call. Outputs that are not given are allocated from the shape string, optional ones only if in `want`.

        Arrays that belong to a layer's state are passed as arrays, tensors of the graph as tensors. Returns the first output.
        """
        op = REGISTRY[name]
        tensors = {k: self._as_tensor(given.get(k)) for k in op.arrays}
        scalars = {k: v for k, v in given.items() if k not in op.arrays}
        dims: Dims = op.infer({k: t.shape for k, t in tensors.items() if t is not None})
        requires_grad = any(t is not None and t.requires_grad for t in tensors.values())
        for k in op.outputs:
            array = op.arrays[k]
            if tensors[k] is None and (not array.optional or k in want):
                tensors[k] = self.tensor(array.shape(dims), array.dtype, requires_grad)
        self._append(op, tensors, scalars)
        self._tape.append(_Entry(op, tensors, scalars, self.layer))
        first = tensors[op.outputs[0]]
        assert first is not None
        return first

    def keep(self, name: str, /, **fields: Any) -> None:
        """A call that changes a layer's own state: a training step makes it after its guard, beside the optimizer's."""
        self.kept.append(replace(call(name, **fields), layer=self.layer))

    def output(self, name: str) -> Tensor:
        """Another output of the call emitted last."""
        tensor = self._tape[-1].tensors[name]
        assert tensor is not None
        return tensor

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same buffer in another shape: costs nothing."""
        y = Tensor(x.array.reshape(shape), x.requires_grad)
        self._tape.append(_Entry(None, {"x": x, "y": y}, {}, self.layer))
        return y

    def add_gradient(self, x: Tensor, dx: Tensor) -> None:
        """Add one contribution to the gradient of x (the loss gives the first one)."""
        self._gradients.setdefault(x, []).append(dx)

    def backward(self) -> None:
        """Append the gradient call of every entry of the tape, last first (the chain rule)."""
        for entry in reversed(self._tape):
            self.layer = entry.layer
            if entry.op is None:
                self._reshape_backward(entry)
            elif entry.op.alias_gradient:
                self._alias_backward(entry)
            elif f"{entry.op.name.removesuffix('_forward')}_backward" in REGISTRY:
                self._op_backward(entry)
        for x in [x for x in self._gradients if x.gradient is not None]:
            self.gradient(x)
        self._tape.clear()

    def gradient(self, x: Tensor) -> Tensor | None:
        """The gradient of x, its contributions added up; None where nothing flows back to x."""
        parts = self._gradients.get(x, [])
        while len(parts) > 1:
            a, b = parts.pop(0), parts.pop(0)
            y = Tensor(x.gradient) if x.gradient is not None and not parts else self.tensor(x.shape)
            self._append(REGISTRY["add"], {"a": a, "b": b, "y": y}, {})
            parts.insert(0, y)
        return parts[0] if parts else None

    def _op_backward(self, entry: _Entry) -> None:
        assert entry.op is not None
        op = REGISTRY[f"{entry.op.name.removesuffix('_forward')}_backward"]
        outgoing = {f"d{k}": t for k in entry.op.outputs if (t := entry.tensors[k]) is not None}
        flows = {name: self.gradient(t) for name, t in outgoing.items() if name in op.arrays}
        if not any(flows.values()) or not any(t and t.requires_grad for t in entry.tensors.values()):
            return
        tensors: dict[str, Tensor | None] = {}
        targets: list[tuple[Tensor, Tensor]] = []
        for name, array in op.arrays.items():
            source = entry.tensors.get(name.removeprefix("d")) if name in op.outputs else None
            if name not in op.outputs:
                tensors[name] = flows[name] if name in flows else entry.tensors[name]
            elif source is None or (array.optional and not source.requires_grad):
                tensors[name] = None
            else:
                tensors[name] = target = self._gradient_target(source)
                targets.append((source, target))
        scalars = {k: v for k, v in entry.scalars.items() if k in op.scalars}
        self._append(op, tensors, scalars)
        for source, target in targets:
            self.add_gradient(source, target)

    def _gradient_target(self, x: Tensor) -> Tensor:
        """Where to write a contribution: straight into a parameter's gradient if it is the first one."""
        if x.gradient is not None and x not in self._gradients:
            return Tensor(x.gradient)
        return self.tensor(x.shape)

    def _alias_backward(self, entry: _Entry) -> None:
        assert entry.op is not None
        for name, output in entry.op.alias_gradient.items():
            source, y = entry.tensors[name], entry.tensors[output]
            assert y is not None
            dy = self.gradient(y)
            if source is not None and source.requires_grad and dy is not None:
                self.add_gradient(source, dy)

    def _reshape_backward(self, entry: _Entry) -> None:
        x, y = entry.tensors["x"], entry.tensors["y"]
        assert x is not None
        assert y is not None
        dy = self.gradient(y)
        if dy is not None and x.requires_grad:
            self.add_gradient(x, Tensor(dy.array.reshape(x.shape)))

    def _append(self, op: Op, tensors: dict[str, Tensor | None], scalars: dict[str, Any]) -> None:
        fields = {**{k: t and t.array for k, t in tensors.items()}, **scalars}
        op.check(fields)
        self.instructions.append(Instruction(op, op.complete(fields), self.layer))

    @staticmethod
    def _as_tensor(value: Any) -> Tensor | None:
        return value if value is None or isinstance(value, Tensor) else Tensor(value)


def address(array: np.ndarray) -> int:
    """Where an array's data start: the same for all its reshaped views."""
    start: int = array.__array_interface__["data"][0]
    return start


def call(name: str, /, **fields: Any) -> Instruction:
    """An instruction outside any graph: optimizer steps, batches, counters."""
    op = REGISTRY[name]
    op.check(fields)
    return Instruction(op, op.complete(fields))

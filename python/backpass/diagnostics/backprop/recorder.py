"""Recorder: a network that notes, while it is emitted, which tensors each call of a layer takes and gives."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...nn import Module
from ...program import Builder, Tensor, on_each, parts_of
from ..watch import watched


@dataclass(eq=False)
class Call:
    """One call of a layer that holds no others."""

    name: str
    layer: Module
    # What the network gives it, and what it reads: the same numbers, with gradients of their own.
    given: tuple[Tensor, ...]
    taken: tuple[Tensor, ...]
    # Where its instructions begin and end in the forward and in the backward pass; -1 where nothing flows back.
    forward: list[int]
    backward: list[int] = field(default_factory=lambda: [-1, -1])
    output: Any = None


class Recorder:
    """A network as build_plan takes it. Numbers that it takes have a gradient, and so has what each layer takes."""

    def __init__(self, net: Module) -> None:
        self.net = net
        self.calls: list[Call] = []
        self.inputs: tuple[Tensor, ...] = ()
        # What layers and containers gave last, by name.
        self.outputs: dict[str, Any] = {}
        # All that has a place on the tape.
        self.written: list[Tensor] = []
        self.builder: Builder | None = None

    def emit(self, builder: Builder, *inputs: Tensor, **options: Any) -> Any:
        if self.builder is not None:  # a trial with another number of steps (program/along.py)
            return self.net.emit(builder, *inputs)
        self.builder, self.inputs = builder, inputs
        for x in inputs:
            x.requires_grad |= x.array.dtype.kind == "f"
            builder.record(x, summed)
        with watched(self.net, self._note, self._enter):
            # As build_plan wants it: copies of views have a place on the tape as well.
            out = on_each(builder.contiguous, self.net.emit(builder, *inputs))
        self.written = builder.written()
        return out

    def _enter(self, layer: Module, builder: Builder, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if next(layer.named_children(), None) is not None:
            return given
        own = {x: self._own(builder, x) for x in given}
        taken = tuple(own[x] for x in given)
        self.calls.append(Call(builder.layer, layer, given, taken, [len(builder.instructions), -1]))
        return taken

    def _own(self, builder: Builder, x: Tensor) -> Tensor:
        """The same numbers as a tensor whose gradient is what flows back from one call alone."""
        if not x.requires_grad:
            return x
        number = len(self.calls)

        def backward(dy: Tensor) -> None:
            place = self.calls[number].backward
            place[1] = max(place[1], len(builder.instructions))
            builder.add_gradient(x, dy)

        return builder.record(builder.view(x, x.array, whole=True), backward)

    def _note(self, layer: Module, builder: Builder, y: Any) -> None:
        self.outputs.pop(builder.layer, None)
        self.outputs[builder.layer] = y
        call = self.calls[-1] if self.calls and next(layer.named_children(), None) is None else None
        if call is not None:
            call.output, call.forward[1] = y, len(builder.instructions)

        def backward(dy: Tensor) -> None:
            if call is not None and call.backward[0] < 0:
                call.backward[0] = len(builder.instructions)

        for part in parts_of(y):
            builder.record(part, backward)

    def gradient(self, x: Tensor) -> np.ndarray | None:
        """The gradient of a tensor once the plan is built; None where nothing flows back."""
        assert self.builder is not None
        found = self.builder.gradient(x)
        return None if found is None else found.array


def summed(dy: Tensor) -> None:
    """For a tensor whose gradient is wanted as a whole: `record` has added its contributions up."""

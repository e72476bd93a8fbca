"""Stepwise: a network that reads sequences of so many steps, computed a few steps at a time.

What a network reads of a constant may depend on the length of a sequence: the first rows of a table of positions, say. Programs
for two lengths tell such constants apart; a program for the next steps reads the rows of its steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..ops import attention_forward, attention_step
from ..system.memory import aligned
from .build import Network, emit_network, input_tensors
from .builder import Builder
from .carried import NotStepwise
from .causal import MASKED, Causal
from .constants import Reading, readings
from .plan import InputSpec
from .repeat import Lined
from .several import parts_of
from .tensor import address

ATTENTION = (attention_forward, attention_step)
DIFFERS = "for a few steps forward computes something else than within a whole sequence"


class Moving(NamedTuple):
    """What instructions read of the steps at hand, (T, ...), and where it comes from, (steps, ...)."""

    here: np.ndarray
    table: np.ndarray


class Stepwise:
    """A network over all steps of a window, of which each knows of itself and of earlier ones alone.

    Args:
        inputs: of one batch, with all `steps`.

    Raises:
        NotStepwise: a step that may know of later ones, or of others in a way that no state keeps.
    """

    def __init__(self, net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec], steps: int) -> None:
        self.steps = steps
        try:
            whole = _emitted(net, dtype, inputs, steps)
            self.whole = readings(whole[0])
        except NotStepwise:
            raise
        except ValueError as error:
            raise NotStepwise(f"window is {steps}, but the network takes fewer steps: {error}") from None
        one = readings(_emitted(net, dtype, inputs, 1)[0])
        # Three steps show soon how most depend on each other; what a shift by more brings is in the whole window alone.
        for some in sorted({min(steps, 3), steps}):
            builder, outputs, x = whole if some == steps else _emitted(net, dtype, inputs, some)
            few = self.whole if some == steps else readings(builder)
            moving = {
                (there.number, name): axis
                for here, there in _paired(one, few, 1, some)
                for name, axis in _moving(here, there, 1, some).items()
            }
            for here, there in _paired(few, self.whole, some, steps):
                _moving(here, there, some, steps)
            if some > 1:
                Causal(builder, moving, some).check(x, outputs)

    def follow(self, builder: Builder, steps: int) -> list[Moving]:
        """Let the program of a few steps read their rows of what moves; the rows have to be filled in before it runs."""
        known: dict[Any, tuple[np.ndarray, Moving]] = {}
        for here, there in _paired(readings(builder), self.whole, steps, self.steps):
            fields: dict[str, np.ndarray] = {}
            for name, axis in _moving(here, there, steps, self.steps).items():
                table, shape = there.constants[name], here.shapes[name]
                once = np.zeros(here.constants[name].shape, table.dtype)
                if not here.op.takes(name, np.broadcast_to(once, shape)):
                    once = np.zeros(shape, table.dtype)
                key = address(table), table.shape, table.strides, axis, once.shape
                if key not in known:
                    place = aligned(once.shape, once.dtype)
                    known[key] = place, Moving(np.moveaxis(place, axis, 0), np.moveaxis(table, axis, 0))
                fields[name] = np.broadcast_to(known[key][0], shape)
            if fields:
                instruction = builder.instructions[here.number]
                builder.instructions[here.number] = replace(instruction, fields=instruction.fields | fields)
        return [moving for _, moving in known.values()]


def _emitted(
    net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec], steps: int
) -> tuple[Lined, Sequence[Any], np.ndarray]:
    """The program for sequences of so many steps, its outputs, and its first input."""
    specs = of_steps(inputs, steps)
    builder = Lined(dtype, training=False)
    tensors = input_tensors(builder, specs)
    out = emit_network(net, builder, tensors, specs)
    return builder, parts_of(out), next(iter(tensors.values())).array


def of_steps(inputs: Sequence[InputSpec], steps: int) -> tuple[InputSpec, ...]:
    """The same inputs with so many steps."""
    return tuple(spec._replace(shape=(spec.shape[0], steps, *spec.shape[2:])) for spec in inputs)


def _paired(
    few: Sequence[Reading], many: Sequence[Reading], steps: int, all_steps: int
) -> list[tuple[Reading, Reading]]:
    """The instructions of two lengths side by side; NotStepwise where they are not the same, but for the steps."""
    for here, there in zip(few, many, strict=False):
        if _alike(here) != _alike(there) or not _grown(here, there, steps, all_steps):
            raise NotStepwise(f"{DIFFERS}{here.place}")
    if len(few) != len(many):
        raise NotStepwise(f"{DIFFERS}{max(few, many, key=len)[min(len(few), len(many))].place}")
    return [*zip(few, many, strict=True)]


def _alike(reading: Reading) -> Any:
    """What has to be the same for any number of steps."""
    if reading.op in ATTENTION:
        return "attention", reading.layer, reading.scalars["scale"]
    return reading.op.name, reading.layer, repr(reading.scalars)


def _grown(few: Reading, many: Reading, steps: int, all_steps: int) -> bool:
    """Whether each size of the arrays of a call is the same, or that of so many times the steps; an attention keeps a window."""
    if few.op in ATTENTION:
        return True
    # A session gives recurrent layers their first states.
    both = [(shape, many.shapes[name]) for name, shape in few.shapes.items() if name in many.shapes]
    return all(
        len(here) == len(there)
        and all(a == b or a * all_steps == b * steps for a, b in zip(here, there, strict=True))
        for here, there in both
    )


def _moving(few: Reading, many: Reading, steps: int, all_steps: int) -> Mapping[str, int]:
    """By name the axis of the steps of what a call reads of a constant; NotStepwise where it is none of the first steps."""
    found: dict[str, int] = {}
    if few.constants.keys() != many.constants.keys():
        raise NotStepwise(f"{DIFFERS}{few.place}")
    for name, table in many.constants.items():
        here = few.constants[name]
        if here.shape == table.shape:
            if address(here) != address(table) and here.tobytes() != table.tobytes():
                raise NotStepwise(f"{DIFFERS}{few.place}")
            continue
        axes = [
            k for k, sizes in enumerate(zip(here.shape, table.shape, strict=False)) if sizes[0] != sizes[1]
        ]
        if (
            here.ndim != table.ndim
            or [(here.shape[k], table.shape[k]) for k in axes] != [(steps, all_steps)]
            or not (_fits(few, name) and _fits(many, name))
            or not np.array_equal(here, table[(slice(None),) * axes[0] + (slice(steps),)], equal_nan=True)
        ):
            if name == "mask":
                raise NotStepwise(f"{MASKED}{few.place}")
            raise NotStepwise(
                f"{name} of {few.op.name} has the shape {here.shape} for {steps} steps and {table.shape} for"
                f" {all_steps}, expected the same but for the steps{few.place}"
            )
        found[name] = axes[0]
    return found


def _fits(reading: Reading, name: str) -> bool:
    """Whether a call reads a constant as it is, but for what is repeated: not a part of a copy, nor a copy in another shape."""
    there, here = reading.constants[name].shape, reading.shapes[name]
    return len(there) == len(here) and all(a in (1, b) for a, b in zip(there, here, strict=True))

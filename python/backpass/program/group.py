"""Group: neighbouring element-wise instructions that become one expression, which goes through memory once."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..ops import activation_backward, activation_forward, add, expression
from ..ops.expression import INPUTS, MOST_CONSTANTS, MOST_STEPS, OUTPUTS, REGISTERS, Step, parsed
from .builder import Instruction
from .tensor import address

# What a step reads or writes: an array by its key, a value within one instruction, or a number.
Value = Any
# The steps of activations, as an expression has them; y of a gradient is a, dy is b.
FORWARD = {"relu": "y = relu a", "sigmoid": "y = sigmoid a", "tanh": "y = tanh a"}
BACKWARD = {
    "relu": "t0 = gt a 0.0; y = where t0 b 0.0",
    "sigmoid": "t0 = sub 1.0 a; t0 = mul a t0; y = mul b t0",
    "tanh": "t0 = mul a a; t0 = sub 1.0 t0; y = mul b t0",
}
# Candidates that are tried to find out whether two arrays share an element.
MOST_WORK = 1000


class Key(NamedTuple):
    """What tells an array from others: two arrays of one key show the same elements in the same order."""

    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    # The addresses between which the elements lie; both are 0 where there are none.
    low: int
    high: int


Arrays = dict[Key, np.ndarray]


def key_of(array: np.ndarray) -> Key:
    """The key of an array."""
    low, high = byte_bounds(array) if array.size else (0, 0)
    # Most arrays start at their lowest address, which need not be asked for once more.
    start = low if min(array.strides, default=0) >= 0 and array.size else address(array)
    return Key(start, array.shape, array.strides, low, high)


def by_key(instruction: Instruction, names: Iterable[str]) -> Arrays:
    """The arrays of an instruction that have these names."""
    arrays = (instruction.fields.get(name) for name in names)
    return {key_of(array): array for array in arrays if isinstance(array, np.ndarray)}


class Elementwise(NamedTuple):
    """An instruction as steps on arrays; `by_choice` where it is an expression already, and not only may become one."""

    shape: tuple[int, ...]
    steps: list[Step]
    reads: Arrays
    writes: Arrays
    # Where the arrays start that the instruction reads, of those too that no step uses.
    starts: set[int]
    by_choice: bool


def elementwise(instruction: Instruction) -> Elementwise | None:
    """The steps of an instruction; None if it is none of element-wise steps."""
    op, fields = instruction.op, instruction.fields
    if op is expression:
        names, steps = fields, fields["steps"]
    elif op is add:
        names, steps = fields, "y = add a b"
    elif op is activation_forward and fields["activation"] in FORWARD and fields["slope"] is None:
        names, steps = {"a": fields["x"], "y": fields["y"]}, FORWARD[fields["activation"]]
    elif op is activation_backward and fields["activation"] in BACKWARD and fields["slope"] is None:
        names = {"a": fields["y"], "b": fields["dy"], "y": fields["dx"]}
        steps = BACKWARD[fields["activation"]]
    else:
        return None
    arrays = {name: names[name] for name in (*INPUTS, *OUTPUTS) if names.get(name) is not None}
    keys = {name: key_of(array) for name, array in arrays.items()}
    values: dict[str, Value] = {name: key for name, key in keys.items() if name in INPUTS}
    found: list[Step] = []
    for step in parsed(steps):
        operands = tuple(o if isinstance(o, float) else values.get(o, 0.0) for o in step.operands)
        to = keys.get(step.to) or object()
        found.append(Step(to, step.function, operands))
        values[step.to] = to
    read = {operand for step in found for operand in step.operands}
    reads = {key: arrays[name] for name, key in keys.items() if name in INPUTS and key in read}
    writes = {key: arrays[name] for name, key in keys.items() if name in OUTPUTS and name in values}
    starts = {key.start for name, key in keys.items() if name in INPUTS}
    return Elementwise(arrays["y"].shape, found, reads, writes, starts, op is expression)


class Group:
    """Element-wise instructions that are done together, where the last of them stood."""

    def __init__(self, first: Elementwise, instruction: Instruction) -> None:
        self.shape, self.instructions = first.shape, [instruction]
        self.steps = [*first.steps]
        # How many of them read what starts at an address.
        self.starts = Counter(first.starts)
        # Arrays that are read before the group writes them, and those that it writes.
        self.reads, self.writes = dict(first.reads), dict(first.writes)
        self.chosen = first.by_choice

    def touches(self, reads: Arrays, writes: Arrays) -> bool:
        """Whether what reads and writes these arrays cannot come before the group as well as after it."""
        return overlap(self.writes, reads) or overlap(self.reads, writes) or overlap(self.writes, writes)

    def join(self, other: Elementwise, instruction: Instruction, needed: "Needed") -> bool:
        """Take one more instruction in, if it fits."""
        if other.shape != self.shape:
            return False
        if other.writes.keys() & self.writes.keys():
            return False
        strangers = {key: array for key, array in other.reads.items() if key not in self.writes}
        written = {key: array for key, array in other.writes.items() if key not in self.reads}
        if self.touches(strangers, written):
            return False
        steps, reads, writes = [*self.steps, *other.steps], self.reads | strangers, self.writes | other.writes
        starts = self.starts + Counter(other.starts)
        if not _fits(steps, reads, needed.outputs(writes, starts)):
            return False
        self.steps, self.reads, self.writes, self.starts = steps, reads, writes, starts
        self.instructions.append(instruction)
        self.chosen |= other.by_choice
        return True

    def done(self, needed: "Needed") -> list[Instruction]:
        """The instructions of the group: one expression; a single one stays what it was, unless it is one by choice."""
        if len(self.instructions) == 1 and (not self.chosen or len(self.shape) <= 1):
            return self.instructions
        outputs = needed.outputs(self.writes, self.starts)
        steps = _without_idle(self.steps, {*outputs})
        inputs = {key: a for key, a in self.reads.items() if any(key in step.operands for step in steps)}
        arrays = _merged([*inputs.values(), *outputs.values()])
        names: dict[Value, str] = dict(zip(inputs, INPUTS, strict=False))
        fields = dict(zip(INPUTS, arrays[: len(inputs)], strict=False))
        fields |= dict(zip(OUTPUTS, arrays[len(inputs) :], strict=False))
        places = dict(zip(outputs, OUTPUTS, strict=False))
        text = "; ".join(_lines(steps, names, places))
        return [
            Instruction(
                expression, expression.complete(fields | {"steps": text}), self.instructions[-1].layer
            )
        ]


class Needed:
    """Who reads which buffer: what a group writes for itself alone needs no memory."""

    def __init__(self, programs: Iterable[list[Instruction]], kept: Iterable[np.ndarray]) -> None:
        self.reads: Counter[int] = Counter()
        for program in programs:
            for instruction in program:
                self.reads.update({key.start for key in by_key(instruction, instruction.op.inputs)})
        # Spans that somebody outside reads, or a view; neighbours and those that overlap as one.
        self.starts: list[int] = []
        self.ends: list[int] = []
        for start, end in sorted(byte_bounds(array) for array in kept if array.size):
            if self.ends and start <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)

    def outputs(self, writes: Arrays, inside: Counter[int]) -> Arrays:
        """Those of the arrays that somebody else reads; inside: how many of a group's instructions read from an address."""
        return {
            key: array
            for key, array in writes.items()
            if not inside[key.start] or inside[key.start] != self.reads[key.start] or self._is_kept(key)
        }

    def _is_kept(self, key: Key) -> bool:
        at = bisect_left(self.starts, key.high)
        return at > 0 and self.ends[at - 1] > key.low


def overlap(some: Arrays, others: Arrays) -> bool:
    """Whether some of these arrays and some of the others have an element in common, as far as that is quickly told."""
    return any(
        key.low < other.high and other.low < key.high and _meet(array, others[other])
        for key, array in some.items()
        for other in others
    )


def _meet(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays whose spans overlap have an element in common: the halves of the rows of a matrix have none."""
    try:
        return np.shares_memory(a, b, max_work=MOST_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _fits(steps: list[Step], reads: dict[Key, Any], outputs: dict[Key, Any]) -> bool:
    constants = {repr(o) for step in steps for o in step.operands if isinstance(o, float)}
    return (
        len(steps) <= MOST_STEPS
        and len(reads) <= len(INPUTS)
        and 0 < len(outputs) <= len(OUTPUTS)
        and len(constants) <= MOST_CONSTANTS
        and _registers(steps, {*outputs}) <= len(REGISTERS)
    )


def _without_idle(steps: list[Step], outputs: set[Value]) -> list[Step]:
    """The steps without those whose value nobody uses."""
    used, kept = set(outputs), []
    for step in reversed(steps):
        if step.to in used:
            kept.append(step)
            used.update(step.operands)
    return kept[::-1]


def _last_uses(steps: list[Step]) -> dict[Value, int]:
    return {operand: number for number, step in enumerate(steps) for operand in step.operands}


def _registers(steps: list[Step], outputs: set[Value]) -> int:
    """The most values that are held at once, besides outputs."""
    steps = _without_idle(steps, outputs)
    last, held, most = _last_uses(steps), set(), 0
    for number, step in enumerate(steps):
        if step.to not in outputs:
            held.add(step.to)
        most = max(most, len(held))
        held = {value for value in held if last.get(value, -1) > number}
    return most


def _lines(steps: list[Step], names: dict[Value, str], places: dict[Value, str]) -> Iterator[str]:
    """The text of each step; registers are used again after the last use of what they hold."""
    last = _last_uses(steps)
    free = [*REGISTERS][::-1]
    for number, step in enumerate(steps):
        words = tuple(o if isinstance(o, float) else names[o] for o in step.operands)
        for value in {*step.operands}:
            if names.get(value) in REGISTERS and last[value] == number:
                free.append(names[value])
        names[step.to] = places.get(step.to) or free.pop()
        yield str(Step(names[step.to], step.function, words))


def _merged(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The same arrays with as few dimensions as all of them can have."""
    shape = arrays[0].shape
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    arrays = [
        array.reshape(-1) if not axes else array.squeeze(tuple({*range(array.ndim)} - {*axes}))
        for array in arrays
    ]
    axis = 0
    while axis + 1 < arrays[0].ndim:
        size = arrays[0].shape[axis + 1]
        if all(a.strides[axis] == size * a.strides[axis + 1] for a in arrays):
            sizes = arrays[0].shape
            shape = (*sizes[:axis], sizes[axis] * size, *sizes[axis + 2 :])
            arrays = [
                np.lib.stride_tricks.as_strided(a, shape, (*a.strides[:axis], *a.strides[axis + 1 :]))
                for a in arrays
            ]
        else:
            axis += 1
    return arrays

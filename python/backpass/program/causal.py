"""Causal: which step each element of a program belongs to, and that none knows of a later one.

The program is run with other values: in place of its numbers each buffer holds the step that an element depends on, from 1 on,
and 0 where it depends on none. An op hands steps on where its shape string says that elements do not meet.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..ops import Op, attention_forward, gru_forward, lstm_forward, rnn_forward
from .blocks import arrays_of
from .builder import Builder, Instruction
from .carried import NotStepwise
from .constants import computed, place_of
from .tensor import Tensor

RECURRENT = (rnn_forward, lstm_forward, gru_forward)
MASKED = "an attention has a mask, expected is_causal=True alone, which leaves out later steps"
WEIGHTS = "the weights of an attention are read, which in a session have a column for each step of the window"
# Dimensions of which an op computes each index by itself, beside leading ones and the batch.
APART = {"matmul_forward": "MN", "attention_forward": "T", "batch_norm_inference": "CL"}


class Causal:
    """The check of one program for sequences of a few steps.

    Args:
        moving: which axis of a constant are steps, by the number of the instruction and the name.
    """

    def __init__(self, builder: Builder, moving: Mapping[tuple[int, str], int], steps: int) -> None:
        self.builder, self.moving, self.steps = builder, moving, steps
        self.computed = computed(builder)
        # Where the weights of attentions lie, and what is computed of them alone: nobody may read it in the end.
        self.weights: set[tuple[int, int] | None] = set()

    def check(self, x: np.ndarray, outputs: Sequence[Tensor]) -> None:
        """NotStepwise where an output of a step depends on other steps, but for what states and caches keep."""
        self._mark(x, 1)
        for number, instruction in enumerate(self.builder.instructions):
            try:
                self._run(number, instruction)
            except NotStepwise as error:
                place = place_of(self.builder, number)
                raise NotStepwise(f"{error} ({instruction.op.name}){place}") from None
        for y in outputs:
            if self._of_weights(y.array):
                raise NotStepwise(WEIGHTS)
            last = np.isin(y.array, (0, self.steps)).all()
            if not last and (y.array.ndim < 2 or not self._is_own(y.array)):
                raise NotStepwise("the output is that of other steps")

    def _run(self, number: int, instruction: Instruction) -> None:
        arrays = arrays_of(instruction)
        if any(self._of_weights(arrays[name]) for name in instruction.op.inputs if name in arrays):
            self._weights(instruction)
            return
        steps = {
            name: self._steps_of(number, name, arrays[name])
            for name in instruction.op.inputs
            if name in arrays
        }
        if instruction.op in RECURRENT:
            self._recurrent(instruction, steps)
        elif instruction.op is attention_forward and instruction.fields["causal"]:
            self._attention(instruction, steps)
        else:
            hand_on(instruction.op, steps, arrays)

    def _of_weights(self, array: np.ndarray) -> bool:
        return bool(self.weights) and self.computed.bounds_of(array) in self.weights

    def _weights(self, instruction: Instruction) -> None:
        """A call may read weights beside constants, as their mean over the heads does; NotStepwise beside what has steps."""
        arrays = arrays_of(instruction)
        for name in instruction.op.inputs:
            if (
                name in arrays
                and not self._of_weights(arrays[name])
                and self.computed.bounds_of(arrays[name])
            ):
                raise NotStepwise(WEIGHTS)
        self.weights |= {
            self.computed.bounds_of(arrays[name]) for name in instruction.op.outputs if name in arrays
        }

    def _steps_of(self, number: int, name: str, array: np.ndarray) -> np.ndarray:
        axis = self.moving.get((number, name))
        if axis is None and self.computed.bounds_of(array) is not None:
            return array
        steps = np.zeros(array.shape, np.int64)
        if axis is not None:
            self._mark(steps, axis)
        return steps

    def _mark(self, array: np.ndarray, axis: int) -> None:
        """Write the number of its step into each element."""
        shape = [1] * array.ndim
        shape[axis] = self.steps
        array[...] = np.arange(1, self.steps + 1).reshape(shape)

    def _is_own(self, array: np.ndarray) -> bool:
        """Whether the second dimension are the steps."""
        marks = np.zeros(array.shape, np.int64)
        if array.shape[1] != self.steps:
            return False
        self._mark(marks, 1)
        return bool(((array == 0) | (array == marks)).all())

    def _attention(self, instruction: Instruction, steps: Mapping[str, np.ndarray]) -> None:
        if {"mask", "lengths", "step"} & steps.keys():
            raise NotStepwise(MASKED)
        if not all(self._is_own(steps[name]) for name in "qkv"):
            raise NotStepwise("queries, keys and values are not those of the same steps")
        arrays = arrays_of(instruction)
        self._mark(arrays["y"], 1)
        if "probabilities" in arrays:
            self.weights.add(self.computed.bounds_of(arrays["probabilities"]))

    def _recurrent(self, instruction: Instruction, steps: Mapping[str, np.ndarray]) -> None:
        if instruction.fields["reverse"]:
            raise NotStepwise("a recurrent layer reads sequences from their end")
        starts = [steps[name] for name in ("h0", "c0", "lengths") if name in steps]
        if not self._is_own(steps["x"]) or any(start.any() for start in starts):
            raise NotStepwise("a recurrent layer does not go along the steps, or starts from what they say")
        arrays = arrays_of(instruction)
        for name in instruction.op.outputs:
            if name in arrays and "T" in instruction.op.arrays[name].dims:
                self._mark(arrays[name], 1)
            elif name in arrays:  # the last state
                arrays[name][...] = self.steps


def hand_on(op: Op, steps: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]) -> None:
    """Write the steps of the outputs of a call; NotStepwise where elements of several steps meet."""
    apart = "*B" + APART.get(op.name, "")

    def labels(name: str, dims: int) -> list[str]:
        array = op.arrays[name]
        lead = [f"*{k}" for k in range(dims - len(array.inner))] if array.leading else []
        return lead + [str(dim) for dim in array.inner]

    for output in op.outputs:
        if output not in arrays:
            continue
        y = arrays[output]
        places = labels(output, y.ndim)
        total = np.zeros(y.shape, np.int64)
        for name, given in steps.items():
            own = labels(name, given.ndim)
            kept = [label for label in own if label[0] in apart and label in places]
            met = _together(given, tuple(k for k, label in enumerate(own) if label not in kept))
            shape = [y.shape[k] if label in kept else 1 for k, label in enumerate(places)]
            met = met.transpose([kept.index(label) for label in places if label in kept]).reshape(shape)
            if ((met != total) & (met != 0) & (total != 0)).any():
                raise NotStepwise("elements of several steps meet")
            total = np.maximum(total, met)
        y[...] = total


def _together(steps: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The step of all elements along these axes."""
    if not steps.size:
        return np.zeros([size for k, size in enumerate(steps.shape) if k not in axes], np.int64)
    most = steps.max(axis=axes)
    if ((steps != np.expand_dims(most, axes)) & (steps != 0)).any():
        raise NotStepwise("elements of several steps meet")
    return np.asarray(most)

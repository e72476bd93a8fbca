"""Builder: emits a network's forward pass, and its backward pass in reverse.

A program is a flat list of instructions over arrays that are allocated once. Layers do not compute: they emit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..ops import Op, add, expression, index_function
from ..system.memory import aligned
from .carried import Carried
from .tensor import Tensor, address, dense_order, reshaped


@dataclass(frozen=True, eq=False)
class Instruction:
    """One call of an op on fixed arrays and scalars."""

    op: Op
    fields: dict[str, Any]
    # Which layer emitted it, for messages.
    layer: str = ""


# (builder, pred, target, weight) -> (loss[1], count[1]): emits a loss and, while training, its gradient.
EmitLoss = Callable[["Builder", Tensor, np.ndarray, np.ndarray | None], tuple[Tensor, Tensor]]
# (pred, y) -> (value, gradient): a loss of the user's.
OwnLoss = Callable[[np.ndarray, Any], tuple[float, np.ndarray]]


class TargetTransform(Protocol):
    """What a layer that changes the rows of a training batch does to the loss."""

    def emit(
        self,
        loss: EmitLoss,
        builder: "Builder",
        pred: Tensor,
        target: np.ndarray,
        weight: np.ndarray | None,
        /,
    ) -> tuple[Tensor, Tensor]:
        """Emit `loss` for the changed rows."""

    def call(self, loss: OwnLoss, pred: np.ndarray, y: Any, /) -> tuple[float, np.ndarray]:
        """Call `loss` for the changed rows."""

    def drawn(self) -> Any:
        """How the last forward pass changed the rows."""


class _Entry(NamedTuple):
    """One step of the tape: an op with its tensors and scalars; or an output `y` and what its gradient does (`backward`)."""

    op: Op | None
    tensors: dict[str, Tensor | None]
    scalars: dict[str, Any]
    layer: str
    backward: Callable[[Tensor], None] | None = None


@dataclass(eq=False, repr=False)
class Builder:
    """Emits calls; `backward` appends each op's gradient call in reverse."""

    dtype: np.dtype[Any]
    training: bool
    # Completed steps of the model.
    step: np.ndarray = field(default_factory=lambda: aligned((1,), np.int64))
    seed: int = 0
    # Of the products of all ops that have one.
    precision: str = "float32"
    instructions: list[Instruction] = field(default_factory=list)
    # What a step changes in layers once it is sure to count: running statistics.
    kept: list[Instruction] = field(default_factory=list)
    # The dotted name of the layer that emits, set by `inside`.
    layer: str = ""
    # What the loss has to apply: set by layers that mix the rows of a batch.
    targets: list[TargetTransform] = field(default_factory=list)
    # All that `tensor` made, and with padded rows program/layout.py.
    buffers: list[np.ndarray] = field(default_factory=list)
    # Whether a row of the output depends on other rows, because of what a module's `forward` does.
    whole_batch: bool = False
    # Tensors of which views show a part; and the gradients of parameters.
    viewed: list[Tensor] = field(default_factory=list)
    # Tensors of which views show the whole, in another order: whatever reads one of these starts at the same address.
    turned: list[Tensor] = field(default_factory=list)
    # Where the gradients of parameters lie that the backward pass fills.
    reached: set[int] = field(default_factory=set)
    # Contiguous copies of views, each made once.
    copies: dict[Tensor, Tensor] = field(default_factory=dict)
    # What `forward` wrote into arrays of state, by their addresses: later reads in it see that.
    assigned: dict[int, tuple[np.ndarray, Tensor]] = field(default_factory=dict)
    # Arrays of indices, as they were given, and below which number they have to be: for a check before a step.
    ranges: list[tuple[np.ndarray, int]] = field(default_factory=list)
    # Of tensors of which views show parts, the gradient that theirs make up: program/views.py.
    parts: dict[Tensor, Any] = field(default_factory=dict)
    # Of views of a part, the place in that gradient where theirs may be written: None where it has no such shape.
    places: dict[Tensor, Callable[[], np.ndarray | None]] = field(default_factory=dict)
    # Gradients of tables of which a step trains some rows: RowsGradient; and the look-ups in each, by where its gradient lies.
    tables: list[Any] = field(default_factory=list)
    lookups: dict[int, list[Any]] = field(default_factory=dict)
    # Rows of tables, each by (table, index), where a layer that multiplies them may multiply the table instead.
    rows_of: dict[Tensor, tuple[Tensor, Tensor]] = field(default_factory=dict)
    # What is emitted once all gradients have flowed back.
    endings: list[Callable[[], None]] = field(default_factory=list)
    # Where rows have lengths: (B,) those of rows of so many steps, of the input first, then behind layers that shorten rows.
    lengths_by_steps: dict[int, Tensor] = field(default_factory=dict)
    # Whether `lengths_of` was asked.
    steps_are_read: bool = False
    # What shortened them: the steps before, and what program/masks.py computes with.
    shortened_by: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    # Where layers find the state that the batch before has left, and leave theirs; None: every batch starts anew.
    carried: Carried | None = None
    # Whether the batch is a part of one that ranks share; and where its program waits for them: Meeting, in order.
    shared: bool = False
    meetings: list[Any] = field(default_factory=list)
    # The names of what is carried in this program.
    carrying: set[str] = field(default_factory=set)
    _tape: list[_Entry] = field(default_factory=list)
    _gradients: dict[Tensor, list[Tensor]] = field(default_factory=dict)
    _streams: int = 0

    def tensor(self, shape: Sequence[int], dtype: Any = None, requires_grad: bool = False) -> Tensor:
        """A new buffer."""
        array = aligned(shape, dtype or self.dtype)
        self.buffers.append(array)
        return Tensor(array, requires_grad)

    @property
    def steps(self) -> Tensor | None:
        """(B,) int64: how many steps of each row of the input count; None where all do."""
        return next(iter(self.lengths_by_steps.values()), None)

    def lengths_of(self, steps: int | None = None) -> Tensor | None:
        """(B,) int64: how many of so many steps of each row count, by default of those of the input; None where all do.

        ValueError where those of so many steps are not known: of rows that were cut, joined or reshaped along their steps.
        """
        self.steps_are_read = True
        if steps is None or not self.lengths_by_steps:
            return self.steps
        if steps not in self.lengths_by_steps:
            raise ValueError(
                f"lengths is given, and known for rows of {sorted(self.lengths_by_steps)} steps, but a layer reads those of rows"
                f" of {steps}"
            )
        return self.lengths_by_steps[steps]

    def tell_lengths(self, steps: int, lengths: Tensor) -> None:
        """Tell how many of so many steps of each row count; ValueError where this is known already, of the input or a layer."""
        if steps in self.lengths_by_steps:
            raise ValueError(
                f"lengths is given, and a layer tells those of rows of {steps} steps, which are known: rows that end elsewhere"
                " need another number of steps"
            )
        self.lengths_by_steps[steps] = lengths

    @property
    def bytes(self) -> int:
        """Size of all buffers."""
        return sum(array.nbytes for array in self.buffers)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """What is emitted within the block belongs to the inner layer of this name."""
        outer = self.layer
        self.layer = f"{outer}.{name}" if outer else name
        yield
        self.layer = outer

    def stream(self) -> int:
        """The next random stream: one for each layer that draws."""
        self._streams += 1
        return self._streams

    def emit(self, op: Op, /, want: Iterable[str] = (), **given: Any) -> Tensor:
        """Append a call. Outputs that are not given are allocated from the shape string, optional ones only if in `want`.

        Arrays that belong to a layer's state are passed as arrays, tensors of the graph as tensors. Returns the first output.
        """
        tensors, scalars = self._given(op, given)
        requires_grad = any(t is not None and t.requires_grad for t in tensors.values())
        self._allocate(op, tensors, scalars, want, requires_grad)
        self._append(op, tensors, scalars)
        self._tape.append(_Entry(op, tensors, scalars, self.layer))
        return self._first_output(op, tensors)

    def keep(self, op: Op, /, **fields: Any) -> None:
        """A call that changes a layer's own state: a training step makes it after its guard, beside the optimizer's."""
        self.kept.append(replace(call(op, **fields), layer=self.layer))

    def assign(self, state: np.ndarray, value: Tensor) -> None:
        """Write a tensor into an array of state once a training step is sure to count; inference leaves the array as it is."""
        if self.training and not self._writes(value):  # a parameter or other state, which by then has changed
            value = self.run(expression, a=value, steps="y = copy a")
        self.assigned[address(state)] = state, value

    def _writes(self, x: Tensor) -> bool:
        """Whether a call so far writes the buffer of x."""
        return any(
            (array := call.fields[name]) is not None and address(array) == address(x.array)
            for call in self.instructions
            for name in call.op.outputs
        )

    def carry(self, name: str, shape: Sequence[int]) -> Tensor | None:
        """The state that the batch before has left for the layer that emits; None where every batch starts anew."""
        if self.carried is None:
            return None
        key = f"{self.layer}.{name}" if self.layer else name
        while key in self.carrying:  # a layer that is used twice
            key += "'"
        self.carrying.add(key)
        state = Tensor(self.carried.array(key, shape, self.dtype))
        self.viewed.append(state)
        return state

    def leave(self, state: Tensor, value: Tensor) -> None:
        """Leave a value for the next batch in the state that `carry` gave; in training once the step is sure to count."""
        if self.training:
            self.keep(expression, a=value.array, y=state.array, steps="y = copy a")
        else:
            self.run(expression, a=value, y=state, steps="y = copy a")

    def keep_assigned(self) -> None:
        """The calls that write what was assigned last."""
        for state, value in self.assigned.values():
            self.keep(expression, a=value.array, y=state, steps="y = copy a")

    def output(self, name: str) -> Tensor:
        """Another output of the call emitted last."""
        tensor = self._tape[-1].tensors[name]
        assert tensor is not None
        return tensor

    def written(self) -> list[Tensor]:
        """The tensors that the entries of the tape have written so far, for those who look at a program."""
        named = ((entry.tensors, entry.op.outputs if entry.op else ("y",)) for entry in self._tape)
        return [t for tensors, outputs in named for name in outputs if (t := tensors.get(name)) is not None]

    def record(self, y: Tensor, backward: Callable[[Tensor], None]) -> Tensor:
        """A step of the tape that is no op: in the backward pass `backward` is given the gradient of y, where there is one."""
        if y.requires_grad:
            self._tape.append(_Entry(None, {"y": y}, {}, self.layer, backward))
        return y

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same buffer in another shape: costs nothing where its strides allow that, else a copy."""
        array = reshaped(x.array, shape)
        if array is None:
            x = self.contiguous(x)
            array = x.array.reshape(shape)
        y, shape = Tensor(array, x.requires_grad), array.shape
        if place := self.places.get(x):
            self.places[y] = lambda: None if (found := place()) is None else reshaped(found, shape)

        def backward(dy: Tensor) -> None:
            back = reshaped(dy.array, x.shape)
            self.add_gradient(x, Tensor(self.contiguous(dy).array.reshape(x.shape) if back is None else back))

        return self.record(y, backward)

    def view(self, x: Tensor, array: np.ndarray, whole: bool = False) -> Tensor:
        """An array that shows a part of x's buffer as a tensor, or with `whole` all of it in another order; not on the tape."""
        (self.turned if whole else self.viewed).append(x)
        return Tensor(array, x.requires_grad)

    def contiguous(self, x: Tensor) -> Tensor:
        """x itself, or a contiguous copy of a view, which is made once."""
        if x.array.flags.c_contiguous:
            return x
        if x not in self.copies:
            copy = self.copies[x] = self.copied(x)
            copy.requires_grad = x.requires_grad
            self.record(copy, lambda dy: self.add_gradient(x, dy))
        return self.copies[x]

    def copied(self, x: Tensor, into: Tensor | None = None) -> Tensor:
        """A copy of numbers or of indices, without a place on the tape; into: a tensor of this shape, or a view."""
        if x.array.dtype == np.int64:
            zero = Tensor(np.broadcast_to(np.int64(0), x.shape))
            return self.run(index_function, a=x, b=zero, y=into)
        return self.run(expression, a=x, y=into, steps="y = copy a")

    def fitting(self, op: Op, name: str, x: Tensor) -> Tensor:
        """x as an op takes it under this name: a view where it may be one, else contiguous."""
        return x if op.takes(name, x.array) else self.contiguous(x)

    def run(self, op: Op, /, **given: Any) -> Tensor:
        """Append a call without a place on the tape: what it computes has no gradient, or one that somebody else records."""
        tensors, scalars = self._given(op, given)
        self._allocate(op, tensors, scalars)
        self._append(op, tensors, scalars)
        return self._first_output(op, tensors)

    def _given(self, op: Op, given: dict[str, Any]) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
        """The tensors of a call, with copies of views that the op cannot read, and its scalars."""
        tensors = {name: self._as_tensor(given.get(name)) for name in op.arrays}
        tensors |= {n: self.fitting(op, n, t) for n in op.inputs if (t := tensors[n]) and n not in op.outputs}
        return tensors, {name: value for name, value in given.items() if name not in op.arrays}

    @staticmethod
    def _first_output(op: Op, tensors: dict[str, Tensor | None]) -> Tensor:
        y = tensors[op.outputs[0]]
        assert y is not None
        return y

    def add_gradient(self, x: Tensor, dx: Tensor) -> None:
        """Add one contribution to the gradient of x (the loss gives the first one)."""
        self._gradients.setdefault(x, []).append(dx)

    def backward(self) -> None:
        """Append the gradient call of every entry of the tape, last first (the chain rule)."""
        for entry in reversed(self._tape):
            self.layer = entry.layer
            if entry.backward is not None:
                self._recorded_backward(entry, entry.backward)
            elif entry.op is not None and entry.op.alias_gradient:
                self._alias_backward(entry)
            elif entry.op is not None and entry.op.gradients:
                self._op_backward(entry)
        for ending in self.endings:
            ending()
        for x in [*self._gradients]:
            if x.gradient is not None:
                self.gradient(x)
                self.viewed.append(Tensor(x.gradient))
                self.reached.add(address(x.gradient))
        self._tape.clear()

    def gradient(self, x: Tensor) -> Tensor | None:
        """The gradient of x, its contributions added up; None where nothing flows back to x."""
        if x in self.parts:
            self.parts[x].complete(self)
        parts = self._gradients.get(x, [])
        while len(parts) > 1:
            a, b = parts.pop(0), parts.pop(0)
            into = Tensor(x.gradient) if x.gradient is not None and not parts else None
            parts.insert(0, self._sum(a, b, into))
        if parts and x.gradient is not None and address(parts[0].array) != address(x.gradient):
            parts[0] = self.run(expression, a=parts[0], y=Tensor(x.gradient), steps="y = copy a")
        return parts[0] if parts else None

    def _sum(self, a: Tensor, b: Tensor, into: Tensor | None) -> Tensor:
        """a + b; where both lie in memory in another order of the axes, so does their sum."""
        order = dense_order(a.array)
        if into is None and order is not None and order == dense_order(b.array):
            a, b = (self.view(part, part.array.transpose(order), whole=True) for part in (a, b))
            y = self._sum(a, b, None)
            return self.view(y, y.array.transpose(np.argsort(order)), whole=True)
        return self.run(add, a=a, b=b, y=into)

    def _op_backward(self, entry: _Entry) -> None:
        assert entry.op is not None
        ops = entry.op.gradients
        flowing = {name for op in ops for name in op.arrays}
        outgoing = {f"d{k}": t for k in entry.op.outputs if (t := entry.tensors[k]) is not None}
        flows = {name: self.gradient(t) for name, t in outgoing.items() if name in flowing}
        if not any(flows.values()) or not any(t and t.requires_grad for t in entry.tensors.values()):
            return
        # What an op wrote, the next one may read.
        written: dict[str, Tensor | None] = {}
        for op in ops:
            tensors: dict[str, Tensor | None] = {}
            for name, array in op.arrays.items():
                source = entry.tensors.get(name.removeprefix("d")) if name in op.outputs else None
                if name not in op.outputs:
                    tensor_of = flows if name in flows else written if name in written else entry.tensors
                    tensor = tensor_of.get(name)
                    tensors[name] = tensor and self.fitting(op, name, tensor)
                elif source is None or (array.optional and not source.requires_grad):
                    tensors[name] = None
                else:
                    tensors[name] = target = self._gradient_target(source, op, name)
                    # At once: where two inputs are one parameter, the second has a buffer of its own.
                    self.add_gradient(source, target)
            scalars = {k: v for k, v in entry.scalars.items() if k in op.scalars}
            self._allocate(op, tensors, scalars)
            self._append(op, tensors, scalars)
            written |= {name: tensors[name] for name in op.outputs}

    def _allocate(
        self,
        op: Op,
        tensors: dict[str, Tensor | None],
        scalars: dict[str, Any],
        want: Iterable[str] = (),
        requires_grad: bool = False,
    ) -> None:
        """Buffers for the outputs that are required, or in `want`, and not given; the shapes of those given are checked."""
        dims = op.infer({k: t.shape for k, t in tensors.items() if t is not None}, scalars)
        for name in op.outputs:
            array = op.arrays[name]
            if tensors[name] is None and (not array.optional or name in want):
                # Indices have no gradient.
                flows = requires_grad and array.dtype is None
                tensors[name] = self.tensor(array.shape(dims), array.dtype, flows)

    def _gradient_target(self, x: Tensor, op: Op, name: str) -> Tensor:
        """Where an op writes a contribution: the first one of a parameter or of a part of a tensor straight into its place."""
        if x not in self._gradients:
            if x.gradient is not None:
                return Tensor(x.gradient)
            place = self.places[x]() if x in self.places else None
            if place is not None and op.takes(name, place):
                return Tensor(place)
        return self.tensor(x.shape)

    def _alias_backward(self, entry: _Entry) -> None:
        assert entry.op is not None
        for name, output in entry.op.alias_gradient.items():
            source, y = entry.tensors[name], entry.tensors[output]
            assert y is not None
            dy = self.gradient(y)
            if source is not None and source.requires_grad and dy is not None:
                self.add_gradient(source, dy)

    def _recorded_backward(self, entry: _Entry, backward: Callable[[Tensor], None]) -> None:
        y = entry.tensors["y"]
        assert y is not None
        if (dy := self.gradient(y)) is not None:
            backward(dy)

    def _append(self, op: Op, tensors: dict[str, Tensor | None], scalars: dict[str, Any]) -> None:
        """Append the call, behind `_allocate`, which has checked the shapes."""
        fields = {**{k: t and t.array for k, t in tensors.items()}, **scalars}
        if "precision" in op.scalars:
            fields.setdefault("precision", self.precision)
        op.check(fields, shapes_fit=True)
        self.instructions.append(Instruction(op, op.complete(fields), self.layer))

    @staticmethod
    def _as_tensor(value: Any) -> Tensor | None:
        return value if value is None or isinstance(value, Tensor) else Tensor(value)


def call(op: Op, /, **fields: Any) -> Instruction:
    """An instruction outside any graph: optimizer steps, batches, counters."""
    op.check(fields)
    return Instruction(op, op.complete(fields))

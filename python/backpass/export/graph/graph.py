"""Graph: what the memory of a program holds at each moment, as values of an ONNX graph."""

from collections.abc import Callable, Sequence

import numpy as np

from ...program import Plan, parts_of
from ...program.blocks import Block, Blocks, arrays_of
from ..batches import Pair, constant, differs
from .nodes import BATCH, FUNCTION, SEVERAL, Nodes, Value
from .parts import composed
from .views import lone_shape, route

View = Callable[[np.ndarray], np.ndarray]


def as_it_is(array: np.ndarray) -> np.ndarray:
    """No other view of an array."""
    return array


class Graph(Nodes):
    """What the writers of ops write into.

    known: parameters and state by name, as arrays of both plans; inputs as well. A name that is taken gets a number behind it:
    inputs keep theirs, then parameters, then outputs.
    """

    def __init__(
        self,
        plans: tuple[Plan, Plan],
        known: dict[str, Pair],
        inputs: dict[str, Pair],
        outputs: Sequence[str],
    ) -> None:
        super().__init__([*inputs])
        # The names of parameters and state in the file by those in the network.
        self.names = {name: self.free(name) for name in known}
        self._inputs, self._known = inputs, {self.names[name]: pair for name, pair in known.items()}
        self.outputs = [self.free(name) for name in outputs]
        self._pairs = [
            *known.values(),
            *inputs.values(),
            *zip(plans[0].buffers, plans[1].buffers, strict=True),
            *zip(parts_of(plans[0].out), parts_of(plans[1].out), strict=True),
        ]
        for one, other in zip(plans[0].forward, plans[1].forward, strict=True):
            arrays = arrays_of(other)
            self._pairs += [(array, arrays[name]) for name, array in arrays_of(one).items()]
        self._blocks = Blocks(pair[0] for pair in self._pairs)
        self._contents: dict[Block, list[Value]] = {}
        for name, pair in inputs.items():
            self.write(pair, name)

    def read(self, pair: Pair, view: View = as_it_is) -> str:
        """The value that a view of an array shows, without what it repeats."""
        block = self._blocks.of(pair[0])
        shown = view(pair[0]), view(pair[1])
        if block not in self._contents and not self._load(block):
            return self._fixed(shown)
        assert block is not None
        turned = [axis for axis, stride in enumerate(shown[0].strides) if stride < 0]
        if turned:
            forward = self.read(pair, lambda array: np.flip(view(array), tuple(turned)))
            for axis in turned:
                forward = self.slice(forward, axis, -1, -(2**31), -1)
            return forward
        for value in reversed(self._contents[block]):
            name = self._along(shown, value)
            if name is not None:
                return name
            if len(self._contents[block]) > 1:
                self._compose(block)
                return self.read(pair, view)
        raise self.refuse("of which it reads memory in a way that a graph cannot say")

    def write(self, pair: Pair, name: str, view: View = as_it_is) -> None:
        """From now on a view of an array shows this value."""
        self.write_into(pair, Value(name, (view(pair[0]), view(pair[1]))))

    def write_into(self, pair: Pair, value: Value) -> None:
        """From now on the memory of an array holds this value."""
        block = self._blocks.of(pair[0])
        if block is not None:  # else it has no elements
            whole = value.arrays[0].nbytes == block.high - block.low
            self._contents[block] = [value] if whole else [*self._contents.get(block, []), value]

    def is_whole(self, array: np.ndarray) -> bool:
        """Whether an array fills its memory, of which other arrays show a part at most."""
        block = self._blocks.of(array)
        return block is not None and array.nbytes == block.high - block.low

    def value(self, pair: Pair) -> Value | None:
        """The one value that fills the memory of an array, whatever the order in which it does; None where none does."""
        block = self._blocks.of(pair[0])
        values = self._contents.get(block, []) if block else []
        return values[0] if len(values) == 1 and values[0].arrays[0].nbytes == pair[0].nbytes else None

    def sizes(self, pair: Pair) -> tuple[int, ...]:
        """The shape, with -1 for the dimension of the batch."""
        return self.merged(pair[0].shape, pair[1].shape)

    def expanded(self, name: str, pair: Pair) -> str:
        """A value without repetitions as the whole of what an array shows."""
        return self.expand(name, lone_shape(pair[0]), pair)

    def expand(self, name: str, shape: tuple[int, ...], pair: Pair) -> str:
        """A value of a shape (that of the smaller plan) repeated to the shape of an array."""
        if shape == pair[0].shape:
            return name
        wide = [
            1 if size == n else BATCH if n != m else n
            for size, n, m in zip(shape, *(a.shape for a in pair), strict=True)
        ]
        if BATCH not in wide:
            return self.node("Expand", [name, self.constant(np.array(wide))])
        if wide.count(BATCH) > 1:
            raise self.refuse(SEVERAL)
        at = wide.index(BATCH)
        times = pair[0].shape[at] * 1.0 / self.rows[0]
        if times != pair[1].shape[at] / self.rows[1] or times % 1:
            raise self.refuse("of which a dimension is no multiple of the batch")
        first = self.node("Shape", [next(iter(self._inputs))], start=0, end=1)
        if times != 1:
            first = self.node("Mul", [first, self.constant(np.array([int(times)]))])
        parts = [self.constant(np.array(sizes)) for sizes in (wide[:at], wide[at + 1 :])]
        whole = self.node("Concat", [*parts[:1][: at > 0], first, *parts[1:][: at + 1 < len(wide)]], axis=0)
        return self.node("Expand", [name, whole])

    @property
    def rows(self) -> tuple[int, int]:
        """The sizes of the batches of both plans."""
        one, other = next(iter(self._inputs.values()))
        return len(one), len(other)

    def _load(self, block: Block | None) -> bool:
        """Whether a parameter or state lies there, which becomes an initialiser."""
        for name, known in self._known.items():
            if block is not None and self._blocks.of(known[0]) is block:
                self.initialisers[name] = np.array(known[0], order="C")
                self._contents[block] = [Value(name, known)]
                return True
        return False

    def _fixed(self, shown: Pair) -> str:
        """An array that no instruction writes."""
        one, other = (array[tuple(slice(0, n) for n in lone_shape(array))] for array in shown)
        alone = constant((one, other))
        if alone is None:
            assert self.instruction is not None
            raise differs(FUNCTION, self.instruction)
        return self.expand(self.constant(alone), alone.shape, (one, other))

    def _along(self, shown: Pair, value: Value) -> str | None:
        """The nodes from a value to a view of it; None where it does not show it."""
        ways = [route(view, array) for view, array in zip(shown, value.arrays, strict=True)]
        if ways[0] is None or ways[1] is None or [s.kind for s in ways[0]] != [s.kind for s in ways[1]]:
            return None
        name = value.name
        for one, other in zip(*ways, strict=True):
            if one.kind == "Transpose":
                name = self.node("Transpose", [name], perm=one.numbers)
            elif one.kind == "Reshape":
                name = self.reshape(name, self.merged(one.numbers, other.numbers))
            elif one != other:
                raise self.refuse("of which a slice depends on the size of the batch")
            else:
                name = self.slice(name, *one.numbers)
        return name

    def _compose(self, block: Block) -> None:
        """One value of the parts that were written one after the other."""
        size, values = block.high - block.low, self._contents[block]
        for pair in self._pairs:
            if self._blocks.of(pair[0]) is block and pair[0].nbytes == size and 0 not in pair[0].strides:
                complete = values[0].arrays[0].nbytes == size
                base = self._along(pair, values[0]) if complete else None
                name = composed(self, pair, base, values[1:] if complete else values)
                if name is not None:
                    self._contents[block] = [Value(name, pair)]
                    return
        raise self.refuse("of which it reads memory that was written in parts a graph cannot join")

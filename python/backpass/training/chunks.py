"""Data that come in chunks, more of them than memory holds: `fit` reads one at a time, in a new order each epoch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..data import targets
from ..data.feed import Feed, Position
from ..data.inputs import Inputs
from ..data.order import Order, row_order
from ..data.sparse import SparseRows
from ..engine.engine import Engine
from ..engine.inputs import check_weighed
from ..engine.run import Run
from ..program import Rows, on_each, parts_of
from ..system.memory import aligned
from ..system.signals import opened
from .chunk import checked_chunk, prefetch
from .fingerprint import Fingerprint
from .loops import BatchLoop


class Chunks:
    """A user's sequence of chunks. All are read and checked once at first, and each again whenever it comes."""

    def __init__(self, engine: Engine, source: Any, class_weight: Any) -> None:
        self.engine, self.source = engine, source
        self.class_weight: Any = None
        self.weighted = class_weight is not None
        self.sizes: list[int] = []
        from hashlib import sha256  # here: `import backpass` is to be quick

        full, sampled, counts, weighs = sha256(), sha256(), np.zeros(1, np.int64), False
        for number in range(len(source)):
            prefetch(source, number + 1)
            inputs, y, weight = self._checked(number)
            if not self.sizes:
                self.inputs, self.target = inputs.part(slice(0, 0)), targets.target_of(y)
            self.weighted |= weight is not None
            weighs |= weight is None or bool(weight.any())
            self.sizes.append(inputs.rows)
            fingerprint = Fingerprint.of((inputs, y, weight), engine.dtype)
            full.update(fingerprint.full.encode())
            sampled.update(fingerprint.sampled().encode())
            if class_weight is not None:
                outputs = engine.plans.output_shape(inputs.specs(1, engine.dtype))[-1]
                counts = counts + targets.class_counts(y, outputs, inputs.lengths)
        if not self.sizes:
            raise ValueError("X is an empty sequence, expected at least one chunk (X, y)")
        if class_weight is not None:
            self.class_weight = targets.per_class(class_weight, counts)
            full.update(self.class_weight.tobytes())
            sampled.update(self.class_weight.tobytes())
            weighs &= bool((self.class_weight[counts > 0] > 0).any())
        if not weighs and class_weight is None:
            raise ValueError(
                "sample_weight is 0 everywhere in all chunks of X, expected at least one row that counts"
            )
        if not weighs:
            check_weighed(np.zeros(1), None, class_weight)
        self.fingerprint = Fingerprint(f"all:{full.hexdigest()}", sampled.hexdigest)

    def read(self, number: int) -> tuple[Inputs, Rows, np.ndarray | float]:
        """Inputs, targets and weights of a chunk as the programs take them."""
        inputs, y, weight = self._checked(number)
        if inputs.rows != self.sizes[number]:
            raise ValueError(
                f"X[{number}] has {inputs.rows} rows, but had {self.sizes[number]} when the run began"
            )
        return inputs, y, 1.0 if weight is None else weight

    def _checked(self, number: int) -> tuple[Inputs, Rows, np.ndarray | None]:
        inputs, y, weight = checked_chunk(self.engine, f"X[{number}]", self.source[number], self.class_weight)
        if any(isinstance(source, SparseRows) for source in inputs.sources.values()):
            raise TypeError(f"X[{number}] is a sparse matrix, expected a dense array in a chunk")
        shapes = {name: source.shape[1:] for name, source in inputs.sources.items()}
        if self.sizes:
            first_shapes = {name: source.shape[1:] for name, source in self.inputs.sources.items()}
            if (shapes, targets.target_of(y)) != (first_shapes, self.target):
                raise ValueError(
                    f"X[{number}]: its rows have another shape than those of X[0], {first_shapes}"
                )
        return inputs, y, weight


class ChunkLoop(BatchLoop):
    """An epoch over chunks, and over the rows within each, in orders that the seed and the epoch give.

    The rows that are left of a chunk, fewer than a batch, go in front of the next one's: every batch but the last is whole.
    """

    def __init__(self, engine: Engine, chunks: Chunks, run: Run) -> None:
        self.chunks, self.rows = chunks, run.rows
        room = max(chunks.sizes) + run.batch_size - 1
        weights = targets.weight_shape(engine.loss, chunks.target)
        specs = chunks.inputs.specs(room, engine.dtype)
        feed = Feed.of(
            Inputs({spec.name: aligned(spec.shape, spec.dtype) for spec in specs}, chunks.inputs.kinds),
            on_each(lambda target: aligned((room, *target[0]), target[1]), chunks.target),
            aligned((room, *weights), engine.dtype) if chunks.weighted else None,
        )
        super().__init__(engine, feed, run.batch_size, run.rows)

        def order(rows: int) -> Order:
            return Order(engine.backend, engine.seed, row_order(rows), run.shuffle)

        self.order = order(len(chunks.sizes))
        self.within = {size: order(size) for size in {*chunks.sizes}}
        # Rows of the epoch that came before those in the buffers.
        self.rows_before = 0
        # Of the order of the chunks in this epoch; those within the chunks come next.
        self.number = 0

    def position(self) -> Position:
        position = self.feed.position()
        return position._replace(rows=self.rows_before + position.rows)

    def begin(self, number: int, position: Position) -> None:
        self.feed.go_to(position._replace(rows=0))
        if self.recorder:
            self.recorder.begin(position.rows)
        self.rows_before, self.number = position.rows, number * (len(self.chunks.sizes) + 1)
        self.order.begin(self.number)

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        feed, skip, filled = self.feed, self.rows_before, 0
        chunks = self.order.index.tolist()
        for place, chunk in enumerate(chunks):
            size = self.chunks.sizes[chunk]
            if skip >= size:
                skip -= size
                continue
            order = self.within[size]
            order.begin(self.number + 1 + chunk)
            self._load(chunk, filled)
            for following in chunks[place + 1 : place + 2]:
                opened(prefetch, self.chunks.source, following)
            feed.index[filled : filled + size - skip] = filled + order.index[skip:]
            filled, skip = filled + size - skip, 0
            is_last = self.rows_before + filled >= self.rows
            yield from self.train(
                self.rows - self.rows_before if is_last else filled - filled % self.size, pace
            )
            if is_last:
                return
            filled = self._keep(feed.index[int(feed.cursor[0]) : filled].copy())

    def _load(self, chunk: int, start: int) -> None:
        """The rows of a chunk into the buffers, from row `start` on."""
        inputs, y, weight = opened(self.chunks.read, chunk)
        rows = slice(start, start + inputs.rows)
        for name, array in inputs.batch(slice(None)).items():
            self.feed.inputs.array(name)[rows] = array
        self.feed.y[rows] = y
        if self.feed.weight is not None:
            self.feed.weight[rows] = weight

    def _keep(self, rows: np.ndarray) -> int:
        """Move what is left to the front; returns how many rows these are."""
        feed, kept = self.feed, len(rows)
        for array in (*feed.inputs.batch(slice(None)).values(), *parts_of(feed.y), feed.weight):
            if array is not None:
                array[:kept] = array[rows]
        feed.index[:kept] = np.arange(kept)
        self.rows_before += int(feed.cursor[0])
        feed.cursor[0] = 0
        return kept

"""Data that come in chunks, more of them than memory holds: `fit` reads one at a time, in a new order each epoch."""

import hashlib
from collections.abc import Callable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from . import data
from .checks import as_path
from .evaluation import checked_data
from .history import History
from .loop import BatchLoop, Feed
from .memory import aligned
from .runs import Asked, Position, Run, fingerprint
from .sampling import Order, row_order
from .signals import opened
from .train import run

if TYPE_CHECKING:
    from .model import Model

EXPECTED = "expected a pair (X, y) or a triple (X, y, sample_weight), of arrays or of paths of .npy files"


def fit_chunks(model: "Model", source: Any, sample_weight: Any, class_weight: Any, asked: Asked) -> History:
    """What `Model.fit` does where X is a sequence of chunks."""
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        what = f"X is {type(source).__name__} and y is None"
        raise TypeError(f"{what}, expected y, or X with len() and [i]: a sequence of chunks (X, y)")
    if sample_weight is not None:
        raise ValueError(
            "sample_weight is given, but X are chunks: expected it in them, as (X, y, sample_weight)"
        )
    if asked.sampler:
        raise ValueError(
            f"sampler is {asked.sampler!r}, but X are chunks, expected None (class_weight serves)"
        )
    if model.callable_loss:
        raise ValueError("X are chunks, but the loss is a callable; expected arrays, or memory maps")
    chunks = Chunks(model, source, class_weight)
    return run(model, lambda this: ChunkLoop(model, chunks, this), sum(chunks.sizes), chunks.digest, asked)


class Chunks:
    """A user's sequence of chunks. All are read and checked once at first, and each again whenever it comes."""

    def __init__(self, model: "Model", source: Any, class_weight: Any) -> None:
        self.model, self.source = model, source
        self.class_weight: Any = None
        self.weighted = class_weight is not None
        self.sizes: list[int] = []
        digest, counts = hashlib.sha256(), np.zeros(1, np.int64)
        for number in range(len(source)):
            X, y, weight = self._checked(number)
            if not self.sizes:
                self.shape, self.target = X.shape[1:], (y.shape[1:], y.dtype)
            self.weighted |= weight is not None
            self.sizes.append(len(X))
            digest.update(fingerprint((X, y, weight), model.dtype).encode())
            if class_weight is not None:
                counts = counts + data.class_counts(y, model.programs.output_shape(self.shape)[-1])
        if not self.sizes:
            raise ValueError("X is an empty sequence, expected at least one chunk (X, y)")
        if class_weight is not None:
            self.class_weight = data.per_class(class_weight, counts)
            digest.update(self.class_weight.tobytes())
        self.digest = digest.hexdigest()

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        """X, y and weights of a chunk as the programs take them."""
        X, y, weight = self._checked(number)
        if len(X) != self.sizes[number]:
            raise ValueError(
                f"X[{number}] has {len(X)} rows, but had {self.sizes[number]} when the run began"
            )
        return X, y, 1.0 if weight is None else weight

    def _checked(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        item = self.source[number]
        if not isinstance(item, tuple | list) or len(item) not in (2, 3):
            raise ValueError(f"X[{number}] is a {type(item).__name__}, {EXPECTED}")
        X, y, weight = (*(mapped(f"X[{number}]", part) for part in item), None)[:3]
        try:
            checked = checked_data(self.model, X, y, weight, self.class_weight)
        except (TypeError, ValueError) as error:
            raise type(error)(f"X[{number}]: {error}") from None
        if self.sizes and (checked[0].shape[1:], (checked[1].shape[1:], checked[1].dtype)) != (
            self.shape,
            self.target,
        ):
            raise ValueError(f"X[{number}]: its rows have another shape than those of X[0], {self.shape}")
        return checked


def mapped(name: str, part: Any) -> Any:
    """A path of a .npy file as a memory map, all else as it is."""
    if isinstance(part, str | PathLike):
        return np.load(as_path(name, part), mmap_mode="r", allow_pickle=False)
    return part


class ChunkLoop(BatchLoop):
    """An epoch over chunks, and over the rows within each, in orders that the seed and the epoch give.

    The rows that are left of a chunk, fewer than a batch, go in front of the next one's: every batch but the last is whole.
    """

    def __init__(self, model: "Model", chunks: Chunks, this: Run) -> None:
        self.chunks, self.rows = chunks, this.rows
        room = max(chunks.sizes) + this.batch_size - 1
        shape, dtype = chunks.target
        weights = shape if dtype == np.int64 else shape[:-1]
        feed = Feed.of(
            aligned((room, *chunks.shape), model.dtype),
            aligned((room, *shape), dtype),
            aligned((room, *weights), model.dtype) if chunks.weighted else None,
        )
        super().__init__(model, feed, this.batch_size, this.rows)
        self.order = Order(model, row_order(len(chunks.sizes)), this.shuffle)
        self.within = {size: Order(model, row_order(size), this.shuffle) for size in {*chunks.sizes}}
        self.before = 0  # rows of the epoch that came before those in the buffers
        self.number = 0  # of the order of the chunks in this epoch; those within the chunks come next

    def position(self) -> Position:
        at = self.feed.position()
        return at._replace(rows=self.before + at.rows)

    def begin(self, number: int, at: Position) -> None:
        self.feed.go_to(at._replace(rows=0))
        self.before, self.number = at.rows, number * (len(self.chunks.sizes) + 1)
        self.order.begin(self.number)

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        feed, skip, filled = self.feed, self.before, 0
        for chunk in self.order.index.tolist():
            size = self.chunks.sizes[chunk]
            if skip >= size:
                skip -= size
                continue
            order = self.within[size]
            order.begin(self.number + 1 + chunk)
            self._load(chunk, filled)
            feed.index[filled : filled + size - skip] = filled + order.index[skip:]
            filled, skip = filled + size - skip, 0
            last = self.before + filled == self.rows
            yield from self.train(filled if last else filled - filled % self.size, pace)
            filled = self._keep(feed.index[int(feed.cursor[0]) : filled].copy())

    def _load(self, chunk: int, start: int) -> None:
        """The rows of a chunk into the buffers, from row `start` on."""
        X, y, weight = opened(self.chunks.read, chunk)
        part = slice(start, start + len(X))
        self.feed.X[part], self.feed.y[part] = X, y
        if self.feed.weight is not None:
            self.feed.weight[part] = weight

    def _keep(self, rows: np.ndarray) -> int:
        """What is left goes to the front; returns how many rows these are."""
        feed, kept = self.feed, len(rows)
        for array in (feed.X, feed.y, feed.weight):
            if array is not None:
                array[:kept] = array[rows]
        feed.index[:kept] = np.arange(kept)
        self.before += int(feed.cursor[0])
        feed.cursor[0] = 0
        return kept

"""The order in which a run takes the rows, epoch by epoch: as they come, shuffled, or with the classes in turn."""

from collections.abc import Callable

import numpy as np

from ..backends import Backend
from ..ops import shuffle
from ..program import call
from ..system.memory import aligned


def row_order(rows: int) -> np.ndarray:
    """The rows as they come; an `Order` changes it in place."""
    index = aligned((rows,), np.int64)
    index[:] = np.arange(rows)
    return index


class Order:
    """Fills `index` anew for each epoch, a function of the seed and the epoch.

    Without `shuffled` the rows come as they are.
    """

    def __init__(self, backend: Backend, seed: int, index: np.ndarray, shuffled: bool) -> None:
        self.index = index
        # What becomes of the shuffled rows.
        self._arrange: Callable[[np.ndarray], np.ndarray] | None = None
        self.epoch = aligned((1,), np.int64)
        # What fills `index` by the epoch; None: the rows stay as they are.
        self.shuffling = call(shuffle, epoch=self.epoch, index=index, seed=seed) if shuffled else None
        self._shuffle = backend.compile([self.shuffling]) if self.shuffling else None

    def balance(self, classes: np.ndarray) -> None:
        """Let the classes take turns: see `balanced`."""
        self._arrange = lambda order: balanced(order, classes)

    def group(self, lengths: np.ndarray, batch_size: int) -> None:
        """Let rows of about the same length share a batch: see `grouped`."""
        self._arrange = lambda order: grouped(order, lengths, batch_size)

    @property
    def arranged(self) -> bool:
        """Whether Python has a part in the order."""
        return self._arrange is not None

    def begin(self, epoch: int) -> None:
        """The order of this epoch."""
        if self._shuffle:
            self.epoch[0] = epoch
            self._shuffle.run()
        if self._arrange:
            self.index[:] = self._arrange(self.index)


# Batches whose rows are sorted by length together, before they come in an order of their own.
POOL = 50


def grouped(order: np.ndarray, lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """The rows of an order, those of a batch about as long as each other; the last batch, which may be smaller, stays last.

    The rows of POOL batches are sorted by length; the batches then come in the order in which their first rows were.
    """
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    out = order.copy()
    size = POOL * batch_size
    for start in range(0, len(order), size):
        pool = order[start : start + size]
        out[start : start + size] = pool[np.argsort(lengths[pool], kind="stable")]
    whole = len(order) // batch_size * batch_size
    batches = out[:whole].reshape(-1, batch_size)
    out[:whole] = batches[np.argsort(place[batches[:, 0]], kind="stable")].ravel()
    return out


def balanced(order: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """As many rows as `order` has, the classes in turn; each class in that order, and from the start again where it has few.

    classes: (N,) the class of each row, from 0 on; rows of a negative one are left out.
    """
    usable = order[classes[order] >= 0]
    grouped = usable[np.argsort(classes[usable], kind="stable")]
    counts = np.bincount(classes[grouped])
    counts, starts = counts[counts > 0], np.cumsum(counts)[counts > 0]
    round_number, of_turn = np.divmod(np.arange(len(order)), len(counts))
    return np.asarray(grouped[(starts - counts)[of_turn] + round_number % counts[of_turn]])

"""The order in which a run takes the rows, epoch by epoch: as they come, shuffled, or with the classes in turn."""

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

    Without `shuffled` the rows come as they are; with `classes` the classes take turns: see `balanced`.
    """

    def __init__(
        self,
        backend: Backend,
        seed: int,
        index: np.ndarray,
        shuffled: bool,
        classes: np.ndarray | None = None,
    ) -> None:
        self.index, self.classes = index, classes
        self._epoch = aligned((1,), np.int64)
        shuffling = call(shuffle, epoch=self._epoch, index=index, seed=seed)
        self._shuffle = backend.compile([shuffling]) if shuffled else None

    def begin(self, epoch: int) -> None:
        """The order of this epoch."""
        if self._shuffle:
            self._epoch[0] = epoch
            self._shuffle.run()
        if self.classes is not None:
            self.index[:] = balanced(self.index, self.classes)


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

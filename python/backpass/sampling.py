"""The order in which a run takes the rows, epoch by epoch: as they come, shuffled, or with the classes in turn."""

from typing import TYPE_CHECKING

import numpy as np

from .losses.base import ClassLoss
from .memory import aligned
from .program import call

if TYPE_CHECKING:
    from .model import Model


def row_order(rows: int) -> np.ndarray:
    """The rows as they come; an `Order` changes it in place."""
    index = aligned((rows,), np.int64)
    index[:] = np.arange(rows)
    return index


class Order:
    """Fills `index` anew for each epoch, a function of the model's seed and the epoch; with `classes`, see `balanced`."""

    def __init__(
        self, model: "Model", index: np.ndarray, shuffle: bool, classes: np.ndarray | None = None
    ) -> None:
        self.index, self.classes = index, classes
        self._epoch = aligned((1,), np.int64)
        shuffling = call("shuffle", epoch=self._epoch, index=index, seed=model.seed)
        self._shuffle = model.backend.compile([shuffling]) if shuffle else None

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
    known = order[classes[order] >= 0]
    grouped = known[np.argsort(classes[known], kind="stable")]
    counts = np.bincount(classes[grouped])
    counts, starts = counts[counts > 0], np.cumsum(counts)[counts > 0]
    turn, of = np.divmod(np.arange(len(order)), len(counts))
    return np.asarray(grouped[(starts - counts)[of] + turn % counts[of]])


def classes_of(model: "Model", y: np.ndarray) -> np.ndarray:
    """The class of each row for `balanced`, (N,); of rows that the loss ignores -1. y: targets as the loss takes them."""
    numbers = y.dtype.kind == "f" and (model.callable_loss or model.loss.metric is None)
    if y.size != len(y) or numbers:
        what = f"{y.dtype} of shape {y.shape}"
        raise ValueError(f"sampler is 'balanced', but y is {what}, expected one class for each row")
    labels = y.reshape(-1)
    classes: np.ndarray = np.unique(labels, return_inverse=True)[1]
    loss = model.programs.loss
    if isinstance(loss, ClassLoss):
        classes[(labels < 0) | (labels == loss.ignore_index)] = -1
    return classes

"""Threads of estimators that train at once in one process, as in GridSearchCV with joblib's threading."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from ..backends import get_num_threads

_counting = Lock()
# How many estimators of this process train at this moment.
_training = 0


@contextmanager
def sharing() -> Iterator[None]:
    """Count one more estimator that trains: all of them share the threads."""
    global _training
    with _counting:
        _training += 1
    try:
        yield
    finally:
        with _counting:
            _training -= 1


def threads_of(n_threads: int | None) -> int:
    """Threads of the next call: n_threads, else this estimator's share of all, 0 for all. Results do not depend on it."""
    return n_threads or (max(1, get_num_threads() // _training) if _training > 1 else 0)

"""Memory for arrays: zeroed, aligned for the widest vectors, in huge pages where that pays."""

import errno
import mmap
import sys
from collections.abc import Sequence
from math import prod
from threading import local
from typing import Any

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
HUGE_PAGE = 2 << 20  # bytes
WORTH_HUGE = 64 << 10  # smaller arrays do not miss them; NumPy asks for them from 4 MB on


def aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A zeroed C-contiguous array whose data start on a cache line."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size > sys.maxsize - 2 * HUGE_PAGE:  # as much as `_map` may add
        raise MemoryError(f"an array of shape {tuple(shape)} and dtype {dtype} fits into no memory")
    raw = _huge.take(size) if size >= WORTH_HUGE and hasattr(mmap, "MADV_HUGEPAGE") else _small(size)
    array: np.ndarray = raw.view(dtype).reshape(shape)
    return array


def apart(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """The same for a matrix, with a cache line between its rows."""
    rows, columns = shape
    return aligned((rows, columns + ALIGNMENT // np.dtype(dtype).itemsize), dtype)[:, :columns]


def _small(size: int) -> np.ndarray:
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


class _HugePages(local):
    """Arrays one behind the other in huge pages, which live until the last of them is gone; each thread fills its own."""

    def __init__(self) -> None:
        self.rest = np.empty(0, np.uint8)  # of the pages asked for last

    def take(self, size: int) -> np.ndarray:
        """So many bytes that nobody has had before."""
        whole = -(-size // ALIGNMENT) * ALIGNMENT
        if whole > self.rest.size:
            self.rest = _map(-(-whole // HUGE_PAGE) * HUGE_PAGE)
        taken, self.rest = self.rest[:size], self.rest[whole:]
        return taken


def _map(size: int) -> np.ndarray:
    """Fresh pages, private to this process; `size` is a multiple of HUGE_PAGE."""
    try:
        pages = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes: {error}") from None
    raw = np.frombuffer(pages, np.uint8)
    start = -raw.ctypes.data % HUGE_PAGE
    try:
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError as error:
        if error.errno != errno.EINVAL:  # this kernel has none: small ones do as well
            raise
    return raw[start : start + size]


_huge = _HugePages()

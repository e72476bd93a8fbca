"""Memory for arrays: zeroed, aligned for the widest vectors, in huge pages where that pays."""

import errno
import mmap
import sys
from collections.abc import Sequence
from math import prod
from threading import local
from typing import Any

import numpy as np

# Bytes of a cache line, and of the widest vector.
ALIGNMENT = 64
HUGE_PAGE = 2 << 20
# Bytes from which an array lies in huge pages: smaller ones do not miss them. NumPy asks for them from 4 MB on.
WORTH_HUGE = 64 << 10


def aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A zeroed C-contiguous array whose data start on a cache line."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    # `_map` may add as much as two pages.
    if size > sys.maxsize - 2 * HUGE_PAGE:
        raise MemoryError(f"an array of shape {tuple(shape)} and dtype {dtype} fits into no memory")
    if size < WORTH_HUGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        raw = np.zeros(size + ALIGNMENT, np.uint8)
        # `raw.ctypes.data` takes three times as long.
        return np.ndarray(shape, dtype, raw, -raw.__array_interface__["data"][0] % ALIGNMENT)
    array: np.ndarray = _huge.take(size).view(dtype).reshape(shape)
    return array


def padded_matrix(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A zeroed matrix whose rows are separated by one cache line of padding."""
    rows, columns = shape
    return aligned((rows, columns + ALIGNMENT // np.dtype(dtype).itemsize), dtype)[:, :columns]


class _HugePages(local):
    """A per-thread bump allocator over huge pages; a mapping is freed with its last array."""

    def __init__(self) -> None:
        # What is left of the pages asked for last.
        self.rest = np.empty(0, np.uint8)

    def take(self, size: int) -> np.ndarray:
        """Fresh zeroed memory of `size` bytes."""
        whole = -(-size // ALIGNMENT) * ALIGNMENT
        if whole > self.rest.size:
            self.rest = _map(-(-whole // HUGE_PAGE) * HUGE_PAGE)
        memory, self.rest = self.rest[:size], self.rest[whole:]
        return memory


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

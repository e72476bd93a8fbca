"""Arrays between two pages that nobody may touch: a kernel that reads or writes one byte too far ends the process."""

import ctypes
import mmap
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
NO_ACCESS = 0


def fenced(values: Any, at_end: bool = True) -> np.ndarray:
    """A copy of an array whose last byte (or, with at_end=False, first byte) lies next to a page without access."""
    values = np.ascontiguousarray(values)
    inner = max(-(-values.nbytes // PAGE), 1) * PAGE
    memory = mmap.mmap(-1, inner + 2 * PAGE)
    whole = np.frombuffer(memory, np.uint8)
    for guard in (0, PAGE + inner):
        protect(whole.ctypes.data + guard, PAGE, NO_ACCESS)
    start = PAGE + (inner - values.nbytes if at_end else 0)
    out: np.ndarray = whole[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    return out


def protect(address: int, length: int, access: int) -> None:
    """mprotect of the C library."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), access):
        raise OSError(ctypes.get_errno(), "mprotect")

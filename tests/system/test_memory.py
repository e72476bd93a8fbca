"""Aligned arrays; large ones in huge pages: apart, zeroed, private, given back."""

import gc
import mmap
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

from backpass.program import address
from backpass.system.memory import ALIGNMENT, HUGE_PAGE, WORTH_HUGE, aligned

huge = pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="no huge pages on this system")


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


def test_large_arrays_are_apart_and_zeroed_and_aligned() -> None:
    sizes = [WORTH_HUGE - 1, WORTH_HUGE, WORTH_HUGE + 1, 3 * WORTH_HUGE + 7, HUGE_PAGE, HUGE_PAGE + 65, 3] * 3
    arrays = [aligned((size,), np.uint8) for size in sizes]
    for number, array in enumerate(arrays):
        assert not array.any()
        assert array.ctypes.data % ALIGNMENT == 0
        array[...] = number + 1
    for number, array in enumerate(arrays):
        assert (array == number + 1).all(), "two arrays overlap"


def test_threads_do_not_share_what_is_left_of_a_page() -> None:
    arrays: list[np.ndarray] = []

    def take(number: int) -> None:
        for _ in range(40):
            array = aligned((WORTH_HUGE,), np.uint8)
            array += number
            arrays.append(array)

    threads = [threading.Thread(target=take, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (
        sorted(int(a.min()) for a in arrays)
        == sorted(int(a.max()) for a in arrays)
        == [1] * 40 + [2] * 40 + [3] * 40
    )


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_pages_are_given_back_with_their_last_array() -> None:
    before = resident()
    for _ in range(50):
        array = aligned((10 * HUGE_PAGE,), np.uint8)
        part = array[5:]
        array[...] = 1
        del array
        assert part.all()
        del part
    gc.collect()
    assert resident() - before < 60 * HUGE_PAGE, "500 huge pages were filled, all but a few are gone"


@huge
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_to_memory_of_its_own() -> None:
    array = aligned((WORTH_HUGE,), np.uint8)
    child = os.fork()
    if child == 0:
        array[...] = 1
        aligned((WORTH_HUGE,), np.uint8)[...] = 1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not array.any()
    assert not aligned((WORTH_HUGE,), np.uint8).any()


@pytest.mark.parametrize(
    "shape", [(1 << 62,), (sys.maxsize // 4 - HUGE_PAGE // 4,), (1 << 46,), (1 << 40, 1 << 40)]
)
def test_what_fits_into_no_memory_is_a_memory_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(MemoryError):
        aligned(shape, np.float32)
    assert not aligned((WORTH_HUGE,), np.uint8).any()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (7, 5), (129,), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_aligned(shape: tuple[int, ...], dtype: Any) -> None:
    arrays = [aligned(shape, dtype) for _ in range(20)]
    for array in arrays:
        assert array.shape == shape
        assert array.dtype == dtype
        assert not array.size or address(array) % ALIGNMENT == 0  # NumPy may place an empty view anywhere
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not array.any()
    assert not arrays[0].size or len({address(array) for array in arrays}) == 20

"""Fingerprints: what tells one data set from another when a run is resumed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import quiet_cast
from ..data.image_rows import ImageRows
from ..data.inputs import Inputs
from ..data.sparse import SparseRows
from ..program import Rows, parts_of

# Elements that are looked at at a time.
CHUNK = 1 << 18
# Rows that told one data set from another in files of the first version.
SAMPLED = 64


class Fingerprint(NamedTuple):
    """What tells data sets apart: shapes, dtypes and checksums over all numbers; X counts in the model's dtype.

    The checksums are sums by row and by column of blocks of the bytes, so that a changed or moved number changes them, at a
    third of the speed of memory. `sampled` gives what the first version wrote: 64 rows spread over all.
    """

    full: str
    sampled: Callable[[], str]

    @classmethod
    def of(cls, parts: Sequence[Inputs | Rows | None], dtype: np.dtype[Any]) -> "Fingerprint":
        """Of inputs, targets and weights, in this order; dtype: the model's."""
        arrays: list[tuple[np.ndarray | None, Any]] = []
        for part in parts:
            if not isinstance(part, Inputs):
                arrays += [(array, None) for array in parts_of(part)]
                continue
            for name, source in part.sources.items():
                if isinstance(source, SparseRows):
                    arrays += [(array, None) for array in source.fields.values()]
                elif isinstance(source, ImageRows):
                    arrays += [(source.pixels, dtype), (source.settings, None)]
                else:
                    as_numbers = source.dtype != np.int64 or len(part.sources) == 1
                    arrays.append((source, dtype if as_numbers and part.kinds[name] == "number" else None))
        return cls(_all_rows(arrays), partial(_some_rows, arrays))

    def is_of(self, recorded: str) -> bool:
        """Whether the data are those of a recorded fingerprint."""
        return recorded == self.full or recorded == self.sampled()


NO_DATA = Fingerprint("", str)


def _all_rows(arrays: Sequence[tuple[np.ndarray | None, Any]]) -> str:
    from hashlib import sha256  # here: `import backpass` is to be quick

    digest = sha256()
    for array, dtype in arrays:
        if array is None or array.dtype == object:
            digest.update(b"none" if array is None else f"{array.shape}".encode())
            continue
        digest.update(f"{array.shape}{dtype or array.dtype}".encode())
        rows = max(CHUNK // max(array[:1].size, 1), 1)
        for start in range(0, len(array), rows):
            block = quiet_cast(array[start : start + rows], dtype or array.dtype).reshape(-1).view(np.uint8)
            whole = len(block) // 4096 * 4096
            words = block[:whole].view(np.uint64).reshape(-1, 512)
            digest.update(words.sum(axis=0))
            digest.update(words.sum(axis=1))
            digest.update(block[whole:].data)
    return f"all:{digest.hexdigest()}"


def _some_rows(arrays: Sequence[tuple[np.ndarray | None, Any]]) -> str:
    from hashlib import sha256

    digest = sha256()
    for array, dtype in arrays:
        if array is None:
            digest.update(b"none")
            continue
        spread = np.unique(np.linspace(0, len(array) - 1, min(len(array), SAMPLED)).astype(np.int64))
        rows = array[spread] if dtype is None else quiet_cast(array[spread], dtype)
        digest.update(f"{array.shape}{rows.dtype}".encode())
        if rows.dtype != object:
            digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()

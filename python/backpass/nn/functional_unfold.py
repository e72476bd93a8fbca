"""Windows of images side by side, under PyTorch's name."""

from typing import Any

import numpy as np

from ..checks import whole
from ..program.symbolic import SymbolicTensor
from .functional_padding import pad

Size = int | tuple[int, int]


def unfold(
    x: SymbolicTensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> SymbolicTensor:
    """(N, C, H, W) as its L windows, row by row, each a column: (N, C · kernel height · kernel width, L)."""
    if x.ndim != 4:
        raise ValueError(f"unfold: x has shape {x.shape}, expected (N, C, H, W)")
    kernel, apart, step = (
        _two(name, size, 1)
        for name, size in (("kernel_size", kernel_size), ("dilation", dilation), ("stride", stride))
    )
    rows, columns = _two("padding", padding, 0)
    x = pad(x, (columns, columns, rows, rows))
    lines = []
    for axis in (0, 1):
        last = x.shape[2 + axis] - apart[axis] * (kernel[axis] - 1)
        if last < 1:
            raise ValueError(
                f"unfold: kernel_size is {kernel_size} and dilation {dilation}, more than the padded image of {x.shape[2:]}"
            )
        # (places of the kernel, windows)
        lines.append(apart[axis] * np.arange(kernel[axis])[:, None] + np.arange(0, last, step[axis]))
    places = lines[0][:, None, :, None] * x.shape[3] + lines[1][None, :, None, :]
    chosen = x.flatten(2)[:, :, places.ravel()]
    inner, windows = kernel[0] * kernel[1], places.shape[2] * places.shape[3]
    return chosen.reshape(x.shape[0], x.shape[1] * inner, windows)


def _two(name: str, size: Any, least: int) -> tuple[int, int]:
    """A number for height and one for width."""
    both = size if isinstance(size, tuple | list) else (size, size)
    if len(both) != 2:
        raise ValueError(f"{name} is {size!r:.60}, expected one integer or two")
    return whole(name, both[0], least), whole(name, both[1], least)

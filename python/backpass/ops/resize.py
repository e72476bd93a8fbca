"""Images (B, H, W, C) in another size: the nearest pixel, or a mixture of the four around."""

from typing import Any

import numpy as np

from .contract import op

# Pairs of these are the tests' scalars: larger and smaller, both modes, both conventions, a given factor.
_SAMPLES = {
    "linear": [False, True, True, False, True, True],
    "align_corners": [False, False, True, False, False, True],
    "scale_h": [0.0, 0.0, 0.0, 1.7, 2.0, 0.0],
    "scale_w": [0.0, 0.0, 0.0, 0.6, 0.0, 0.0],
}


def places(size: int, out: int, linear: bool, align_corners: bool, scale: float) -> tuple[np.ndarray, ...]:
    """For each place of the output: the place before it, the one behind it, and the share of the latter."""
    step = size / max(out, 1) if scale == 0 else 1 / scale
    if linear and align_corners:
        at = np.arange(out) * ((size - 1) / (out - 1) if out > 1 else 0.0)
    elif linear:
        at = (np.arange(out) + 0.5) * step - 0.5
    else:
        at = np.floor(np.arange(out) * size / max(out, 1) if scale == 0 else np.arange(out) / scale)
    at = np.clip(at, 0, max(size - 1, 0))
    low = np.floor(at).astype(np.int64)
    return low, np.minimum(low + 1, max(size - 1, 0)), at - low


def _corners(shape, out, linear, align_corners, scale_h, scale_w):
    """(rows, columns, share) of the pixels of which each pixel of the output is made."""
    top, bottom, down = places(shape[1], out[1], linear, align_corners, scale_h)
    left, right, across = places(shape[2], out[2], linear, align_corners, scale_w)
    near = None if linear else 1
    rows = ((top, 1 - down), (bottom, down))[:near]
    columns = ((left, 1 - across), (right, across))[:near]
    return [(r[:, None], c, (a[:, None] * b)[..., None]) for r, a in rows for c, b in columns]


@op(
    "x[B,H,W,C] -> y[B,P,Q,C]",
    samples=_SAMPLES | {"height": [7, 1, 3, 8, 5, 2], "width": [9, 4, 1, 2, 6, 3]},
    sizes=lambda dims, scalars: {"P": scalars["height"], "Q": scalars["width"]},
)
def resize_forward(
    x, y, height: int, width: int, linear: bool = False, align_corners: bool = False, scale_h: float = 0.0, scale_w: float = 0.0
):  # fmt: skip
    """y at (i, j) = x at the place that (i, j) has in x: of its nearest pixel (rounded down), or linear between four.

    Place of i: i H / height, for linear (i + ½) H / height - ½; with align_corners i (H - 1) / (height - 1). A scale that is
    not 0 stands for height / H.
    """
    y[...] = 0
    if x.size:
        for rows, columns, share in _corners(x.shape, y.shape, linear, align_corners, scale_h, scale_w):
            y += x[:, rows, columns] * share.astype(x.dtype)


@op("dy[B,P,Q,C] -> dx[B,H,W,C]", samples=_SAMPLES)
def resize_backward(
    dy, dx, linear: bool = False, align_corners: bool = False, scale_h: float = 0.0, scale_w: float = 0.0
):  # fmt: skip
    """dx at a pixel = the sum of dy where the pixel has a share, times that share."""
    dx[...] = 0
    if dx.size:
        for rows, columns, share in _corners(dx.shape, dy.shape, linear, align_corners, scale_h, scale_w):
            place: Any = (slice(None), rows, columns)
            np.add.at(dx, place, dy * share.astype(dy.dtype))

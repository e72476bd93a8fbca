"""Images in another size: pixel by pixel, the places of rows and columns found before."""

import math

import numpy as np

from .compiler import direct, jit


@jit
def _places(size, out, linear, align_corners, scale):
    """(low, high, share) of each place of the output."""
    low, high, share = np.zeros(out, np.int64), np.zeros(out, np.int64), np.zeros(out)
    for i in range(out if size > 0 else 0):
        if linear and align_corners:
            at = i * ((size - 1) / (out - 1)) if out > 1 else 0.0
        elif linear:
            at = (i + 0.5) * (size / out if scale == 0 else 1 / scale) - 0.5
        else:
            at = math.floor(i * size / out if scale == 0 else i / scale)
        at = min(max(at, 0.0), size - 1.0)
        low[i] = int(at)
        high[i] = min(low[i] + 1, size - 1)
        share[i] = at - low[i]
    return low, high, share


@jit
def _resize_forward(x, y, height, width, linear, align_corners, scale_h, scale_w):
    dtype = y.dtype.type
    top, bottom, downs = _places(x.shape[1], height, linear, align_corners, scale_h)
    left, right, acrosses = _places(x.shape[2], width, linear, align_corners, scale_w)
    for b in range(y.shape[0]):
        for i in range(height):
            for j in range(width):
                down, across = dtype(downs[i]), dtype(acrosses[j])
                for c in range(y.shape[3]):
                    if x.shape[1] == 0 or x.shape[2] == 0:
                        y[b, i, j, c] = 0
                    elif linear:
                        above = x[b, top[i], left[j], c] * (1 - across) + x[b, top[i], right[j], c] * across
                        below = (
                            x[b, bottom[i], left[j], c] * (1 - across) + x[b, bottom[i], right[j], c] * across
                        )
                        y[b, i, j, c] = above * (1 - down) + below * down
                    else:
                        y[b, i, j, c] = x[b, top[i], left[j], c]


@jit
def _resize_backward(dy, dx, linear, align_corners, scale_h, scale_w):
    dtype = dx.dtype.type
    dx[:] = 0
    if dx.size == 0:
        return
    top, bottom, downs = _places(dx.shape[1], dy.shape[1], linear, align_corners, scale_h)
    left, right, acrosses = _places(dx.shape[2], dy.shape[2], linear, align_corners, scale_w)
    for b in range(dy.shape[0]):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                down, across = dtype(downs[i]), dtype(acrosses[j])
                for c in range(dy.shape[3]):
                    d = dy[b, i, j, c]
                    if linear:
                        dx[b, top[i], left[j], c] += d * (1 - down) * (1 - across)
                        dx[b, top[i], right[j], c] += d * (1 - down) * across
                        dx[b, bottom[i], left[j], c] += d * down * (1 - across)
                        dx[b, bottom[i], right[j], c] += d * down * across
                    else:
                        dx[b, top[i], left[j], c] += d


resize_forward = direct(_resize_forward)
resize_backward = direct(_resize_backward)

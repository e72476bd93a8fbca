"""Dropout (Srivastava et al. 2014): zero each value with probability p and scale the others by 1/(1-p)."""

import numpy as np

from .contract import constant, op
from .philox import draw


@op(
    "x[*] step[1]:int64 -> y[*] mask[*]",
    samples={"p": [0.3], "seed": [2**40 + 7], "stream": [3], "step": constant(5)},
)
def dropout_forward(x, step, y, mask, p: float, seed: int, stream: int):
    """mask = 0 with probability p, else 1/(1-p); y = x mask. The draw is a function of seed, stream, step and element."""
    keep = draw(x.size, int(step[0]), stream, seed) >= np.uint32(min(p * 2**32, 2**32 - 1))
    mask[...] = np.where(keep, 1 / (1 - p) if p < 1 else 0.0, 0.0).reshape(x.shape)
    np.multiply(x, mask, out=y)


@op("mask[*] dy[*] -> dx[*]")
def dropout_backward(mask, dy, dx):
    """dx = dy mask."""
    np.multiply(dy, mask, out=dx)


@op(
    "x[B,L,C] step[1]:int64 -> y[B,L,C] mask[B,C]",
    samples={"p": [0.3], "seed": [2**40 + 7], "stream": [3], "step": constant(5)},
)
def channel_dropout_forward(x, step, y, mask, p: float, seed: int, stream: int):
    """mask = 0 with probability p, else 1/(1-p), for each channel of each sample; y = x mask."""
    keep = draw(mask.size, int(step[0]), stream, seed) >= np.uint32(min(p * 2**32, 2**32 - 1))
    mask[...] = np.where(keep, 1 / (1 - p) if p < 1 else 0.0, 0.0).reshape(mask.shape)
    np.multiply(x, mask[:, None], out=y)


@op("mask[B,C] dy[B,L,C] -> dx[B,L,C]")
def channel_dropout_backward(mask, dy, dx):
    """dx = dy mask."""
    np.multiply(dy, mask[:, None], out=dx)

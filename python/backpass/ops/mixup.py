"""Mixup (Zhang et al. 2018): each row of a batch is mixed with another one, and so are targets, losses and gradients."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from typing import Any

import numpy as np

from .contract import Dims, constant, op, positive
from .philox import draw


def _pairs(rng: np.random.Generator, shape: tuple[int, ...], dims: Dims) -> Any:
    """A sample of partners: each row is the partner of its partner."""
    rows = shape[0]
    return (rng.integers(0, max(rows, 1)) - np.arange(rows)) % max(rows, 1)


MIXED = {"share": positive, "partner": _pairs}


@op(
    "step[1]:int64 quantiles[L]:float64 -> share[1]:float64 partner[B]:int64",
    samples={"step": constant(5), "seed": [2**40 + 7], "stream": [3]},
)
def mixup_draw(step, quantiles, share, partner, seed: int, stream: int):
    """share = a random quantile; partner[b] = (s - b) mod B, s random: each row is the partner of its partner."""
    words = draw(2, int(step[0]), stream, seed).astype(np.uint64)
    number, s = (
        int(word * np.uint64(size) >> np.uint64(32))
        for word, size in zip(words, (quantiles.size, partner.size), strict=True)
    )
    if quantiles.size:
        share[0] = quantiles[number]
    partner[:] = (s - np.arange(partner.size)) % max(partner.size, 1)


@op("x[B,I] share[1]:float64 partner[B]:int64 -> y[B,I]", samples=MIXED)
def mixup_forward(x, share, partner, y):
    """y[b] = share x[b] + (1 - share) x[partner[b]]; each product and the sum are rounded."""
    own_share, other_share = (x.dtype.type(fraction) for fraction in (share[0], 1 - share[0]))
    np.add(own_share * x, other_share * x[partner], out=y)


@op("share[1]:float64 partner[B]:int64 dy[B,I] -> dx[B,I]", samples=MIXED)
def mixup_backward(share, partner, dy, dx):
    """dx[b] = share dy[b] + (1 - share) dy[partner[b]]: the same mixture, since partners are mutual."""
    mixup_forward(dy, share, partner, dx)


@op(
    "loss_a[1]:float64 loss_b[1]:float64 count_a[1]:float64 count_b[1]:float64 share[1]:float64 dpred_a[*] dpred_b[*]"
    " -> loss[1]:float64 count[1]:float64 gradient[*]",
    samples={"share": positive},
)
def mixed_loss(loss_a, loss_b, count_a, count_b, share, dpred_a, dpred_b, loss, count, gradient):
    """loss = share loss_a + (1 - share) loss_b, and so its gradient and its count."""
    share_a, share_b = share[0], 1 - share[0]
    loss[0] = share_a * loss_a[0] + share_b * loss_b[0]
    count[0] = share_a * count_a[0] + share_b * count_b[0]
    np.add(dpred_a.dtype.type(share_a) * dpred_a, dpred_a.dtype.type(share_b) * dpred_b, out=gradient)

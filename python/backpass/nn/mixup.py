"""Mixup (Zhang et al. 2018): each row of a batch is mixed with another one while training, and so are their targets."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from typing import Any

import numpy as np

from ..contract import Dims, constant, op, positive
from ..program import Builder, Tensor
from ..random import draw
from .layer import Layer

QUANTILES = 4096  # equally likely shares that stand for the Beta distribution
FRACTION = 2**16  # shares are multiples of 1/65536: they and 1 - share are exact in float32


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
    at, s = (
        int(word * np.uint64(size) >> np.uint64(32))
        for word, size in zip(words, (quantiles.size, partner.size), strict=True)
    )
    if quantiles.size:
        share[0] = quantiles[at]
    partner[:] = (s - np.arange(partner.size)) % max(partner.size, 1)


@op("x[B,I] share[1]:float64 partner[B]:int64 -> y[B,I]", samples=MIXED)
def mixup_forward(x, share, partner, y):
    """y[b] = share x[b] + (1 - share) x[partner[b]]; each product and the sum are rounded."""
    own, other = (x.dtype.type(part) for part in (share[0], 1 - share[0]))
    np.add(own * x, other * x[partner], out=y)


@op("share[1]:float64 partner[B]:int64 dy[B,I] -> dx[B,I]", samples=MIXED)
def mixup_backward(share, partner, dy, dx):
    """dx[b] = share dy[b] + (1 - share) dy[partner[b]]: the same mixture, since partners are mutual."""
    mixup_forward(dy, share, partner, dx)


def beta_quantiles(alpha: float, count: int = QUANTILES) -> np.ndarray:
    """The quantiles of Beta(alpha, alpha) at the middles of `count` equal parts of [0, 1], float64 (count,)."""
    power = min(alpha, 1.0)  # over u = s^power the density s^(alpha - 1) (1 - s)^(alpha - 1) has no pole
    u = np.linspace(0, 0.5**power, 2**16 + 1)
    s = u ** (1 / power)
    density = s ** (alpha - power) * (1 - s) ** (alpha - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    middles = (np.arange(count // 2) + 0.5) / count
    below = np.interp(middles, mass / (2 * mass[-1]), u) ** (1 / power)
    return np.concatenate([below, 1 - below[::-1]])


class MixUp(Layer):
    """Mixes each row with another one of its batch while training: share · row + (1 - share) · other. Else the identity.

    alpha > 0, default 0.2: each step draws one share for its batch from Beta(alpha, alpha), as in torchvision. The loss mixes
    along: sample weights, and targets that are numbers, in the same way; of class indices, and where the loss is a callable,
    it is share · loss(y of the row) + (1 - share) · loss(y of the other). A network has one MixUp at most: first of all,
    behind other augmentation, or further inside (manifold mixup). For a loss of your own around
    `model.forward(x, training=True)`, `model.mixing` says how the rows were mixed.
    """

    def __init__(self, alpha: float = 0.2) -> None:
        super().__init__()
        self.alpha = self.in_range("alpha", alpha, 1e-3, 1e3)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if not builder.training:
            return x
        if builder.mixing:
            raise ValueError("net holds more than one nn.MixUp, expected at most one")
        quantiles = builder.tensor((QUANTILES,), np.float64)
        quantiles.array[:] = np.round(beta_quantiles(self.alpha) * FRACTION) / FRACTION
        rows = x.shape[0]
        share, partner = builder.tensor((1,), np.float64), builder.tensor((rows,), np.int64)
        builder.emit(
            "mixup_draw", step=builder.step, quantiles=quantiles, share=share, partner=partner, seed=builder.seed,
            stream=builder.stream(),
        )  # fmt: skip
        builder.mixing = share.array, partner.array
        flat = builder.reshape(x, (rows, x.array[:1].size))
        return builder.reshape(builder.emit("mixup_forward", x=flat, share=share, partner=partner), x.shape)

    def __repr__(self) -> str:
        return f"MixUp(alpha={self.alpha})"

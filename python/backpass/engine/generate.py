"""generate: a network goes on with a sequence of integers, one drawn after the other."""

from math import isfinite
from typing import Any

import numpy as np

from .. import checks
from ..checks import real, whole
from ..data import arrays
from ..nn.initial_weights import generator
from .engine import Engine
from .reader import Reader
from .session import positions

# Integers that may be added.
MOST = 2**40
# The stream of random numbers that choices are drawn from.
STREAM = 0x67656E


def generate(
    engine: Engine,
    prompt: Any,
    steps: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    window: int | None = None,
    stride: int = 1,
) -> np.ndarray:
    """What `Model.generate` does."""
    ids = arrays.as_array("prompt", prompt)
    if ids.ndim not in (1, 2) or ids.dtype.kind not in "iu" or not ids.size:
        raise ValueError(f"prompt is {ids.dtype} {ids.shape}, expected integers (T,) or (batch, T)")
    draw = Choice(temperature, top_k, top_p, seed)
    count = whole("steps", steps, 0, MOST)
    most = positions(engine) if window is None else whole("window", window, 1)
    stride = whole("stride", stride, 1, MOST if most is None else most)
    out = np.empty((ids.size // ids.shape[-1], ids.shape[-1] + count), np.int64)
    out[:, : ids.shape[-1]] = ids
    if count:
        _fill(Reader(engine, out, ids.shape[-1], most, stride), out, ids.shape[-1], draw)
    return out if ids.ndim == 2 else out[0]


def _fill(reader: Reader, out: np.ndarray, start: int, draw: "Choice") -> None:
    # For all choices at once, which costs a tenth of one call for each.
    chances = draw.rng.random((out.shape[1] - start, len(out)))
    for at, chance in enumerate(chances, start):
        logits = reader.read(at)
        if not isinstance(logits, np.ndarray):
            raise ValueError(
                "generate: the network has several outputs, expected one with a number for each integer"
            )
        out[:, at] = draw(logits[:, -1] if logits.ndim > 2 else logits, chance)


class Choice:
    """How the next integer is drawn from the logits."""

    def __init__(self, temperature: float, top_k: int | None, top_p: float | None, seed: int) -> None:
        self.temperature = real(temperature)
        if not 0 <= self.temperature < np.inf:
            raise ValueError(f"temperature is {temperature!r}, expected a number of at least 0")
        self.top_k = None if top_k is None else whole("top_k", top_k, 1)
        self.top_p = 1.0 if top_p is None else real(top_p)
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {top_p!r}, expected a number in (0, 1]")
        self.rng = generator(checks.seed(seed), STREAM)

    def __call__(self, logits: np.ndarray, chance: np.ndarray) -> Any:
        """One integer for each row of logits (batch, classes). chance: (batch,), random numbers in [0, 1)."""
        # Most often; one dimension takes half the time of two.
        alone = len(logits) == 1
        if alone:
            logits = logits[0]
        # A ufunc, because the method costs several times as much on so few numbers.
        top = np.maximum.reduce(logits, axis=-1, keepdims=True)
        if not (isfinite(top[0]) if alone else np.isfinite(top).all()):
            raise ValueError("generate: the output of the network is NaN or infinite, expected finite logits")
        if self.temperature == 0:
            return logits.argmax(axis=-1)
        scaled = logits.astype(np.float64)
        scaled -= top
        if self.temperature != 1:
            scaled /= self.temperature
        if self.top_k is not None and self.top_k < scaled.shape[-1]:
            least = np.partition(scaled, -self.top_k, axis=-1)[..., -self.top_k, None]
            scaled[scaled < least] = -np.inf
        weights = np.exp(scaled)
        if self.top_p < 1:
            order = np.argsort(-weights, axis=-1, kind="stable")
            ordered = np.take_along_axis(weights, order, axis=-1)
            before = np.cumsum(ordered, axis=-1) - ordered
            ordered[before >= self.top_p * ordered.sum(axis=-1, keepdims=True)] = 0
            np.put_along_axis(weights, order, ordered, axis=-1)
        sums = np.add.accumulate(weights, axis=-1)
        # The last sum is above: it is at least 1, and a chance at most 1 - 2^-53.
        if alone:
            return sums.searchsorted(chance[0] * sums[-1], "right")
        return (sums > chance[:, None] * sums[:, -1:]).argmax(axis=-1)

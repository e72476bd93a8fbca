"""Scaled dot-product attention (Vaswani et al. 2017), by samples and heads."""

import numpy as np

from .contract import constant, op
from .philox import draw


def rows_are_dense(a: np.ndarray) -> bool:
    """Whether the elements of the last dimension lie side by side."""
    return a.shape[-1] <= 1 or a.size == 0 or a.strides[-1] == a.itemsize


def takes_part(shape, lengths, causal):
    """(B, 1, T, S) for (B, H, T, S): the keys below the length of their sample, and of causal attention not behind the query."""
    samples, _, queries, keys = shape
    part = np.ones((samples, 1, queries, keys), bool)
    if lengths is not None:
        part &= np.arange(keys) < lengths[:, None, None, None]
    return part & np.tri(queries, keys, dtype=bool) if causal else part


def where_used(x, used):
    """x (B, H, S, D) where any query uses the key, else 0: 0 times NaN would be NaN."""
    return np.where(used.any(axis=2)[..., None], x, x.dtype.type(0))


def softmax_over(scores, part):
    """The softmax of scores over the keys that take part; 0 where none does."""
    scores = np.where(part, scores, scores.dtype.type(-np.inf))
    top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(top == -np.inf, 0, top))
    total = weights.sum(axis=-1, keepdims=True)
    return weights / np.where(total == 0, 1, total)


def _lengths(rng, shape, dims):
    return rng.integers(0, dims["S"] + 1, shape)


def _below_diagonal(rng, shape, dims):
    return np.tril(rng.standard_normal(shape))  # as causal attention leaves it


SAMPLES = {"scale": [0.5], "causal": [False, True], "p": [0.3], "lengths": _lengths}


@op(
    "q[B,T,H,D] k[B,S,H,D] v[B,S,H,E] mask[B,H,T,S]? lengths[B]:int64? step[1]:int64?"
    " -> y[B,T,H,E] probabilities[B,H,T,S]?",
    samples=SAMPLES | {"seed": [2**40 + 7], "stream": [3], "step": constant(5)},
    strided=("q", "k", "v", "mask"),
    layout=rows_are_dense,
)
def attention_forward(
    q, k, v, mask, lengths, step, y, probabilities,
    scale: float = 1.0, causal: bool = False, p: float = 0.0, seed: int = 0, stream: int = 0,
):  # fmt: skip
    """y = P v, P = softmax(scale q kᵀ + mask) over the keys that take part; dropout of P with a step. A mask of -inf leaves out.

    `probabilities` has P before dropout, negative where dropout leaves out. Queries without a key have P = 0 and y = 0.
    """
    query, key, value = (a.transpose(0, 2, 1, 3) for a in (q, k, v))
    scores = np.matmul(query, key.swapaxes(-1, -2)) * q.dtype.type(scale)
    part = takes_part(scores.shape, lengths, causal)
    if mask is not None:
        part = part & (mask != -np.inf)
        scores += mask
    shown = weights = softmax_over(scores, part)
    if step is not None:
        words = draw(weights.size, int(step[0]), stream, seed).reshape(weights.shape)
        kept = words >= np.uint32(min(p * 2**32, 2**32 - 1))
        shown = np.where(kept, weights, -weights)
        weights = np.where(kept, weights * q.dtype.type(1 / (1 - p) if p < 1 else 0), 0).astype(q.dtype)
    if probabilities is not None:
        probabilities[...] = shown
    y[...] = np.matmul(weights, where_used(value, weights != 0)).transpose(0, 2, 1, 3)


@op(
    "q[B,T,H,D] k[B,S,H,D] v[B,S,H,E] mask[B,H,T,S]? lengths[B]:int64? step[1]:int64? probabilities[B,H,T,S] dy[B,T,H,E]"
    " -> dq[B,T,H,D]? dk[B,S,H,D]? dv[B,S,H,E]? dmask[B,H,T,S]?",
    samples=SAMPLES | {"probabilities": _below_diagonal},
    strided=("q", "k", "v", "mask", "dy", "dq", "dk", "dv"),
    layout=rows_are_dense,
)
def attention_backward(
    q, k, v, mask, lengths, step, probabilities, dy, dq, dk, dv, dmask,
    scale: float = 1.0, causal: bool = False, p: float = 0.0,
):  # fmt: skip
    """dv = Pᵀ dy, dmask = P (dy vᵀ - Σ P dy vᵀ), dS = scale dmask, dq = dS k, dk = dSᵀ q; with dropout where P meets v and dy.

    With a mask there may be keys that no query uses, which may be anything.
    """
    query, key, value, flow = (a.transpose(0, 2, 1, 3) for a in (q, k, v, dy))
    dtype = q.dtype.type
    part = takes_part(probabilities.shape, lengths, causal) & (probabilities != 0)
    shown = np.where(part, probabilities, dtype(0))
    weights = shown if step is None else np.maximum(shown, 0) * dtype(1 / (1 - p) if p < 1 else 0)
    gradient = np.matmul(flow, where_used(value, part).swapaxes(-1, -2)) * weights
    total = gradient.sum(axis=-1, keepdims=True)
    scores = gradient - (shown if step is None else np.abs(shown)) * total
    if dmask is not None:
        dmask[...] = scores
    scores *= dtype(scale)
    if dq is not None:
        dq[...] = np.matmul(scores, where_used(key, part)).transpose(0, 2, 1, 3)
    if dk is not None:
        dk[...] = np.matmul(scores.swapaxes(-1, -2), query).transpose(0, 2, 1, 3)
    if dv is not None:
        dv[...] = np.matmul(weights.swapaxes(-1, -2), flow).transpose(0, 2, 1, 3)


@op(
    "q[B,T,H,D] k[B,T,H,D] v[B,T,H,E] start[1]:int64 keys[B,S,H,D] values[B,S,H,E]"
    " -> y[B,T,H,E] probabilities[B,H,T,S]? keys values",
    samples={"scale": [0.5], "start": constant(2)},
    strided=("q", "k", "v"),
    layout=rows_are_dense,
)
def attention_step(q, k, v, start, keys, values, y, probabilities, scale: float = 1.0):
    """keys and values take k and v in from step `start` on; y = P values, P = softmax(scale q keysᵀ).

    A query attends to the steps up to its own. What lies beyond the last of S steps is left out.
    """
    places = int(start[0]) + np.arange(q.shape[1])
    inside = (places >= 0) & (places < keys.shape[1])
    keys[:, places[inside]], values[:, places[inside]] = k[:, inside], v[:, inside]
    query, key, value = (a.transpose(0, 2, 1, 3) for a in (q, keys, values))
    part = np.arange(keys.shape[1]) <= places[:, None]
    weights = softmax_over(np.matmul(query, key.swapaxes(-1, -2)) * q.dtype.type(scale), part)
    if probabilities is not None:
        probabilities[...] = weights
    used = np.broadcast_to(part, weights.shape)
    y[...] = np.matmul(weights, where_used(value, used)).transpose(0, 2, 1, 3)

"""Attention: one query after the other, over the keys that take part."""

import numpy as np

from ...ops.philox import LANES
from .compiler import Bound, jit
from .philox import draw_chunk, keys


@jit
def _softmax_row(row, count):
    """Scores become probabilities; a row without any finite score becomes 0."""
    top = -np.inf
    for j in range(count):
        if not row[j] <= top:
            top = row[j]
    shift = 0.0 if top == -np.inf else top
    total = 0.0
    for j in range(count):
        row[j] = np.exp(row[j] - shift)
        total += row[j]
    for j in range(count):
        row[j] /= 1.0 if total == 0 else total


@jit
def _dropped(words, element, have, step, stream, key0, key1):
    """Draw the words of the chunk that has this element, if they are not those drawn last; returns its number."""
    chunk = element // words.size
    if chunk != have:
        draw_chunk(words, chunk, step, stream, key0, key1)
    return chunk


@jit
def _attention_forward(
    q,
    k,
    v,
    mask,
    masked,
    lengths,
    step,
    drops,
    y,
    out,
    keeps,
    scale,
    causal,
    threshold,
    factor,
    stream,
    key0,
    key1,
):
    samples, queries, heads, width = q.shape
    count, outputs = k.shape[1], v.shape[3]
    row, total = np.empty(count), np.empty(outputs)
    words, have = np.empty(4 * LANES, np.uint32), -1
    for b in range(samples):
        for h in range(heads):
            for t in range(queries):
                end = max(min(lengths[b], count), 0)
                if causal:
                    end = min(end, t + 1)
                for j in range(end):
                    score = 0.0
                    for d in range(width):
                        score += q[b, t, h, d] * k[b, j, h, d]
                    score *= scale
                    if masked:
                        score = -np.inf if mask[b, h, t, j] == -np.inf else score + mask[b, h, t, j]
                    row[j] = score
                _softmax_row(row, end)
                total[:] = 0
                for j in range(end):
                    weight = shown = row[j]
                    if drops:
                        element = ((b * heads + h) * queries + t) * count + j
                        have = _dropped(words, element, have, step[0], stream, key0, key1)
                        kept = words[element % words.size] >= threshold
                        weight = weight * factor if kept else 0.0
                        shown = shown if kept else -shown
                    if keeps:
                        out[b, h, t, j] = shown
                    if weight != 0:
                        for d in range(outputs):
                            total[d] += weight * v[b, j, h, d]
                if keeps:
                    for j in range(end, count):
                        out[b, h, t, j] = 0
                for d in range(outputs):
                    y[b, t, h, d] = total[d]


@jit
def _attention_backward(q, k, v, lengths, shown, dy, dq, dk, dv, dmask, scale, causal, drops, factor):
    samples, queries, heads, width = q.shape
    count, outputs = k.shape[1], v.shape[3]
    row = np.empty(count)
    of_q, of_k, of_v = np.empty(width), np.empty((count, width)), np.empty((count, outputs))
    for b in range(samples):
        for h in range(heads):
            of_k[:], of_v[:] = 0, 0
            for t in range(queries):
                end = max(min(lengths[b], count), 0)
                if causal:
                    end = min(end, t + 1)
                mean = 0.0
                for j in range(end):
                    weight = shown[b, h, t, j]
                    if drops:
                        weight = max(weight, 0) * factor
                    row[j] = 0
                    if weight != 0:
                        flow = 0.0
                        for d in range(outputs):
                            flow += dy[b, t, h, d] * v[b, j, h, d]
                            of_v[j, d] += weight * dy[b, t, h, d]
                        row[j] = flow * weight
                        mean += row[j]
                of_q[:] = 0
                if dmask is not None:
                    dmask[b, h, t, :] = 0
                for j in range(end):
                    probability = abs(shown[b, h, t, j]) if drops else shown[b, h, t, j]
                    if probability != 0:
                        gradient = row[j] - probability * mean
                        if dmask is not None:
                            dmask[b, h, t, j] = gradient
                        gradient *= scale
                        for d in range(width):
                            of_q[d] += gradient * k[b, j, h, d]
                            of_k[j, d] += gradient * q[b, t, h, d]
                if dq is not None:
                    for d in range(width):
                        dq[b, t, h, d] = of_q[d]
            if dk is not None:
                dk[b, :, h, :] = of_k
            if dv is not None:
                dv[b, :, h, :] = of_v


@jit
def _attention_step(q, k, v, start, keys, values, y, out, keeps, scale):
    samples, steps, heads, width = q.shape
    count, outputs = keys.shape[1], v.shape[3]
    row, total = np.empty(count), np.empty(outputs)
    for t in range(steps):
        if 0 <= start[0] + t < count:
            keys[:, start[0] + t] = k[:, t]
            values[:, start[0] + t] = v[:, t]
    for b in range(samples):
        for h in range(heads):
            for t in range(steps):
                end = max(min(start[0] + t + 1, count), 0)
                for j in range(end):
                    score = 0.0
                    for d in range(width):
                        score += q[b, t, h, d] * keys[b, j, h, d]
                    row[j] = score * scale
                _softmax_row(row, end)
                total[:] = 0
                for j in range(end):
                    for d in range(outputs):
                        total[d] += row[j] * values[b, j, h, d]
                if keeps:
                    out[b, h, t, :end] = row[:end]
                    out[b, h, t, end:] = 0
                for d in range(outputs):
                    y[b, t, h, d] = total[d]


def _all_keys(lengths, k):
    return np.full(len(k), k.shape[1]) if lengths is None else lengths


def attention_forward(
    q, k, v, mask, lengths, step, y, probabilities, scale, causal, p, seed, stream
) -> Bound:
    """None becomes an array that nobody reads, because each choice of None is a type of its own."""
    nothing = np.empty((0, 0, 0, 0), q.dtype)
    masks = (nothing, False) if mask is None else (mask, True)
    drops = (np.zeros(1, np.int64), False) if step is None else (step, True)
    keeps = (nothing, False) if probabilities is None else (probabilities, True)
    threshold, factor = int(min(p * 2**32, 2**32 - 1)), 1 / (1 - p) if p < 1 else 0.0
    return _attention_forward, (
        q, k, v, *masks, _all_keys(lengths, k), *drops, y, *keeps,
        *(float(scale), bool(causal), threshold, factor, stream, *keys(seed)),
    )  # fmt: skip


def attention_backward(
    q, k, v, mask, lengths, step, probabilities, dy, dq, dk, dv, dmask, scale, causal, p
) -> Bound:
    factor, drops = 1 / (1 - p) if p < 1 else 0.0, step is not None
    return _attention_backward, (
        *(q, k, v, _all_keys(lengths, k), probabilities, dy, dq, dk, dv, dmask),
        *(float(scale), bool(causal), drops, factor),
    )


def attention_step(q, k, v, start, keys, values, y, probabilities, scale) -> Bound:
    nothing = np.empty((0, 0, 0, 0), q.dtype)
    keeps = (nothing, False) if probabilities is None else (probabilities, True)
    return _attention_step, (q, k, v, start, keys, values, y, *keeps, float(scale))

"""Recurrent layers: one op is a whole sequence of one layer and direction. Elman 1990; Hochreiter 1997; Cho 2014.

A row of x (B, T, I) counts up to its length; `reverse` reads it from there to its start. Behind it outputs are 0, and nothing is
read. `gates` holds what a step keeps for the backward pass, `dpre` the gradients at the pre-activations. With `table` and `index`
row index[b, t] of the table is added to W_ih x: what is the same for all steps that look up the same row is computed once.
"""

import numpy as np

from .contract import index as below
from .contract import op
from .formulas import ACTIVATIONS, sigmoid


def _lengths(rng, shape, dims):
    return rng.integers(0, dims["T"] + 1, shape)


def _weights(rng, shape, dims):
    """Weights under which no sequence explodes."""
    return rng.standard_normal(shape) / (2 * np.sqrt(max(shape[0], 1)))


def _kept(rng, shape, dims):
    return rng.uniform(-1, 1, shape)


_GATED = {
    "lengths": _lengths, "weight_ih": _weights, "weight_hh": _weights, "gates": _kept, "reverse": [False, True],
    "table": _kept, "index": below("V"), "large": {"B": 70, "T": 4, "I": 20, "H": 300, "V": 9},
}  # fmt: skip
_RNN = {**_GATED, "activation": ["tanh", "relu"]}


def _walk(rows, steps, lengths, reverse):
    """The rows that have a step, and the time at which each reads, for one step after the other."""
    ends = np.full(rows, steps) if lengths is None else np.clip(lengths, 0, steps)
    for step in range(steps):
        running = np.flatnonzero(ends > step)
        yield running, ends[running] - 1 - step if reverse else np.full(len(running), step)


def _before(sequence, first, rows, times, reverse, step):
    """What a sequence held one step before; at the first step `first`, or zeros."""
    if step > 0:
        return sequence[rows, times + 1 if reverse else times - 1]
    return np.zeros((len(rows), sequence.shape[-1]), sequence.dtype) if first is None else first[rows]


def _from_x(x, weight_ih, table, index, rows, times):
    """W_ih x, and the rows of the table; NaN where an index is none of its rows: (rows, G, H)."""
    z = _product(x[rows, times], weight_ih)
    if table is None or index is None:
        return z
    chosen = index[rows, times]
    inside = (chosen >= 0) & (chosen < len(table))
    z[inside] += table[chosen[inside]]
    z[~inside] = np.nan
    return z


def _product(a, weight):
    """a (B, K) · weight (K, G, H) -> (B, G, H)."""
    return np.einsum("bk,kgh->bgh", a, weight)


def _back(d, weight):
    return np.einsum("bgh,kgh->bk", d, weight)


def _zeros(gates):
    return np.zeros((gates.shape[0], gates.shape[-1]), gates.dtype)


def _start(state, first):
    state[...] = 0 if first is None else first


@op(
    "x[B,T,I] weight_ih[I,1,H] weight_hh[H,1,H] bias_ih[1,H]? bias_hh[1,H]?"
    " table[V,1,H]? index[B,T]:int64? h0[B,H]? lengths[B]:int64?"
    " -> y[B,T,H] h_n[B,H] gates[B,T,1,H]?",
    samples=_RNN,
)
def rnn_forward(
    x, weight_ih, weight_hh, bias_ih, bias_hh, table, index, h0, lengths, y, h_n, gates, activation: str = "tanh",
    reverse: bool = False,
):  # fmt: skip
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), f = tanh or relu; y holds every h', h_n the last one; gates = y."""
    y[...] = 0
    _start(h_n, h0)
    bias = sum(b for b in (bias_ih, bias_hh) if b is not None)
    for rows, times in _walk(len(x), x.shape[1], lengths, reverse):
        z = _from_x(x, weight_ih, table, index, rows, times) + _product(h_n[rows], weight_hh) + bias
        h_n[rows] = y[rows, times] = ACTIVATIONS[activation].value(z[:, 0], 0.0)
    if gates is not None:
        gates[:, :, 0] = y


@op(
    "weight_ih[I,1,H] weight_hh[H,1,H] lengths[B]:int64? gates[B,T,1,H] dy[B,T,H]? dh_n[B,H]?"
    " -> dx[B,T,I]? dh0[B,H]? dpre[B,T,1,H]",
    samples=_RNN,
)
def rnn_backward(
    weight_ih, weight_hh, lengths, gates, dy, dh_n, dx, dh0, dpre, activation: str = "tanh", reverse: bool = False
):  # fmt: skip
    """dpre = f' (dy + dh), from the last step to the first; dh = dpre W_hhᵀ goes to the step before, dx = dpre W_ihᵀ."""
    dh = _zeros(gates) if dh_n is None else dh_n.copy()
    dpre[...] = 0
    for rows, times in reversed([*_walk(gates.shape[0], gates.shape[1], lengths, reverse)]):
        flowing = dh[rows] if dy is None else dh[rows] + dy[rows, times]
        d = flowing[:, None] * ACTIVATIONS[activation].slope(gates[rows, times], 0.0)
        dpre[rows, times] = d
        dh[rows] = _back(d, weight_hh)
    _finish(weight_ih, dpre, dh, dx, dh0)


def _finish(weight_ih, dpre, dh, dx, dh0):
    """The gradients of x and of the first state."""
    if dx is not None:
        dx[...] = np.einsum("btgh,igh->bti", dpre, weight_ih)
    if dh0 is not None:
        dh0[...] = dh


def _weight_gradient(
    x, index, h0, lengths, y, d_ih, d_hh, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse
):
    """dweight_ih = Σ xᵀ d_ih, dweight_hh = Σ h₋₁ᵀ d_hh, the biases Σ d, dtable[index] += d_ih: over the steps that rows have."""
    for array in (dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable):
        if array is not None:
            array[...] = 0
    for step, (rows, times) in enumerate(_walk(len(x), x.shape[1], lengths, reverse)):
        for_x, for_h = d_ih[rows, times], d_hh[rows, times]
        if dweight_ih is not None:
            dweight_ih += np.einsum("bi,bgh->igh", x[rows, times], for_x)
        if dweight_hh is not None:
            dweight_hh += np.einsum("bk,bgh->kgh", _before(y, h0, rows, times, reverse, step), for_h)
        if dbias_ih is not None:
            dbias_ih += for_x.sum(axis=0)
        if dbias_hh is not None:
            dbias_hh += for_h.sum(axis=0)
        if dtable is not None and index is not None:
            chosen = index[rows, times]
            inside = (chosen >= 0) & (chosen < len(dtable))
            np.add.at(dtable, chosen[inside], for_x[inside])


@op(
    "x[B,T,I] index[B,T]:int64? h0[B,H]? lengths[B]:int64? y[B,T,H] dpre[B,T,1,H]"
    " -> dweight_ih[I,1,H]? dweight_hh[H,1,H]? dbias_ih[1,H]? dbias_hh[1,H]? dtable[V,1,H]?",
    samples=_GATED,
)
def rnn_backward_weight(
    x, index, h0, lengths, y, dpre, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse: bool = False
):
    """dweight_ih = Σ xᵀ dpre, dweight_hh = Σ h₋₁ᵀ dpre, dbias_ih = dbias_hh = Σ dpre."""
    _weight_gradient(
        x, index, h0, lengths, y, dpre, dpre, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse
    )


@op(
    "x[B,T,I] weight_ih[I,4,H] weight_hh[H,4,H] bias_ih[4,H]? bias_hh[4,H]?"
    " table[V,4,H]? index[B,T]:int64? h0[B,H]? c0[B,H]? lengths[B]:int64?"
    " -> y[B,T,H] h_n[B,H] c_n[B,H] cells[B,T,H]? gates[B,T,4,H]?",
    samples=_GATED,
)
def lstm_forward(
    x, weight_ih, weight_hh, bias_ih, bias_hh, table, index, h0, c0, lengths, y, h_n, c_n, cells, gates,
    reverse: bool = False,
):  # fmt: skip
    """c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), with i, f, g, o = W_ih x + b_ih + W_hh h + b_hh."""
    for array in (y, cells, gates):
        if array is not None:
            array[...] = 0
    _start(h_n, h0)
    _start(c_n, c0)
    bias = sum(b for b in (bias_ih, bias_hh) if b is not None)
    for rows, times in _walk(len(x), x.shape[1], lengths, reverse):
        z = _from_x(x, weight_ih, table, index, rows, times) + _product(h_n[rows], weight_hh) + bias
        kept = np.stack([sigmoid(z[:, 0]), sigmoid(z[:, 1]), np.tanh(z[:, 2]), sigmoid(z[:, 3])], axis=1)
        i, f, g, o = kept.swapaxes(0, 1)
        c_n[rows] = f * c_n[rows] + i * g
        h_n[rows] = y[rows, times] = o * np.tanh(c_n[rows])
        if cells is not None:
            cells[rows, times] = c_n[rows]
        if gates is not None:
            gates[rows, times] = kept


@op(
    "weight_ih[I,4,H] weight_hh[H,4,H] c0[B,H]? lengths[B]:int64? cells[B,T,H] gates[B,T,4,H] dy[B,T,H]? dh_n[B,H]?"
    " dc_n[B,H]? -> dx[B,T,I]? dh0[B,H]? dc0[B,H]? dpre[B,T,4,H]",
    samples=_GATED,
)
def lstm_backward(
    weight_ih, weight_hh, c0, lengths, cells, gates, dy, dh_n, dc_n, dx, dh0, dc0, dpre, reverse: bool = False
):  # fmt: skip
    """dc = dc' + dh o tanh'(c'); dpre = (dc g σ'(i), dc c σ'(f), dc i tanh'(g), dh tanh(c') σ'(o)), the last step first."""
    dh = _zeros(gates) if dh_n is None else dh_n.copy()
    dc = np.zeros_like(dh) if dc_n is None else dc_n.copy()
    dpre[...] = 0
    steps = [*enumerate(_walk(cells.shape[0], cells.shape[1], lengths, reverse))]
    for step, (rows, times) in reversed(steps):
        i, f, g, o = gates[rows, times].swapaxes(0, 1)
        c, before = np.tanh(cells[rows, times]), _before(cells, c0, rows, times, reverse, step)
        out = dh[rows] if dy is None else dh[rows] + dy[rows, times]
        flow = dc[rows] + out * o * (1 - c * c)
        parts = [
            flow * g * i * (1 - i),
            flow * before * f * (1 - f),
            flow * i * (1 - g * g),
            out * c * o * (1 - o),
        ]
        dpre[rows, times] = d = np.stack(parts, axis=1)
        dh[rows], dc[rows] = _back(d, weight_hh), flow * f
    _finish(weight_ih, dpre, dh, dx, dh0)
    if dc0 is not None:
        dc0[...] = dc


@op(
    "x[B,T,I] index[B,T]:int64? h0[B,H]? lengths[B]:int64? y[B,T,H] dpre[B,T,4,H]"
    " -> dweight_ih[I,4,H]? dweight_hh[H,4,H]? dbias_ih[4,H]? dbias_hh[4,H]? dtable[V,4,H]?",
    samples=_GATED,
)
def lstm_backward_weight(
    x, index, h0, lengths, y, dpre, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse: bool = False
):
    """dweight_ih = Σ xᵀ dpre, dweight_hh = Σ h₋₁ᵀ dpre, dbias_ih = dbias_hh = Σ dpre."""
    _weight_gradient(
        x, index, h0, lengths, y, dpre, dpre, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse
    )


@op(
    "x[B,T,I] weight_ih[I,3,H] weight_hh[H,3,H] bias_ih[3,H]? bias_hh[3,H]?"
    " table[V,3,H]? index[B,T]:int64? h0[B,H]? lengths[B]:int64?"
    " -> y[B,T,H] h_n[B,H] gates[B,T,4,H]?",
    samples=_GATED,
)
def gru_forward(
    x, weight_ih, weight_hh, bias_ih, bias_hh, table, index, h0, lengths, y, h_n, gates, reverse: bool = False
):
    """n = tanh(W_in x + b_in + σ(r) (W_hn h + b_hn)), h' = (1 - σ(z)) n + σ(z) h; gates holds r, z, n, W_hn h + b_hn."""
    y[...] = 0
    if gates is not None:
        gates[...] = 0
    _start(h_n, h0)
    for rows, times in _walk(len(x), x.shape[1], lengths, reverse):
        from_x, from_h = _from_x(x, weight_ih, table, index, rows, times), _product(h_n[rows], weight_hh)
        from_x, from_h = (a if b is None else a + b for a, b in ((from_x, bias_ih), (from_h, bias_hh)))
        r, z = sigmoid(from_x[:, 0] + from_h[:, 0]), sigmoid(from_x[:, 1] + from_h[:, 1])
        n = np.tanh(from_x[:, 2] + r * from_h[:, 2])
        h_n[rows] = y[rows, times] = n + z * (h_n[rows] - n)
        if gates is not None:
            gates[rows, times] = np.stack([r, z, n, from_h[:, 2]], axis=1)


@op(
    "weight_ih[I,3,H] weight_hh[H,3,H] h0[B,H]? lengths[B]:int64? y[B,T,H] gates[B,T,4,H] dy[B,T,H]? dh_n[B,H]?"
    " -> dx[B,T,I]? dh0[B,H]? dpre[B,T,4,H]",
    samples=_GATED,
)
def gru_backward(weight_ih, weight_hh, h0, lengths, y, gates, dy, dh_n, dx, dh0, dpre, reverse: bool = False):
    """dn = dh (1 - z) tanh'(n); dpre = (dn (W_hn h + b_hn) σ'(r), dh (h - n) σ'(z), dn, dn r), the last step first."""
    dh = _zeros(gates) if dh_n is None else dh_n.copy()
    dpre[...] = 0
    steps = [*enumerate(_walk(y.shape[0], y.shape[1], lengths, reverse))]
    for step, (rows, times) in reversed(steps):
        r, z, n, inner = gates[rows, times].swapaxes(0, 1)
        out = dh[rows] if dy is None else dh[rows] + dy[rows, times]
        dn, before = out * (1 - z) * (1 - n * n), _before(y, h0, rows, times, reverse, step)
        parts = [dn * inner * r * (1 - r), out * (before - n) * z * (1 - z), dn, dn * r]
        dpre[rows, times] = d = np.stack(parts, axis=1)
        dh[rows] = out * z + _back(d[:, [0, 1, 3]], weight_hh)
    _finish(weight_ih, dpre[:, :, :3], dh, dx, dh0)


@op(
    "x[B,T,I] index[B,T]:int64? h0[B,H]? lengths[B]:int64? y[B,T,H] dpre[B,T,4,H]"
    " -> dweight_ih[I,3,H]? dweight_hh[H,3,H]? dbias_ih[3,H]? dbias_hh[3,H]? dtable[V,3,H]?",
    samples=_GATED,
)
def gru_backward_weight(
    x, index, h0, lengths, y, dpre, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse: bool = False
):
    """As of an LSTM; the last part of dpre stands for n where dweight_hh and dbias_hh are concerned."""
    d_ih, d_hh = dpre[:, :, :3], dpre[:, :, [0, 1, 3]]
    _weight_gradient(
        x, index, h0, lengths, y, d_ih, d_hh, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable, reverse
    )

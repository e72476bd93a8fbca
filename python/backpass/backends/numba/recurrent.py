"""Recurrent layers: row by row through all steps; the gradients of the weights by NumPy's BLAS on the steps that rows have.

Absent arrays are given as zeros, or as empty ones, so that each kernel is compiled once for a dtype.
"""

from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...ops.formulas import sigmoid, tanh
from . import scalars as scalars  # registers the formulas with Numba
from .compiler import Bound, jit

# What a step computes; the same numbers in both kernels below.
RNN_TANH, RNN_RELU, LSTM, GRU = range(4)
_RNN = {"tanh": RNN_TANH, "relu": RNN_RELU}


@jit
def _sigmoid(z):
    """z = σ(z): a loop of its own, which is vectorised."""
    for j in range(z.size):
        z[j] = sigmoid(z[j])


@jit
def _tanh(z):
    """z = tanh(z)."""
    for j in range(z.size):
        z[j] = tanh(z[j], z[j])


@jit
def _end(lengths, row, steps):
    return min(max(lengths[row], 0), steps) if lengths.size else steps


@jit
def _add_product(a, weight, out):
    """out += a · weight, four rows of weight while an element of out is at hand."""
    whole = a.size - a.size % 4
    for k in range(0, whole, 4):
        for j in range(out.size):
            total = out[j] + a[k] * weight[k, j]
            total += a[k + 1] * weight[k + 1, j]
            total += a[k + 2] * weight[k + 2, j]
            out[j] = total + a[k + 3] * weight[k + 3, j]
    for k in range(whole, a.size):
        for j in range(out.size):
            out[j] += a[k] * weight[k, j]


@jit
def _forward(
    cell, x, weight_ih, weight_hh, bias_ih, bias_hh, table, index, h0, c0, lengths, y, h_n, c_n, cells, gates, reverse
):  # fmt: skip
    steps, H, one = x.shape[1], y.shape[2], y.dtype.type(1)
    from_x, from_h = np.empty_like(bias_ih), np.empty_like(bias_ih)
    for n in range(x.shape[0]):
        h, c, end = h_n[n], c_n[n], _end(lengths, n, steps)
        h[:] = h0[n]
        c[:] = c0[n]
        y[n, end:] = 0
        if cells.size:
            cells[n, end:] = 0
        if gates.size:
            gates[n, end:] = 0
        for step in range(end):
            t = end - 1 - step if reverse else step
            from_x[:] = bias_ih
            from_h[:] = bias_hh
            if index.size:
                chosen = index[n, t]
                if 0 <= chosen < table.shape[0]:
                    from_x += table[chosen]
                else:
                    from_x[:] = np.nan
            _add_product(x[n, t], weight_ih, from_x)
            _add_product(h, weight_hh, from_h)
            if cell == GRU:
                for j in range(2 * H):
                    from_x[j] += from_h[j]
                _sigmoid(from_x[: 2 * H])
                for j in range(H):
                    from_x[2 * H + j] += from_x[j] * from_h[2 * H + j]
                _tanh(from_x[2 * H :])
                for j in range(H):
                    h[j] = from_x[2 * H + j] + from_x[H + j] * (h[j] - from_x[2 * H + j])
            else:
                for j in range(from_x.size):
                    from_x[j] += from_h[j]
            if cell == LSTM:
                _sigmoid(from_x[: 2 * H])
                _tanh(from_x[2 * H : 3 * H])
                _sigmoid(from_x[3 * H :])
                for j in range(H):
                    c[j] = from_x[H + j] * c[j] + from_x[j] * from_x[2 * H + j]
                    h[j] = c[j]
                _tanh(h)
                for j in range(H):
                    h[j] *= from_x[3 * H + j]
                if cells.size:
                    cells[n, t] = c
            elif cell == RNN_TANH:
                h[:] = from_x
                _tanh(h)
            elif cell == RNN_RELU:
                for j in range(H):
                    # A NaN passes through relu.
                    h[j] = 0 * one if from_x[j] < 0 else from_x[j]
            y[n, t] = h
            if gates.size and cell == GRU:
                gates[n, t, : 3 * H] = from_x
                gates[n, t, 3 * H :] = from_h[2 * H :]
            elif gates.size:
                gates[n, t] = from_x if cell == LSTM else h


@jit
def _backward(
    cell, weight_ih, weight_hh, h0, c0, lengths, y, cells, gates, dy, dh_n, dc_n, dx, dh0, dc0, dpre, reverse
):
    B, steps, H, one = gates.shape[0], gates.shape[1], weight_hh.shape[0], gates.dtype.type(1)
    to_x, to_h = np.ascontiguousarray(weight_ih.T), np.ascontiguousarray(weight_hh.T)
    of_h, bent = np.empty(weight_hh.shape[1], weight_hh.dtype), np.empty(H, weight_hh.dtype)
    for n in range(B):
        dh, dc, end = dh0[n], dc0[n], _end(lengths, n, steps)
        dh[:] = dh_n[n]
        dc[:] = dc_n[n]
        dpre[n, end:] = 0
        if dx.size:
            dx[n] = 0
        for step in range(end - 1, -1, -1):
            t = end - 1 - step if reverse else step
            past = t + 1 if reverse else t - 1
            d = dpre[n, t]
            if cell == LSTM:
                bent[:] = cells[n, t]
                _tanh(bent)
            for j in range(H):
                out = dh[j] + dy[n, t, j] if dy.size else dh[j]
                if cell == LSTM:
                    i, f = gates[n, t, j], gates[n, t, H + j]
                    g, o = gates[n, t, 2 * H + j], gates[n, t, 3 * H + j]
                    before = cells[n, past, j] if step > 0 else c0[n, j]
                    flow = dc[j] + out * o * (one - bent[j] * bent[j])
                    d[j] = flow * g * i * (one - i)
                    d[H + j] = flow * before * f * (one - f)
                    d[2 * H + j] = flow * i * (one - g * g)
                    d[3 * H + j] = out * bent[j] * o * (one - o)
                    dc[j] = flow * f
                    dh[j] = 0
                elif cell == GRU:
                    r, z = gates[n, t, j], gates[n, t, H + j]
                    new, inner = gates[n, t, 2 * H + j], gates[n, t, 3 * H + j]
                    before = y[n, past, j] if step > 0 else h0[n, j]
                    dn = out * (one - z) * (one - new * new)
                    d[j] = dn * inner * r * (one - r)
                    d[H + j] = out * (before - new) * z * (one - z)
                    d[2 * H + j] = dn
                    d[3 * H + j] = dn * r
                    dh[j] = out * z
                else:
                    h = gates[n, t, j]
                    d[j] = out * (one - h * h) if cell == RNN_TANH else (out if h > 0 else 0 * one)
                    dh[j] = 0
            G = of_h.size
            of_h[:] = d[:G]
            if cell == GRU:
                of_h[2 * H :] = d[3 * H :]
            _add_product(of_h, to_h, dh)
            if dx.size:
                _add_product(d[:G], to_x, dx[n, t])


def _matrix(weight: np.ndarray) -> np.ndarray:
    return weight.reshape(weight.shape[0], weight.shape[1] * weight.shape[2])


def _parts(array: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    """(B, T, parts, H) as (B, T, parts · H); empty if absent."""
    return (
        np.empty((0, 0, 0), like.dtype)
        if array is None
        else array.reshape(*array.shape[:2], prod(array.shape[2:]))
    )


def _state(state: np.ndarray | None, rows: int, units: int, like: np.ndarray) -> np.ndarray:
    return np.zeros((rows, units), like.dtype) if state is None else state


def _lengths(lengths: np.ndarray | None) -> np.ndarray:
    return np.empty(0, np.int64) if lengths is None else lengths


def _looked_up(
    table: np.ndarray | None, index: np.ndarray | None, like: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both, or both empty where one is absent."""
    if table is None or index is None:
        return np.empty((0, 0), like.dtype), np.empty((0, 0), np.int64)
    return _matrix(table), index


def _bind_forward(
    cell, x, weight_ih, weight_hh, bias_ih, bias_hh, table, index, h0, lengths, y, h_n, gates, reverse, c0=None, c_n=None,
    cells=None,
) -> Bound:  # fmt: skip
    rows, units, columns = len(x), y.shape[2], weight_hh.shape[1] * weight_hh.shape[2]
    biases = [np.zeros(columns, x.dtype) if b is None else b.reshape(-1) for b in (bias_ih, bias_hh)]
    states = [_state(state, rows, units, x) for state in (h0, c0)]
    return _forward, (
        *(cell, x, _matrix(weight_ih), _matrix(weight_hh), *biases, *_looked_up(table, index, x), *states),
        *(_lengths(lengths), y, h_n),
        *(_state(c_n, rows, units, x), _parts(cells, x), _parts(gates, x), reverse),
    )


def rnn_forward(activation, **fields) -> Bound:
    return _bind_forward(_RNN[activation], **fields)


def lstm_forward(**fields) -> Bound:
    return _bind_forward(LSTM, **fields)


def gru_forward(**fields) -> Bound:
    return _bind_forward(GRU, **fields)


def _bind_backward(
    cell, weight_ih, weight_hh, lengths, gates, dy, dh_n, dx, dh0, dpre, reverse, h0=None, c0=None, y=None, cells=None,
    dc_n=None, dc0=None,
) -> Bound:  # fmt: skip
    rows, units = len(gates), weight_hh.shape[0]
    h0, c0, dh_n, dc_n, dh0, dc0 = (
        _state(state, rows, units, gates) for state in (h0, c0, dh_n, dc_n, dh0, dc0)
    )
    y, cells, dy, dx = (_parts(array, gates) for array in (y, cells, dy, dx))
    return _backward, (
        *(cell, _matrix(weight_ih), _matrix(weight_hh), h0, c0, _lengths(lengths), y, cells),
        *(_parts(gates, gates), dy, dh_n, dc_n, dx, dh0, dc0, _parts(dpre, gates), reverse),
    )


def rnn_backward(activation, **fields) -> Bound:
    return _bind_backward(_RNN[activation], **fields)


def lstm_backward(**fields) -> Bound:
    return _bind_backward(LSTM, **fields)


def gru_backward(**fields) -> Bound:
    return _bind_backward(GRU, **fields)


@jit
def _add_rows(table, index, rows):
    """table[index[n]] += rows[n]."""
    for n in range(index.size):
        if 0 <= index[n] < table.shape[0]:
            table[index[n]] += rows[n]


def _weight_gradient(
    x: Any, index: Any, h0: Any, lengths: Any, y: Any, dpre: Any, dweight_ih: Any, dweight_hh: Any, dbias_ih: Any,
    dbias_hh: Any, dtable: Any, reverse: bool, parts: tuple[slice | list[int], slice | list[int]],
) -> None:  # fmt: skip
    rows, steps, _ = x.shape
    ends = np.full(rows, steps) if lengths is None else np.clip(lengths, 0, steps)
    before = np.zeros_like(y)
    if steps:
        (before[:, :-1] if reverse else before[:, 1:])[...] = y[:, 1:] if reverse else y[:, :-1]
        started = np.flatnonzero(ends > 0)
        first = ends[started] - 1 if reverse else 0
        before[started, first] = 0 if h0 is None else h0[started]
    taken = None if (ends == steps).all() else np.arange(steps) < ends[:, None]
    of_steps = _steps(dpre, taken)
    # Products with all parts, of which some are kept: a copy of these would cost more.
    flat = of_steps.reshape(len(of_steps), prod(of_steps.shape[1:]))
    for inputs, part, dweight in ((x, parts[0], dweight_ih), (before, parts[1], dweight_hh)):
        if dweight is not None:
            found = np.dot(_steps(inputs, taken).T, flat)
            dweight[...] = found.reshape(len(found), *of_steps.shape[1:])[:, part]
    if dbias_ih is not None or dbias_hh is not None:
        sums = np.dot(np.ones(len(flat), flat.dtype), flat).reshape(of_steps.shape[1:])
        for part, dbias in ((parts[0], dbias_ih), (parts[1], dbias_hh)):
            if dbias is not None:
                dbias[...] = sums[part]
    if dtable is not None:
        dtable[...] = 0
        if index is not None:
            _add_rows(dtable, _steps(index, taken), of_steps[:, parts[0]])


def _steps(array: np.ndarray, taken: np.ndarray | None) -> np.ndarray:
    """(B, T, ...) as (steps, ...): those that are taken, where not all are."""
    steps = array.shape[0] * array.shape[1]
    return array.reshape(steps, *array.shape[2:]) if taken is None else array[taken]


def rnn_backward_weight(**fields) -> Bound:
    return partial(_weight_gradient, parts=(slice(None), slice(None)), **fields), ()


lstm_backward_weight = rnn_backward_weight


def gru_backward_weight(**fields) -> Bound:
    return partial(_weight_gradient, parts=(slice(3), [0, 1, 3]), **fields), ()

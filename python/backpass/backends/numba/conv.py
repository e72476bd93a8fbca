"""Convolutions: what each place of the output reads becomes a row of a matrix, image by image; then products by NumPy's BLAS.

With groups such products would be many and small: there plain loops do the work.
"""

from typing import Any

import numpy as np

from . import linear
from .compiler import Bound, jit


@jit
def _to_columns(x, columns, KH, KW, P, Q, stride_h, stride_w, top, left, dilation_h, dilation_w):
    height, width, channels = x.shape
    for p in range(P):
        for q in range(Q):
            at = 0
            for i in range(KH):
                h = p * stride_h + i * dilation_h - top
                for j in range(KW):
                    w = q * stride_w + j * dilation_w - left
                    if 0 <= h < height and 0 <= w < width:
                        for c in range(channels):
                            columns[p * Q + q, at + c] = x[h, w, c]
                    else:
                        for c in range(channels):
                            columns[p * Q + q, at + c] = 0
                    at += channels


@jit
def _from_columns(columns, dx, KH, KW, P, Q, stride_h, stride_w, top, left, dilation_h, dilation_w):
    height, width, channels = dx.shape
    dx[:] = 0
    for p in range(P):
        for q in range(Q):
            at = 0
            for i in range(KH):
                h = p * stride_h + i * dilation_h - top
                for j in range(KW):
                    w = q * stride_w + j * dilation_w - left
                    if 0 <= h < height and 0 <= w < width:
                        for c in range(channels):
                            dx[h, w, c] += columns[p * Q + q, at + c]
                    at += channels


@jit
def _grouped_forward(x, weight, y, groups, stride_h, stride_w, top, left, dilation_h, dilation_w):
    KH, KW, depth, outputs = weight.shape
    per_group = outputs // groups
    y[:] = 0
    for b in range(y.shape[0]):
        for p in range(y.shape[1]):
            for i in range(KH):
                h = p * stride_h + i * dilation_h - top
                if not 0 <= h < x.shape[1]:
                    continue
                for q in range(y.shape[2]):
                    for j in range(KW):
                        w = q * stride_w + j * dilation_w - left
                        if 0 <= w < x.shape[2]:
                            for c in range(depth):
                                for o in range(outputs):
                                    y[b, p, q, o] += (
                                        x[b, h, w, o // per_group * depth + c] * weight[i, j, c, o]
                                    )


@jit
def _grouped_backward(
    x, weight, dy, dx, dweight, groups, stride_h, stride_w, top, left, dilation_h, dilation_w
):
    KH, KW, depth, outputs = weight.shape
    per_group = outputs // groups
    if dx is not None:
        dx[:] = 0
    if dweight is not None:
        dweight[:] = 0
    for b in range(dy.shape[0]):
        for p in range(dy.shape[1]):
            for i in range(KH):
                h = p * stride_h + i * dilation_h - top
                if not 0 <= h < x.shape[1]:
                    continue
                for q in range(dy.shape[2]):
                    for j in range(KW):
                        w = q * stride_w + j * dilation_w - left
                        if 0 <= w < x.shape[2]:
                            for c in range(depth):
                                for o in range(outputs):
                                    channel = o // per_group * depth + c
                                    if dx is not None:
                                        dx[b, h, w, channel] += dy[b, p, q, o] * weight[i, j, c, o]
                                    if dweight is not None:
                                        dweight[i, j, c, o] += x[b, h, w, channel] * dy[b, p, q, o]


def _matrix(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, array.shape[-1])


def _columns_of(weight: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.empty((y.shape[1] * y.shape[2], _matrix(weight).shape[0]), weight.dtype)


def _forward(
    x: Any, weight: Any, y: Any, columns: Any, geometry: tuple[int, ...], groups: int, finish: Any, rest: Any
) -> None:
    if groups > 1:
        _grouped_forward(x, weight, y, groups, *geometry)
    else:
        places = (*weight.shape[:2], *y.shape[1:3], *geometry)
        for image, out in zip(x, y, strict=True):
            _to_columns(image, columns, *places)
            np.dot(columns, _matrix(weight), out=_matrix(out))
    finish(*rest)


def conv2d_forward(
    x, weight, bias, y, slope, activation, alpha, stride_h, stride_w, top, left, bottom, right, dilation_h, dilation_w, groups
) -> Bound:  # fmt: skip
    geometry = stride_h, stride_w, top, left, dilation_h, dilation_w
    rest = bias, _matrix(y), None if slope is None else _matrix(slope), alpha
    finish = linear._forward(activation)
    return _forward, (x, weight, y, _columns_of(weight, y), geometry, groups, finish, rest)


def _backward(
    x: Any, weight: Any, dy: Any, other: Any, dx: Any, dweight: Any, columns: Any, geometry: Any, groups: int, finish: Any,
    rest: Any,
) -> None:  # fmt: skip
    if groups > 1:
        _grouped_backward(x, weight, dy, dx, dweight, groups, *geometry)
    else:
        places = (*weight.shape[:2], *dy.shape[1:3], *geometry)
        if dweight is not None:
            dweight[...] = 0
        for number, given in enumerate(dy):
            if dweight is not None:
                _to_columns(x[number], columns, *places)
                _matrix(dweight)[...] += np.dot(columns.T, _matrix(given))
            if dx is not None:
                np.dot(_matrix(given), _matrix(weight).T, out=columns)
                _from_columns(columns, dx[number], *places)
    if dx is not None and other is not None:
        np.add(dx, other, out=dx)
    finish(*rest)


def conv2d_backward(
    x, weight, dy, slope, other, dx, dweight, dbias, activation, alpha, stride_h, stride_w, top, left, bottom, right,
    dilation_h, dilation_w, groups,
) -> Bound:  # fmt: skip
    geometry = stride_h, stride_w, top, left, dilation_h, dilation_w
    matrices = [None if array is None else _matrix(array) for array in (x, dy, slope, dx)]
    finish = linear._backward(activation)
    return _backward, (
        *(
            x,
            weight,
            dy,
            other,
            dx,
            dweight,
            _columns_of(weight, dy),
            geometry,
            groups,
            finish,
            (*matrices, dbias, alpha),
        ),
    )

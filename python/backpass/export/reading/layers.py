"""Operators with weights, normalisation and pooling: the functions of nn.functional under ONNX's names."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...nn import functional as F
from ...program.symbolic import SymbolicTensor
from .call import Call
from .constants import limited
from .shapes import padded
from .turned import Turned, like

Reader = Callable[[Call], Any]


def matmul(call: Call) -> Any:
    """A matrix product; by a matrix of weights a linear layer."""
    a, b = call.raw(0), call.raw(1)
    if isinstance(b, SymbolicTensor) and b.ndim == 2 and not b.per_row and a.ndim >= 2:
        if isinstance(a, Turned) and a.at != a.ndim - 1:
            return like(F.linear(a.tensor, b.t()), a.at)
        return F.linear(call.tensor(0), b.t())
    return call.tensor(0) @ call.tensor(1)


def gemm(call: Call) -> Any:
    """alpha A B + beta C."""
    a, b = call.tensor(0), call.tensor(1)
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    a = a.t() if call.attribute("transA", 0) else a
    b = b if call.attribute("transB", 0) else b.t()
    bias = call.raw(2)
    plain_bias = bias is not None and bias.shape == b.shape[:1] and alpha == beta == 1
    y = F.linear(a, b, bias if plain_bias else None)
    y = y if alpha == 1 else y * alpha
    if bias is None or plain_bias:
        return y
    return y + (bias if beta == 1 else call.as_tensor(bias) * beta)


def _window(call: Call, spatial: int, kernel: list[int]) -> tuple[list[int], list[int], list[int]]:
    """The steps, the dilations, and the padding before all dimensions and behind them."""
    strides = call.attribute("strides", [1] * spatial)
    dilations = call.attribute("dilations", [1] * spatial)
    pads = call.attribute("pads", [0] * (2 * spatial))
    auto = call.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        before, behind = [], []
        for size, k, step, apart in zip(call.raw(0).shape[2:], kernel, strides, dilations, strict=True):
            total = max((-(-size // step) - 1) * step + apart * (k - 1) + 1 - size, 0)
            small, large = total // 2, total - total // 2
            before.append(small if auto == "SAME_UPPER" else large)
            behind.append(total - before[-1])
        pads = [*before, *behind]
    elif auto not in ("NOTSET", "VALID"):
        raise ValueError(f"auto_pad is {auto!r:.40}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    if min(pads, default=0) < 0:
        raise ValueError(f"pads are {pads}, expected none below 0")
    return strides, dilations, pads


def _spatial(call: Call) -> int:
    ndim: int = call.raw(0).ndim
    if ndim not in (3, 4):
        raise ValueError(f"the input has {ndim} dimensions, expected 3 or 4")
    return ndim - 2


def _symmetric(x: SymbolicTensor, pads: list[int], value: float) -> tuple[SymbolicTensor, tuple[int, ...]]:
    """The input and the padding on either side; where the sides differ, padding that is written out."""
    spatial = len(pads) // 2
    if pads[:spatial] == pads[spatial:]:
        return x, tuple(pads[:spatial])
    return padded(x, [*range(2, 2 + spatial)], pads, value), (0,) * spatial


def conv(call: Call) -> Any:
    """A convolution of sequences or images."""
    spatial, weight = _spatial(call), call.tensor(1)
    kernel = call.attribute("kernel_shape", [*weight.shape[2:]])
    if kernel != [*weight.shape[2:]]:
        raise ValueError(f"kernel_shape is {kernel}, expected {weight.shape[2:]} of the weight")
    strides, dilations, pads = _window(call, spatial, kernel)
    x, padding = _symmetric(call.tensor(0), pads, 0.0)
    function = F.conv1d if spatial == 1 else F.conv2d
    bias = None if call.raw(2) is None else call.tensor(2)
    return function(x, weight, bias, tuple(strides), padding, tuple(dilations), call.attribute("group", 1))


def conv_transpose(call: Call) -> Any:
    """A transposed convolution."""
    spatial, weight = _spatial(call), call.tensor(1)
    call.expect(auto_pad="NOTSET", kernel_shape=[*weight.shape[2:]])
    strides, dilations, pads = _window(call, spatial, [*weight.shape[2:]])
    extra = call.attribute("output_padding", [0] * spatial)
    if pads[:spatial] != pads[spatial:]:
        raise ValueError(f"pads are {pads}, expected the same on both sides")
    function = F.conv_transpose1d if spatial == 1 else F.conv_transpose2d
    bias = None if call.raw(2) is None else call.tensor(2)
    return function(
        call.tensor(0), weight, bias, tuple(strides), tuple(pads[:spatial]), tuple(extra), call.attribute("group", 1),
        tuple(dilations),
    )  # fmt: skip


def max_pool(call: Call) -> Any:
    """The largest number of each window."""
    spatial, kernel = _spatial(call), call.attribute("kernel_shape", [])
    call.expect(storage_order=0)
    strides, dilations, pads = _window(call, spatial, kernel)
    x, padding = _symmetric(call.tensor(0), pads, -np.inf)
    function = F.max_pool1d if spatial == 1 else F.max_pool2d
    ceil = bool(call.attribute("ceil_mode", 0))
    return function(x, tuple(kernel), tuple(strides), padding, tuple(dilations), ceil)


def average_pool(call: Call) -> Any:
    """The mean of each window."""
    spatial, kernel = _spatial(call), call.attribute("kernel_shape", [])
    strides, dilations, pads = _window(call, spatial, kernel)
    counted = bool(call.attribute("count_include_pad", 0))
    if dilations != [1] * spatial:
        raise ValueError(f"dilations are {dilations}, expected 1")
    x, padding = _symmetric(call.tensor(0), pads, 0.0)
    if any(pads) and not any(padding) and not counted:
        raise ValueError(f"pads are {pads} and do not count, expected the same on both sides")
    function = F.avg_pool1d if spatial == 1 else F.avg_pool2d
    return function(x, tuple(kernel), tuple(strides), padding, bool(call.attribute("ceil_mode", 0)), counted)


def of_image(function: Callable[[SymbolicTensor, list[int]], SymbolicTensor]) -> Reader:
    """One number for each channel."""

    def read(call: Call) -> Any:
        x = call.tensor(0)
        return function(x, [*range(2, x.ndim)])

    return read


def batch_norm(call: Call) -> Any:
    """Normalisation by channel: while training by the batch, whose statistics the running ones follow."""
    call.expect(training_mode=0)
    x, momentum, eps = call.tensor(0), call.attribute("momentum", 0.9), call.attribute("epsilon", 1e-5)
    # A float32 of the file, as it was meant.
    rate = 1 - float(np.format_float_positional(np.float32(momentum)))
    weight, bias, mean, var = (call[number] for number in range(1, 5))
    return F.batch_norm(x, mean, var, weight, bias, call.builder.training, round(rate, 9), eps)


def layer_norm(call: Call) -> Any:
    """Normalisation over the last dimensions."""
    call.expect(stash_type=1)
    x = call.raw(0)
    axis, eps = call.attribute("axis", -1) % x.ndim, call.attribute("epsilon", 1e-5)
    tensor, at = (x.tensor, x.at) if isinstance(x, Turned) and x.at < axis else (call.tensor(0), 0)
    weight, bias = (None if call.raw(k) is None else call.tensor(k) for k in (1, 2))
    sizes = x.shape[axis:]
    # Weights may be of one size for all.
    shaped = [w if w is None or w.shape == sizes else w.expand(sizes) for w in (weight, bias)]
    return like(F.layer_norm(tensor, sizes, shaped[0], shaped[1], eps), at)


def instance_norm(call: Call) -> Any:
    """Normalisation of each channel of each row."""
    eps = call.attribute("epsilon", 1e-5)
    return F.instance_norm(call.tensor(0), weight=call.tensor(1), bias=call.tensor(2), eps=eps)


def group_norm(call: Call) -> Any:
    """Normalisation of groups of channels."""
    call.expect(stash_type=1)
    eps, groups = call.attribute("epsilon", 1e-5), call.attribute("num_groups", 0)
    return F.group_norm(call.tensor(0), groups, call.tensor(1), call.tensor(2), eps)


def resize(call: Call) -> Any:
    """Another size of sequences or images: the nearest pixel, or a mixture."""
    spatial, x = _spatial(call), call.tensor(0)
    call.expect(antialias=0, exclude_outside=0, keep_aspect_ratio_policy="stretch")
    for unused, value in (("cubic_coeff_a", -0.75), ("extrapolation_value", 0.0)):
        call.attribute(unused, value)
    axes = call.attribute("axes", [*range(x.ndim)])
    scales, sizes = call.known(2, "scales"), call.numbers(3, "sizes")
    given = (
        [float(scale) for scale in scales.reshape(-1)] if scales is not None and scales.size else sizes or []
    )
    by_axis = dict(zip([axis % x.ndim for axis in axes], given, strict=True))
    if sizes is None and any(by_axis.get(axis, 1) != 1 for axis in (0, 1)):
        raise ValueError(f"scales are {given}, expected 1 for rows and channels")
    wanted = tuple(by_axis.get(axis, x.shape[axis] if sizes else 1.0) for axis in range(2, x.ndim))
    mode, where = (
        call.attribute("mode", "nearest"),
        call.attribute("coordinate_transformation_mode", "half_pixel"),
    )
    nearest = call.attribute("nearest_mode", "round_prefer_floor")
    steps = [wanted[k] / x.shape[2 + k] if sizes else wanted[k] for k in range(spatial)]
    # Of whole multiples both ways lead to the same pixels.
    whole = (
        where.endswith("half_pixel")
        and nearest == "round_prefer_floor"
        and all(s == int(s) > 0 for s in steps)
    )
    if mode == "nearest" and ((where, nearest) == ("asymmetric", "floor") or whole):
        aligned, kind = None, "nearest"
    elif mode == "linear" and where in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        aligned, kind = where == "align_corners", "linear" if spatial == 1 else "bilinear"
    else:
        raise ValueError(f"mode {mode!r:.40} with {where!r:.40} and {nearest!r:.40} is not available")
    if min(steps) <= 0:
        raise ValueError(f"sizes are {wanted}, expected numbers above 0")
    limited(prod(x.shape[1:]) * prod(steps))
    return F.interpolate(
        x, wanted if sizes else None, None if sizes else wanted, mode=kind, align_corners=aligned
    )


LAYERS: dict[str, Reader] = {
    "Resize": resize,
    "MatMul": matmul, "Gemm": gemm, "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool,
    "AveragePool": average_pool, "GlobalAveragePool": of_image(lambda x, axes: x.mean(axes, keepdim=True)),
    "GlobalMaxPool": of_image(lambda x, axes: x.amax(axes, keepdim=True)), "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm, "InstanceNormalization": instance_norm, "GroupNormalization": group_norm,
}  # fmt: skip

"""Windows that slide over sequences and images: convolutions and pooling."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...nn import functional as F
from ...program.symbolic import SymbolicTensor
from .call import Call
from .parts import padded

Reader = Callable[[Call], Any]


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


def spatial_of(call: Call) -> int:
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
    spatial, weight = spatial_of(call), call.tensor(1)
    kernel = [*weight.shape[2:]]
    call.expect(kernel_shape=kernel)
    strides, dilations, pads = _window(call, spatial, kernel)
    x, padding = _symmetric(call.tensor(0), pads, 0.0)
    function = F.conv1d if spatial == 1 else F.conv2d
    bias = None if call.raw(2) is None else call.tensor(2)
    return function(x, weight, bias, tuple(strides), padding, tuple(dilations), call.attribute("group", 1))


def conv_transpose(call: Call) -> Any:
    """A transposed convolution."""
    spatial, weight = spatial_of(call), call.tensor(1)
    auto = call.node.attributes.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID"):
        raise ValueError(f"auto_pad is {auto!r:.40}, expected NOTSET or VALID")
    call.expect(kernel_shape=[*weight.shape[2:]])
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
    spatial, kernel = spatial_of(call), call.attribute("kernel_shape", [])
    call.expect(storage_order=0)
    strides, dilations, pads = _window(call, spatial, kernel)
    ceil = bool(call.attribute("ceil_mode", 0))
    if not ceil and _is_ceil(call.raw(0).shape[2:], kernel, strides, dilations, pads):
        ceil, pads = True, pads[:spatial] * 2
    x, padding = _symmetric(call.tensor(0), pads, -np.inf)
    function = F.max_pool1d if spatial == 1 else F.max_pool2d
    return function(x, tuple(kernel), tuple(strides), padding, tuple(dilations), ceil)


def _is_ceil(
    sizes: Sequence[int], kernel: list[int], strides: list[int], dilations: list[int], pads: list[int]
) -> bool:
    """Whether more padding behind than before only makes room for the last windows, as ceil_mode does."""
    before, behind = pads[: len(sizes)], pads[len(sizes) :]
    if before == behind:
        return False
    for n, k, step, apart, first, last in zip(sizes, kernel, strides, dilations, before, behind, strict=True):
        spare = n + first - apart * (k - 1) - 1
        places = (spare + last) // step + 1
        rounded_up = -(-(spare + first) // step) + 1
        rounded_up -= (rounded_up - 1) * step >= n + first
        if last < first or places != rounded_up:
            return False
    return True


def average_pool(call: Call) -> Any:
    """The mean of each window."""
    spatial, kernel = spatial_of(call), call.attribute("kernel_shape", [])
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


WINDOWS: dict[str, Reader] = {
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool, "AveragePool": average_pool,
    "GlobalAveragePool": of_image(lambda x, axes: x.mean(axes, keepdim=True)),
    "GlobalMaxPool": of_image(lambda x, axes: x.amax(axes, keepdim=True)),
}  # fmt: skip

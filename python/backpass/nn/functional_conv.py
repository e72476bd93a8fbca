"""Convolutions as functions of symbolic tensors, under PyTorch's names: part of `backpass.nn.functional`."""

from collections.abc import Sequence
from typing import Any

from ..program import Tensor
from ..program.symbolic import SymbolicTensor, operand
from ..program.views import part, permute
from .conv import Conv1d, Conv2d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d

Size = int | tuple[int, ...]


def conv1d(
    x: SymbolicTensor, weight: Any, bias: Any = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1,
    groups: int = 1,
) -> SymbolicTensor:  # fmt: skip
    """Convolution of sequences (N, C, L) with weight (O, C / groups, kernel), as nn.Conv1d."""
    out, depth, *kernel = _sizes("conv1d", weight, 3)
    layer = Conv1d(depth * groups, out, (kernel[0],), stride, padding, dilation, groups)
    return _convolved(layer, x, weight, bias)


def conv2d(
    x: SymbolicTensor, weight: Any, bias: Any = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1,
    groups: int = 1,
) -> SymbolicTensor:  # fmt: skip
    """Convolution of images (N, C, H, W) with weight (O, C / groups, height, width), as nn.Conv2d."""
    out, depth, *kernel = _sizes("conv2d", weight, 4)
    layer = Conv2d(depth * groups, out, (kernel[0], kernel[1]), stride, padding, dilation, groups)
    return _convolved(layer, x, weight, bias)


def conv_transpose1d(
    x: SymbolicTensor, weight: Any, bias: Any = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> SymbolicTensor:  # fmt: skip
    """Transposed convolution of sequences (N, C, L) with weight (C, O / groups, kernel), as nn.ConvTranspose1d."""
    channels, depth, *kernel = _sizes("conv_transpose1d", weight, 3)
    layer = ConvTranspose1d(
        channels, depth * groups, (kernel[0],), stride, padding, output_padding, groups, True, dilation
    )
    return _convolved(layer, x, weight, bias)


def conv_transpose2d(
    x: SymbolicTensor, weight: Any, bias: Any = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> SymbolicTensor:  # fmt: skip
    """Transposed convolution of images (N, C, H, W) with weight (C, O / groups, height, width), as nn.ConvTranspose2d."""
    channels, depth, *kernel = _sizes("conv_transpose2d", weight, 4)
    layer = ConvTranspose2d(
        channels,
        depth * groups,
        (kernel[0], kernel[1]),
        stride,
        padding,
        output_padding,
        groups,
        True,
        dilation,
    )
    return _convolved(layer, x, weight, bias)


def _sizes(name: str, weight: Any, ndim: int) -> Sequence[int]:
    sizes = tuple(getattr(weight, "shape", ()))
    if len(sizes) != ndim:
        raise ValueError(f"{name}: weight is {weight!r:.60}, expected {ndim} dimensions")
    return sizes


def _convolved(
    layer: Conv1d | Conv2d | ConvTranspose1d | ConvTranspose2d, x: SymbolicTensor, weight: Any, bias: Any
) -> SymbolicTensor:
    if not isinstance(x, SymbolicTensor):
        raise TypeError(f"{type(layer).__name__}: the input is {x!r:.60}, expected a tensor of forward")
    builder = x.builder
    given, added = operand(builder, weight), None if bias is None else operand(builder, bias)
    if not isinstance(given, Tensor) or not (added is None or isinstance(added, Tensor)):
        raise TypeError(f"{type(layer).__name__}: weight and bias have to be tensors")
    if added is not None and added.shape != (layer.out_channels,):
        raise ValueError(
            f"{type(layer).__name__}: bias has shape {added.shape}, expected ({layer.out_channels},)"
        )
    if layer.spatial == 1:
        given = part(builder, given, (slice(None), slice(None), None))
    return x._next(layer.convolved(builder, x._number, permute(builder, given, (2, 3, 1, 0)), added))

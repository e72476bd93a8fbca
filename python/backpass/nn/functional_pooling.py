"""Pooling as functions of symbolic tensors, under PyTorch's names: part of `backpass.nn.functional`."""

from ..program.symbolic import SymbolicTensor
from .adaptive_pool import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d
from .avg_pool import AvgPool1d, AvgPool2d
from .max_pool import MaxPool1d, MaxPool2d
from .pooling import Pooling

Size = int | tuple[int, ...]
Wanted = int | tuple[int | None, ...] | None


def _pooled(x: SymbolicTensor, layer: Pooling) -> SymbolicTensor:
    """What a layer that learns nothing gives for x."""
    if not isinstance(x, SymbolicTensor):
        raise TypeError(f"{type(layer).__name__}: the input is {x!r:.60}, expected a tensor of forward")
    y = layer.emit(x.builder, x._number)
    return x._next(y, y.shape[:1] == x.shape[:1])


def max_pool1d(
    x: SymbolicTensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> SymbolicTensor:  # fmt: skip
    """The largest number of each window of (N, C, L)."""
    return _pooled(x, MaxPool1d(kernel_size, stride, padding, dilation, return_indices, ceil_mode))


def max_pool2d(
    x: SymbolicTensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> SymbolicTensor:  # fmt: skip
    """The largest number of each window of (N, C, H, W)."""
    return _pooled(x, MaxPool2d(kernel_size, stride, padding, dilation, return_indices, ceil_mode))


def avg_pool1d(
    x: SymbolicTensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> SymbolicTensor:  # fmt: skip
    """The mean of each window of (N, C, L)."""
    return _pooled(x, AvgPool1d(kernel_size, stride, padding, ceil_mode, count_include_pad))


def avg_pool2d(
    x: SymbolicTensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> SymbolicTensor:  # fmt: skip
    """The mean of each window of (N, C, H, W)."""
    return _pooled(x, AvgPool2d(kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))


def adaptive_avg_pool1d(x: SymbolicTensor, output_size: Wanted) -> SymbolicTensor:
    """The means of output_size windows of (N, C, L)."""
    return _pooled(x, AdaptiveAvgPool1d(output_size))


def adaptive_avg_pool2d(x: SymbolicTensor, output_size: Wanted) -> SymbolicTensor:
    """The means of output_size windows of (N, C, H, W)."""
    return _pooled(x, AdaptiveAvgPool2d(output_size))


def adaptive_max_pool1d(
    x: SymbolicTensor, output_size: Wanted, return_indices: bool = False
) -> SymbolicTensor:
    """The maxima of output_size windows of (N, C, L)."""
    return _pooled(x, AdaptiveMaxPool1d(output_size, return_indices))


def adaptive_max_pool2d(
    x: SymbolicTensor, output_size: Wanted, return_indices: bool = False
) -> SymbolicTensor:
    """The maxima of output_size windows of (N, C, H, W)."""
    return _pooled(x, AdaptiveMaxPool2d(output_size, return_indices))

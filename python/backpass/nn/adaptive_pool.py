"""Adaptive pooling: layers that are told the size of their output."""

from ..ops import adaptive_avg_pool2d_forward, adaptive_max_pool2d_forward
from .pooling import AdaptivePooling


class AdaptiveAvgPool1d(AdaptivePooling):
    """Adaptive average pooling of sequences: y[n,c,t] = the mean of x[n,c] from ⌊t·L/O⌋ to ⌈(t+1)·L/O⌉ (PyTorch's layer).

    Args:
        output_size: O, at least 1; None keeps L. Where O does not divide L, windows overlap.

    Shapes: input (N, C, L), output (N, C, O).

    Raises:
        ValueError: an output_size out of range; an input of another shape.

    Example:
        >>> nn.AdaptiveAvgPool1d(4)
        AdaptiveAvgPool1d(4)
    """

    spatial = 1
    op = adaptive_avg_pool2d_forward


class AdaptiveAvgPool2d(AdaptivePooling):
    """Adaptive average pooling of images: the mean of each of P · Q windows (PyTorch's `nn.AdaptiveAvgPool2d`).

    A window covers the rows from ⌊p·H/P⌋ to ⌈(p+1)·H/P⌉, and the columns likewise. Where P does not divide H, windows overlap.

    Args:
        output_size: P and Q, at least 1: an integer for both, or a tuple; None keeps a size.

    Shapes: input (N, C, H, W), output (N, C, P, Q).

    Raises:
        ValueError: an output_size out of range; an input of another shape.

    Example:
        >>> nn.AdaptiveAvgPool2d((1, 1))
        AdaptiveAvgPool2d((1, 1))
    """

    spatial = 2
    op = adaptive_avg_pool2d_forward


class AdaptiveMaxPooling(AdaptivePooling):
    """Base of the layers below."""

    op = adaptive_max_pool2d_forward

    def __init__(
        self, output_size: int | tuple[int | None, ...] | None, return_indices: bool = False
    ) -> None:
        super().__init__(output_size)
        self.refuse_indices(return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPooling):
    """Adaptive maximum pooling of sequences: y[n,c,t] = the maximum of x[n,c] from ⌊t·L/O⌋ to ⌈(t+1)·L/O⌉ (PyTorch's layer).

    Args:
        output_size: O, at least 1; None keeps L. Where O does not divide L, windows overlap.
        return_indices: default False; True is refused.

    Shapes: input (N, C, L), output (N, C, O).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.AdaptiveMaxPool1d(4)
        AdaptiveMaxPool1d(4)
    """

    spatial = 1


class AdaptiveMaxPool2d(AdaptiveMaxPooling):
    """Adaptive maximum pooling of images: the maximum of each of P · Q windows (PyTorch's `nn.AdaptiveMaxPool2d`).

    A window covers the rows from ⌊p·H/P⌋ to ⌈(p+1)·H/P⌉, and the columns likewise. Where P does not divide H, windows overlap.

    Args:
        output_size: P and Q, at least 1: an integer for both, or a tuple; None keeps a size.
        return_indices: default False; True is refused.

    Shapes: input (N, C, H, W), output (N, C, P, Q).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.AdaptiveMaxPool2d((None, 3))
        AdaptiveMaxPool2d((None, 3))
    """

    spatial = 2

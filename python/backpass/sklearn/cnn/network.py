"""The default network of CNNClassifier."""

from typing import Any

from ... import nn
from ...checks import is_whole
from ..network.layers import linear_layers, whole_numbers


def default_network(
    shape: tuple[int, ...],
    outputs: int,
    channels: Any,
    kernel_size: Any,
    hidden_layer_sizes: Any,
    dropout: float,
    batch_norm: bool,
) -> nn.Sequential:
    """Convolution, [normalisation], ReLU and pooling for each of `channels`; then linear layers.

    shape: (C, H, W) of an image. Pooling halves an axis as long as it is longer than 1.
    """
    widths = whole_numbers("channels", channels)
    hidden = whole_numbers("hidden_layer_sizes", hidden_layer_sizes)
    kernel = window(kernel_size)
    layers: list[nn.Module] = []
    inputs, *size = shape
    for width in widths:
        pool = [min(2, length) for length in size]
        layers.append(nn.Conv2d(inputs, width, kernel, padding="same", bias=not batch_norm))
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers += [nn.ReLU(), nn.MaxPool2d((pool[0], pool[1]))]
        inputs, size = width, [length // factor for length, factor in zip(size, pool, strict=True)]
    units = [inputs * size[0] * size[1], *hidden, outputs]
    return nn.Sequential(*layers, nn.Flatten(), *linear_layers(units, dropout))


def window(kernel_size: Any) -> tuple[int, int]:
    """Height and width of a window."""
    numbers = whole_numbers("kernel_size", kernel_size)
    if len(numbers) not in (1, 2) or (len(numbers) == 1 and not is_whole(kernel_size)):
        raise ValueError(f"kernel_size is {kernel_size!r:.80}, expected one number or a pair")
    return numbers[0], numbers[-1]

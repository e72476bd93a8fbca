"""Gaussian noise on what passes, while training: augmentation of an input, regularisation of a layer."""

import numpy as np

from ..ops import gaussian_noise
from ..program import Builder, Tensor
from .module import Module


class GaussianNoise(Module):
    """Gaussian noise: y = x + std · n, n standard normal, while training; the identity otherwise (Bishop 1995; as in Keras).

    Args:
        std: the standard deviation, a finite number of at least 0.

    Shapes: input and output alike. The noise is a function of the model's seed and the step.

    Raises:
        ValueError: a std below 0 or not finite.

    Example:
        >>> nn.GaussianNoise(0.1)
        GaussianNoise(0.1)
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = self.in_range("std", std, 0, float(np.finfo(np.float32).max))

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if not builder.training or self.std == 0:
            return x
        return builder.emit(
            gaussian_noise, x=x, step=builder.step, std=self.std, seed=builder.seed, stream=builder.stream()
        )

"""Leaky rectified linear units whose slopes are learned."""

from functools import partial

import numpy as np

from ..program import Builder, Tensor
from ..program.symbolic import SymbolicTensor
from .functional_activations import prelu
from .initial_weights import full
from .module import Module


class PReLU(Module):
    """Parametric rectified linear unit: y = x where x > 0, else weight · x (He et al. 2015; PyTorch's `nn.PReLU`).

    Args:
        num_parameters: slopes to learn, 1 (default) for all channels together, or C, one for each.
        init: the slopes at first, in [-1e30, 1e30], default 0.25.

    Shapes: input and output (N, C, ...); `weight` (num_parameters,).

    Raises:
        ValueError: num_parameters below 1, an init out of range; an input whose channels are others than num_parameters.

    Example:
        >>> nn.Sequential(nn.Linear(4, 8), nn.PReLU(8))
        Sequential(Linear(4, 8), PReLU(num_parameters=8))
    """

    weight: np.ndarray

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters = self.positive_int("num_parameters", num_parameters)
        self.init = self.in_range("init", init, -1e30, 1e30)
        self.parameter("weight", (self.num_parameters,), partial(full, self.init))

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if self.num_parameters > 1 and x.shape[1:2] != (self.num_parameters,):
            raise self.unfit(x, f"(batch, {self.num_parameters}, ...)")
        weight = self.tensor("weight")
        assert weight is not None
        return prelu(SymbolicTensor(builder, x, 1), SymbolicTensor(builder, weight, 0)).tensor

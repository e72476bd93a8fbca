"""Networks of sequences that backpass and PyTorch both make: what their cases of live parity share."""

from typing import Any

import numpy as np

import backpass as bp
import backpass.nn.functional
from backpass.program.symbolic import SymbolicTensor
from golden.cases import Case, mse
from helpers.torch_parity import Builder, torch_peer

STEPS, WIDTH = 5, 6
UPPER = np.triu(np.ones((STEPS, STEPS), bool), 1)
BIAS = 0.3 * np.cos(np.arange(STEPS * STEPS)).reshape(STEPS, STEPS)
# No key is left for one query: PyTorch gives NaN there, so it has a case of its own.
SPARSE = (np.arange(STEPS)[:, None] + np.arange(STEPS)) % 3 == 1


def network(net: Builder, *shape: int, lr: float = 0.05, **more: Any) -> Case:
    return Case(net, mse, "SGD", {"lr": lr, "momentum": 0.8}, shape=shape or (STEPS, WIDTH), **more)


def ours(nn: Any) -> bool:
    return nn is bp.nn


def like(x: Any, array: np.ndarray) -> Any:
    """A constant where x is: a tensor of its dtype in PyTorch."""
    if isinstance(x, SymbolicTensor):
        return array
    torch = torch_peer().torch
    return torch.tensor(array, dtype=torch.bool if array.dtype == bool else x.dtype)


def padding(x: Any, limit: float, numbers: bool) -> Any:
    """Which keys take no part, chosen by the data; as numbers where PyTorch wants all masks of one kind."""
    chosen = x[:, :, 0] > limit
    if not numbers or isinstance(x, SymbolicTensor):
        return chosen
    return torch_peer().torch.where(chosen, -np.inf, x.new_zeros(()))


def functions(nn: Any) -> tuple[Any, Any]:
    """F and torch, or what stands in their place."""
    return (bp.nn.functional, bp) if ours(nn) else (torch_peer().torch.nn.functional, torch_peer().torch)


def module(body: Any) -> Builder:
    """A network: whatever `body(nn)` gives is (layers, forward), and a linear layer behind it."""

    def make(nn: Any) -> Any:
        layers, forward = body(nn)

        class Net(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                for name, layer in layers.items():
                    setattr(self, name, layer)

            def forward(self, x: Any) -> Any:
                return forward(self, x)

        return Net()

    return make

"""bp.from_torch: a module of PyTorch as a model."""

from typing import Any

import numpy as np

from ..export.torch.twins import pytorch
from ..model import AnyLoss, Model
from ..nn.tree import dotted
from ..optim import Optimizer, OptimizerName
from .parts import Parts, model_of
from .torch_layers import FUNCTION, Reader, place_of


def from_torch(
    module: Any, loss: AnyLoss = "mse", optimizer: OptimizerName | Optimizer = "adam", **options: Any
) -> Model:
    """Model of a PyTorch module that is made of layers which `backpass.nn` has as well, with its weights and statistics.

    It computes what the module computes, shares no memory with it, and may be trained on. Shared layers, tied and frozen
    parameters stay so. What `model.to_torch()` gives comes back by it.

    Args:
        module: a layer, a Sequential or a transformer encoder of `torch.nn`, with `batch_first=True`. A module with a forward of
            its own runs with `from backpass import nn` above its class, and `model.load_state_dict(module.state_dict())`.
        loss: as of bp.Model, default "mse". optimizer: as of bp.Model, default "adam".
        options: other arguments of bp.Model; dtype by default that of the weights: float64, else float32.

    Raises:
        TypeError: module is no torch.nn.Module. ValueError: a layer without a counterpart, by its name; an argument of a layer
            that its counterpart lacks; a forward, hooks, buffers or parametrizations of its own; a part of a transformer layer
            that is another than its arguments make. ImportError: PyTorch is missing.

    Example:
        >>> import torch
        >>> bp.from_torch(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())).net
        Sequential(Linear(4, 8), ReLU())
    """
    torch = pytorch(FUNCTION)
    if not isinstance(module, torch.nn.Module):
        described = f"the class {module.__name__}" if isinstance(module, type) else type(module).__name__
        raise TypeError(f"{FUNCTION}: module is {described}, expected a torch.nn.Module")
    return model_of(_parts(module), loss, optimizer, options)


def _parts(module: Any) -> Parts:
    reader = Reader()
    net = reader.layer(module, "")
    reader.tie()
    state, frozen = {}, set[str]()
    twins = {id(layer): twin for layer, twin in reader.leaves}
    known = {dotted(prefix, key) for prefix, layer in net.walk() for key in (*layer.learned, *layer.starts)}
    for prefix, layer in net.walk():
        if twin := twins.get(id(layer)):
            for key, value in twin.state_dict().items():
                if dotted(prefix, key) not in known:
                    raise ValueError(
                        f"{place_of(twin, prefix)} has {key!r}, which {layer!r:.80} does not have"
                    )
                state[dotted(prefix, key)] = _array(dotted(prefix, key), value)
            still = (
                key for key, value in twin.named_parameters(remove_duplicate=False) if not value.requires_grad
            )
            frozen |= {dotted(prefix, key) for key in still}
    return Parts(net, state, frozenset(frozen & {name for name, _ in net.named_parameters()}))


def _array(name: str, tensor: Any) -> np.ndarray:
    if tensor.is_meta:
        raise ValueError(f"{FUNCTION}: {name} is on the device meta, expected a tensor with values")
    # NumPy has no bfloat16.
    wide = tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor
    array: np.ndarray = wide.detach().cpu().numpy()
    return array

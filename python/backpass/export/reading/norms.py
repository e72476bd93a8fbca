"""Normalisation: the functions of nn.functional under ONNX's names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...nn import functional as F
from .call import Call
from .turned import Turned, like

Reader = Callable[[Call], Any]


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


NORMS: dict[str, Reader] = {
    "BatchNormalization": batch_norm, "LayerNormalization": layer_norm, "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
}  # fmt: skip

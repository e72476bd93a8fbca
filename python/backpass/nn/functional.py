"""`import backpass.nn.functional as F`: layers and losses as functions of symbolic tensors, under PyTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..checks import is_whole
from ..ops import dropout_forward, layer_norm_forward, linear_forward
from ..ops.formulas import SOFTPLUS_THRESHOLD
from ..program import Tensor
from ..program.symbolic import SymbolicTensor, operand
from ..program.views import permute
from .functional_activations import celu as celu
from .functional_activations import hardsigmoid as hardsigmoid
from .functional_activations import hardswish as hardswish
from .functional_activations import hardtanh as hardtanh
from .functional_activations import logsigmoid as logsigmoid
from .functional_activations import mish as mish
from .functional_activations import prelu as prelu
from .functional_activations import relu6 as relu6
from .functional_activations import selu as selu
from .functional_activations import softsign as softsign
from .functional_attention import glu as glu
from .functional_attention import rms_norm as rms_norm
from .functional_attention import scaled_dot_product_attention as scaled_dot_product_attention
from .functional_channels import batch_norm as batch_norm
from .functional_channels import dropout1d as dropout1d
from .functional_channels import dropout2d as dropout2d
from .functional_channels import group_norm as group_norm
from .functional_channels import instance_norm as instance_norm
from .functional_channels import interpolate as interpolate
from .functional_conv import conv1d as conv1d
from .functional_conv import conv2d as conv2d
from .functional_conv import conv_transpose1d as conv_transpose1d
from .functional_conv import conv_transpose2d as conv_transpose2d
from .functional_embedding import embedding_bag as embedding_bag
from .functional_embedding import rotary as rotary
from .functional_losses import binary_cross_entropy as binary_cross_entropy
from .functional_losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .functional_losses import cosine_similarity as cosine_similarity
from .functional_losses import cross_entropy as cross_entropy
from .functional_losses import huber_loss as huber_loss
from .functional_losses import kl_div as kl_div
from .functional_losses import l1_loss as l1_loss
from .functional_losses import mse_loss as mse_loss
from .functional_losses import nll_loss as nll_loss
from .functional_losses import smooth_l1_loss as smooth_l1_loss
from .functional_padding import pad as pad
from .functional_pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from .functional_pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from .functional_pooling import adaptive_max_pool1d as adaptive_max_pool1d
from .functional_pooling import adaptive_max_pool2d as adaptive_max_pool2d
from .functional_pooling import avg_pool1d as avg_pool1d
from .functional_pooling import avg_pool2d as avg_pool2d
from .functional_pooling import max_pool1d as max_pool1d
from .functional_pooling import max_pool2d as max_pool2d
from .functional_unfold import unfold as unfold


def relu(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """max(x, 0)."""
    return x.relu()


def sigmoid(x: SymbolicTensor) -> SymbolicTensor:
    """1 / (1 + e⁻ˣ)."""
    return x.sigmoid()


def tanh(x: SymbolicTensor) -> SymbolicTensor:
    """tanh x."""
    return x.tanh()


def silu(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """x / (1 + e⁻ˣ)."""
    return x._activated("silu")


def gelu(x: SymbolicTensor, approximate: str = "none") -> SymbolicTensor:
    """x Φ(x), or its approximation by tanh."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return x._activated("gelu" if approximate == "none" else "gelu_tanh")


def leaky_relu(x: SymbolicTensor, negative_slope: float = 0.01, inplace: bool = False) -> SymbolicTensor:
    """x where x ≥ 0, else negative_slope · x."""
    return x._activated("leaky_relu", negative_slope)


def elu(x: SymbolicTensor, alpha: float = 1.0, inplace: bool = False) -> SymbolicTensor:
    """x where x > 0, else alpha (eˣ - 1)."""
    return x._activated("elu", alpha)


def softplus(x: SymbolicTensor, beta: float = 1.0, threshold: float = SOFTPLUS_THRESHOLD) -> SymbolicTensor:
    """log(1 + e^(beta x)) / beta."""
    if threshold != SOFTPLUS_THRESHOLD:
        raise ValueError(f"softplus: threshold is {threshold!r}, expected {SOFTPLUS_THRESHOLD}")
    return x._activated("softplus", beta)


def softmax(x: SymbolicTensor, dim: int = -1) -> SymbolicTensor:
    """eˣ / Σ eˣ over dim."""
    return x.softmax(dim)


def log_softmax(x: SymbolicTensor, dim: int = -1) -> SymbolicTensor:
    """x - log Σ eˣ over dim."""
    return x.log_softmax(dim)


def linear(x: SymbolicTensor, weight: Any, bias: Any = None) -> SymbolicTensor:
    """x Wᵀ + b, with weight (out, in)."""
    builder = x.builder
    w = operand(builder, weight)
    if not isinstance(w, Tensor) or len(w.shape) != 2 or not x.shape or w.shape[1] != x.shape[-1]:
        raise ValueError(
            f"linear: weight is {weight!r:.60}, expected (out, {x.shape[-1:]}) for x of shape {x.shape}"
        )
    b = None if bias is None else operand(builder, bias)
    return x._next(builder.emit(linear_forward, x=x._number, weight=permute(builder, w, (1, 0)), bias=b))


def dropout(
    x: SymbolicTensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> SymbolicTensor:
    """While training, 0 with probability p, else x / (1 - p)."""
    builder = x.builder
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p!r}, expected a number in [0, 1]")
    if not training or not builder.training or p == 0:
        return x
    y = builder.emit(
        dropout_forward,
        x=x._number,
        step=builder.step,
        p=float(p),
        seed=builder.seed,
        stream=builder.stream(),
    )
    return x._next(y)


def layer_norm(
    x: SymbolicTensor,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> SymbolicTensor:
    """(x - mean) / √(var + eps) · weight + bias, over the last dimensions."""
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    lead = x.ndim - len(sizes)
    if lead < 0 or x.shape[lead:] != sizes:
        raise ValueError(
            f"layer_norm: normalized_shape is {sizes}, expected the last dimensions of {x.shape}"
        )
    flat = {
        name: value.reshape(prod(sizes)).tensor
        for name, value in (("weight", weight), ("bias", bias))
        if value is not None
    }
    rows = x.reshape([*x.shape[:lead], prod(sizes)])
    y = x.builder.emit(layer_norm_forward, x=rows._number, eps=float(eps), **flat)
    return rows._next(y).reshape(x.shape)


def embedding(input: Any, weight: SymbolicTensor, padding_idx: int | None = None) -> SymbolicTensor:
    """Rows of weight (V, E) by their indices, of any shape; the row padding_idx has no gradient."""
    if not isinstance(weight, SymbolicTensor) or weight.ndim != 2:
        raise ValueError(f"embedding: weight is {weight!r:.60}, expected a tensor of two dimensions")
    rows = weight.shape[0]
    if padding_idx is None:
        return weight._select("embedding", 0, input)
    if not is_whole(padding_idx) or not -rows <= padding_idx < rows:
        raise ValueError(
            f"embedding: padding_idx is {padding_idx!r}, expected None or an integer in [{-rows}, {rows - 1}]"
        )
    return weight._select("embedding", 0, input, int(padding_idx) % rows)


def normalize(x: SymbolicTensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> SymbolicTensor:
    """x divided by its Euclidean norm over dim, which is at least eps."""
    if p != 2:
        raise ValueError(f"normalize: p is {p!r}, expected 2")
    return x / x.norm(dim=dim, keepdim=True).clamp(min=eps)


def one_hot(x: SymbolicTensor, num_classes: int) -> SymbolicTensor:
    """1 at the place that x says, else 0: (..., num_classes)."""
    return x.unsqueeze(-1) == np.arange(num_classes)

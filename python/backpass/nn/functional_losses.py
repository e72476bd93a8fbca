"""Losses as functions of symbolic tensors, under PyTorch's names; classes lie in the last dimension."""

from typing import Any

import numpy as np

from ..program.functions import where
from ..program.integers import whole_operand
from ..program.symbolic import SymbolicTensor
from .functional_activations import logsigmoid


def _reduced(each: SymbolicTensor, reduction: str) -> SymbolicTensor:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is {reduction!r}, expected 'mean', 'sum' or 'none'")
    return each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()


def _weighed(each: SymbolicTensor, counts: SymbolicTensor, reduction: str) -> SymbolicTensor:
    """Reduced, with the mean by what each row counts."""
    return each.sum() / counts.sum() if reduction == "mean" else _reduced(each, reduction)


def mse_loss(x: SymbolicTensor, target: Any, reduction: str = "mean") -> SymbolicTensor:
    """(x - target)²."""
    return _reduced((x - target).square(), reduction)


def l1_loss(x: SymbolicTensor, target: Any, reduction: str = "mean") -> SymbolicTensor:
    """|x - target|."""
    return _reduced((x - target).abs(), reduction)


def huber_loss(x: SymbolicTensor, target: Any, reduction: str = "mean", delta: float = 1.0) -> SymbolicTensor:
    """½ d² where |d| < delta, else delta (|d| - ½ delta), with d = x - target."""
    d = (x - target).abs()
    return _reduced(where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)


def smooth_l1_loss(
    x: SymbolicTensor, target: Any, reduction: str = "mean", beta: float = 1.0
) -> SymbolicTensor:
    """Huber's loss divided by beta."""
    return huber_loss(x, target, reduction, beta) / beta


def nll_loss(
    x: SymbolicTensor,
    target: Any,
    reduction: str = "mean",
    ignore_index: int = -100,
    *,
    weight: Any = None,
) -> SymbolicTensor:
    """-x at the class of the target, by the weight of the class; 0 and not counted where it is ignore_index."""
    target = _classes(x, target)
    counted = target != ignore_index
    counts = _counts(target, counted, weight, x.shape[-1])
    return _weighed(where(counted, -_at_class(x, target) * counts, 0.0), counts, reduction)


def cross_entropy(
    x: SymbolicTensor,
    target: Any,
    reduction: str = "mean",
    ignore_index: int = -100,
    *,
    weight: Any = None,
    label_smoothing: float = 0.0,
) -> SymbolicTensor:
    """-log softmax(x) at the class of the target, or -Σ target log softmax(x) where the target has the shape of x.

    weight: (classes,), of each class. label_smoothing: the part of a target that all classes share.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is {label_smoothing!r}, expected a number in [0, 1]")
    logs, classes = x.log_softmax(-1), x.shape[-1]
    if getattr(target, "shape", ()) == x.shape:
        shares = target * (1 - label_smoothing) + label_smoothing / classes
        each = -(logs * shares * (1.0 if weight is None else weight)).sum(-1)
        return _reduced(each, reduction)
    if not label_smoothing:
        return nll_loss(logs, target, reduction, ignore_index, weight=weight)
    target = _classes(x, target)
    counted = target != ignore_index
    of_class = nll_loss(logs, target, "none", ignore_index, weight=weight)
    of_all = where(counted, -(logs if weight is None else logs * weight).sum(-1), 0.0)
    each = (1 - label_smoothing) * of_class + label_smoothing / classes * of_all
    return _weighed(each, _counts(target, counted, weight, classes), reduction)


def binary_cross_entropy_with_logits(
    x: SymbolicTensor, target: Any, reduction: str = "mean"
) -> SymbolicTensor:
    """log(1 + eˣ) - x · target."""
    return _reduced(-logsigmoid(-x) - x * target, reduction)


def binary_cross_entropy(x: SymbolicTensor, target: Any, reduction: str = "mean") -> SymbolicTensor:
    """-(target log x + (1 - target) log(1 - x)) of probabilities x; no logarithm counts less than -100."""
    return _reduced(-(target * _log(x) + (1 - target) * _log(1 - x)), reduction)


def kl_div(
    x: SymbolicTensor, target: Any, reduction: str = "mean", log_target: bool = False
) -> SymbolicTensor:
    """target (log target - x) of log probabilities x, 0 where the target is 0; "batchmean" is the mean of the rows' sums."""
    if log_target:
        each = (target.exp() if isinstance(target, SymbolicTensor) else np.exp(target)) * (target - x)
    else:
        some = target > 0
        each = where(some, target * (where(some, target, 1.0 + 0 * x).log() - x), 0.0)
    return each.sum() / x.shape[0] if reduction == "batchmean" else _reduced(each, reduction)


def cosine_similarity(a: SymbolicTensor, b: Any, dim: int = 1, eps: float = 1e-8) -> SymbolicTensor:
    """Σ a b / (|a| |b|) over dim, each norm at least eps."""
    other = b if isinstance(b, SymbolicTensor) else 0.0 * a + b
    return (a * other).sum(dim) / (a.norm(dim=dim).clamp(min=eps) * other.norm(dim=dim).clamp(min=eps))


def _log(x: SymbolicTensor) -> SymbolicTensor:
    """log x, at least -100; at 0, where its slope is infinite, it has none."""
    some = x > 0
    return where(some, where(some, x, 1.0).log().clamp(min=-100.0), -100.0)


def _classes(x: SymbolicTensor, target: Any) -> SymbolicTensor:
    """Class indices, or numbers that say classes; an array becomes a constant."""
    if isinstance(target, SymbolicTensor):
        return target
    return SymbolicTensor(x.builder, whole_operand(x.builder, target))


def _counts(target: SymbolicTensor, counted: SymbolicTensor, weight: Any, classes: int) -> SymbolicTensor:
    """What each row counts: the weight of its class, 0 where it is ignored."""
    if weight is None:
        return counted
    if np.shape(weight) != (classes,) and getattr(weight, "shape", ()) != (classes,):
        raise ValueError(f"weight is {weight!r:.80}, expected a number for each of {classes} classes")
    return where(target.unsqueeze(-1) == np.arange(classes), weight, 0.0).sum(-1)


def _at_class(x: SymbolicTensor, target: SymbolicTensor) -> SymbolicTensor:
    """x at the class of each row."""
    if target.dtype == np.int64:
        return x.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    # Numbers that say classes. Not a product: logarithms of 0 stand beside the class.
    return where(target.unsqueeze(-1) == np.arange(x.shape[-1]), x, 0.0).sum(-1)

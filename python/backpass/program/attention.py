"""Attention of tensors: heads as views of a projection, masks that are added to the scores."""

from typing import Any

import numpy as np

from ..ops import attention_backward, attention_forward, expression
from .arithmetic import elementwise
from .attention_step import attend_to_all, keeps_steps
from .attention_weights import attention_weights
from .builder import Builder
from .symbolic import SymbolicTensor
from .tensor import Tensor
from .views import expand

# (B, heads, T, S), or any leading dimensions
Scores = tuple[int, ...]


def attention(
    builder: Builder, q: Tensor, k: Tensor, v: Tensor, *, p: float = 0.0, shown: bool = False, **given: Any
) -> tuple[Tensor, Tensor | None]:
    """softmax(scale q kᵀ + mask) v of (B, T, heads, D), and its weights (B, heads, T, S) if `shown`.

    given: mask (B, heads, T, S), lengths (B,), scale and causal, as the op takes them. p: dropout of the probabilities.
    """
    if keeps_steps(builder, given.get("causal", False)):
        return attend_to_all(builder, q, k, v, given["scale"], shown)
    want = ["probabilities"] if shown or builder.training else []
    y = builder.emit(attention_forward, want=want, q=q, k=k, v=v, **given, **dropout(builder, p))
    if not shown:
        return y, None

    def give(dq: Tensor, dk: Tensor) -> None:
        builder.add_gradient(q, dq)
        builder.add_gradient(k, dk)

    probabilities = builder.output("probabilities")
    weights = attention_weights(builder, probabilities, q, k, given.get("mask"), given["scale"], p, give)
    return y, weights


def packed_attention(
    builder: Builder, qkv: Tensor, heads: int, *, p: float = 0.0, shown: bool = False, **given: Any
) -> tuple[Tensor, Tensor | None]:
    """The same, where q, k and v lie one behind the other in (B, T, 3 heads D), which nobody copies."""
    samples, steps, width = qkv.shape
    sizes = (samples, steps, 3, heads, width // 3 // heads)

    def parts(x: Tensor, prefix: str = "") -> dict[str, Tensor]:
        array = x.array.reshape(sizes)
        return {f"{prefix}{name}": builder.view(x, array[:, :, i]) for i, name in enumerate("qkv")}

    if keeps_steps(builder, given.get("causal", False)):
        return attend_to_all(builder, **parts(qkv), scale=given["scale"], shown=shown)
    fields: dict[str, Any] = parts(qkv) | given | dropout(builder, p)
    mask = given.get("mask")
    if shown or builder.training:
        fields["probabilities"] = builder.tensor((samples, heads, steps, steps))
    y = builder.run(attention_forward, **fields)
    y.requires_grad = qkv.requires_grad or (mask is not None and mask.requires_grad)

    def backward(dy: Tensor) -> None:
        dqkv = builder.tensor(qkv.shape)
        own = {name: value for name, value in fields.items() if name in attention_backward.parameters}
        if mask is not None and mask.requires_grad:
            own["dmask"] = builder.tensor(mask.shape)
            builder.add_gradient(mask, own["dmask"])
        builder.run(attention_backward, **own, dy=dy, **parts(dqkv, "d"))
        builder.add_gradient(qkv, dqkv)

    y = builder.record(y, backward)
    if not shown:
        return y, None

    def give(dq: Tensor, dk: Tensor) -> None:
        dqkv = builder.tensor(qkv.shape)
        builder.run(expression, y=dqkv, steps="y = copy 0.0")
        for name, gradient in (("q", dq), ("k", dk)):
            builder.run(expression, a=gradient, y=parts(dqkv)[name], steps="y = copy a")
        builder.add_gradient(qkv, dqkv)

    q, k = fields["q"], fields["k"]
    return y, attention_weights(builder, fields["probabilities"], q, k, mask, given["scale"], p, give)


def dropout(builder: Builder, p: float) -> dict[str, Any]:
    """What an attention needs for dropout of its probabilities; nothing where there is none."""
    if not builder.training or p == 0:
        return {}
    return {"p": p, "step": builder.step, "seed": builder.seed, "stream": builder.stream()}


def added(builder: Builder, name: str, mask: Any, leaves_out: bool) -> Tensor:
    """A mask as numbers that are added to the scores, -inf where a key takes no part.

    Args:
        mask: an array or a symbolic tensor. Booleans, and integers of a tensor, say what is left out, or what takes part;
            other numbers are added as they are.
        leaves_out: whether True leaves out.
    """
    zero, inf = np.zeros(1, builder.dtype), np.array([-np.inf], builder.dtype)
    if isinstance(mask, SymbolicTensor):
        if mask.dtype.kind == "f":
            return mask.tensor
        return elementwise(
            builder, "where", mask._number, *((-np.inf, 0.0) if leaves_out else (0.0, -np.inf))
        )
    array = np.asarray(mask)
    if array.dtype == bool:
        return Tensor(np.where(array, *((inf, zero) if leaves_out else (zero, inf))))
    if array.dtype.kind != "f":
        raise TypeError(f"{name} is {mask!r:.60}, expected an array of booleans or floats, or a tensor")
    return Tensor(np.ascontiguousarray(array, builder.dtype))


def scores_mask(builder: Builder, masks: dict[str, Tensor], shape: Scores) -> Tensor | None:
    """The sum of masks that can be broadcast to the scores (B, heads, T, S)."""
    total: Tensor | None = None
    for name, mask in masks.items():
        try:
            fits = np.broadcast_shapes(mask.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name} has the shape {mask.shape}, which does not fit the scores {shape}")
        total = mask if total is None else elementwise(builder, "add", total, mask)
    return None if total is None else expand(builder, total, shape)

"""The weights of an attention as an output of their own: what dropout left of the probabilities, and their gradient."""

from collections.abc import Callable

from ..ops import expression, matmul_forward, softmax_backward
from .builder import Builder
from .tensor import Tensor

# What takes the gradients of queries and keys (B, T, heads, D).
Give = Callable[[Tensor, Tensor], None]


def attention_weights(
    builder: Builder,
    probabilities: Tensor,
    q: Tensor,
    k: Tensor,
    mask: Tensor | None,
    scale: float,
    p: float,
    give: Give,
) -> Tensor:
    """The weights (B, heads, T, S) with which values were summed up."""
    dropped = builder.training and p > 0
    kept = 1 / (1 - p) if p < 1 else 0.0
    weights = Tensor(probabilities.array)
    if dropped:
        weights = builder.run(expression, a=probabilities, steps=f"t0 = relu a; y = mul t0 {kept!r}")
    weights.requires_grad = q.requires_grad or k.requires_grad or (mask is not None and mask.requires_grad)

    def backward(dy: Tensor) -> None:
        P = Tensor(probabilities.array)
        if dropped:
            steps = f"t0 = gt a 0.0; t1 = mul b {kept!r}; y = where t0 t1 0.0"
            dy = builder.run(expression, a=P, b=dy, steps=steps)
            P = builder.run(expression, a=P, steps="y = abs a")
        scores = builder.run(softmax_backward, y=P, dy=dy)
        if mask is not None and mask.requires_grad:
            builder.add_gradient(mask, scores)
        scaled = builder.run(expression, a=scores, steps=f"y = mul a {float(scale)!r}")
        turned = builder.view(scaled, scaled.array.swapaxes(-1, -2), whole=True)
        dq = builder.run(matmul_forward, a=scaled, b=_by_heads(builder, k))
        dk = builder.run(matmul_forward, a=turned, b=_by_heads(builder, q))
        give(_by_heads(builder, dq), _by_heads(builder, dk))

    return builder.record(weights, backward)


def _by_heads(builder: Builder, x: Tensor) -> Tensor:
    """Heads before steps, or behind them again: a view."""
    return builder.view(x, x.array.transpose(0, 2, 1, 3), whole=True)

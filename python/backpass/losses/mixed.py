"""The loss of a batch whose rows nn.MixUp has mixed: its targets and weights are mixed along."""

from typing import Any

import numpy as np

from ..contract import op, positive
from ..memory import aligned
from ..program import Builder, Tensor
from .base import Loss


@op(
    "loss_a[1]:float64 loss_b[1]:float64 count_a[1]:float64 count_b[1]:float64 share[1]:float64 dpred_a[*] dpred_b[*]"
    " -> loss[1]:float64 count[1]:float64 gradient[*]",
    samples={"share": positive},
)
def mixed_loss(loss_a, loss_b, count_a, count_b, share, dpred_a, dpred_b, loss, count, gradient):
    """loss = share loss_a + (1 - share) loss_b, and so its gradient and its count."""
    own, other = share[0], 1 - share[0]
    loss[0] = own * loss_a[0] + other * loss_b[0]
    count[0] = own * count_a[0] + other * count_b[0]
    np.add(dpred_a.dtype.type(own) * dpred_a, dpred_a.dtype.type(other) * dpred_b, out=gradient)


def emit_mixed(
    loss: Loss, builder: Builder, pred: Tensor, target: np.ndarray, weight: np.ndarray | None
) -> tuple[Tensor, Tensor]:
    """`loss.emit` for a batch that builder.mixing describes. Class indices cannot be mixed: the losses of both are."""
    assert builder.mixing is not None
    share, partner = builder.mixing

    def matrix(array: np.ndarray) -> np.ndarray:
        return array.reshape(len(partner), -1)

    def mixed(array: np.ndarray) -> np.ndarray:
        out = builder.emit("mixup_forward", x=matrix(array), share=share, partner=partner)
        return out.array.reshape(array.shape)

    def partners(array: np.ndarray) -> np.ndarray:
        name = "gather_labels" if array.dtype == np.int64 else "gather"
        out = builder.tensor(matrix(array).shape, array.dtype)
        builder.emit(name, source=matrix(array), index=partner, cursor=aligned((1,), np.int64), out=out)
        return out.array.reshape(array.shape)

    if target.dtype != np.int64:
        return loss.emit(builder, pred, mixed(target), None if weight is None else mixed(weight))
    fields: dict[str, Any] = {}
    for name, take in (("a", lambda array: array), ("b", partners)):
        alone = Tensor(pred.array, requires_grad=True)
        fields[f"loss_{name}"], fields[f"count_{name}"] = loss.emit(
            builder, alone, take(target), None if weight is None else take(weight)
        )
        fields[f"dpred_{name}"] = builder.gradient(alone)
    value = builder.emit("mixed_loss", share=share, **fields)
    builder.add_gradient(pred, builder.output("gradient"))
    return value, builder.output("count")

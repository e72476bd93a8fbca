"""The L2 penalty ½ α Σ W² / count as part of the loss: on chosen parameters, unlike an optimizer's weight_decay (Tikhonov)."""

from .contract import CHUNK, constant, op, positive


@op(
    "weight[N] dweight[N] count[1]:float64 -> dweight partials[P]:float64",
    samples={"count": positive, "alpha": [0.3]},
)
def l2_gradient(weight, dweight, count, partials, alpha: float):
    """dweight += α weight / count; partials[p] = Σ weight² over chunk p of 16384 elements, 0 beyond; count 0 stands for 1."""
    dweight += dweight.dtype.type(alpha / (count[0] or 1.0)) * weight
    for p in range(len(partials)):
        chunk = weight[p * CHUNK : (p + 1) * CHUNK]
        partials[p] = chunk @ chunk


@op(
    "partials[P]:float64 count[1]:float64 loss[1]:float64 -> loss",
    samples={"partials": positive, "count": constant(7), "alpha": [0.3], "share": [1.0, 0.5]},
)
def l2_loss(partials, count, loss, alpha: float, share: float = 1.0):
    """loss = share · loss + ½ α Σ partials / count; count 0 stands for 1."""
    loss[0] = share * loss[0] + 0.5 * alpha * partials.sum() / (count[0] or 1.0)

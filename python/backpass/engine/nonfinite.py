"""Where a number that is not finite came from, said in words."""

from typing import NoReturn

import numpy as np

from ..errors import NonFiniteError
from ..program import Plan, parts_of
from .engine import Engine

ADVICE = "Try a lower learning rate, clip_grad_norm=1.0, or normalised inputs (docs/guides/health.md)."


def raise_non_finite(engine: Engine, plan: Plan | None) -> NoReturn:
    """Say where the first value that is not finite arose in the step that the guard stopped."""
    check_weights(engine)
    step = int(engine.step_count[0])
    layer, quantity = first_non_finite(plan)
    if layer is None and not np.isfinite(engine.optimizer_state["norm"][0]):
        engine.fill_tables()
        layer, quantity = largest_gradient(engine)
    place = "" if layer is None else f"layer {layer} ({dict(engine.net.walk())[layer]!r}): "
    raise NonFiniteError(
        f"step {step}: {place}{quantity} is not finite. Training stopped; the weights are those of the last good step. {ADVICE}",
        step,
        layer or "",
    )


def check_weights(engine: Engine, tables: bool = True) -> None:
    """NonFiniteError where an update itself overflowed: gradients were finite, yet weights no longer are.

    The guard looks at the gradient, before the update: to keep the weights for this case, too, would cost a copy of them in
    every step. tables: those with sparse=True as well, which may be much larger than what an epoch trains.
    """
    if np.isfinite(engine.flat.params).all() if tables else all(map(_is_finite, engine.flat.dense())):
        return
    overflowed = [
        (f"{prefix}.{key}" if prefix else key, prefix)
        for prefix, layer in engine.net.walk()
        for key in layer.learned
        if not np.isfinite(layer.view(key)).all()
    ]
    if not overflowed:  # only the padding between parameters: 0/0 where eps is 0
        return
    step, layer = int(engine.step_count[0]), overflowed[0][1]
    raise NonFiniteError(
        f"step {step}: layer {layer} ({dict(engine.net.walk())[layer]!r}): {', '.join(name for name, _ in overflowed)} not"
        f" finite, though the gradients before were. An update overflowed (lr is {engine.lr:g}), or these weights were written"
        f" from outside: they are lost, so bp.load a checkpoint. {ADVICE}",
        step,
        layer,
    )


def _is_finite(part: np.ndarray) -> bool:
    return bool(np.isfinite(part).all())


def largest_gradient(engine: Engine) -> tuple[str, str]:
    """The layer to blame where every number is finite and the norm of all gradients together is not."""
    largest = {
        prefix: max(float(np.abs(layer.view(key, gradient=True)).max(initial=0)) for key in layer.learned)
        for prefix, layer in engine.net.walk()
        if layer.learned
    }
    layer = max(largest, key=lambda prefix: largest[prefix])
    return layer, f"its gradient reaches {largest[layer]:.3g}, and the norm of the gradient"


def first_non_finite(plan: Plan | None) -> tuple[str | None, str]:
    """The layer and the buffer in which a stopped step first shows a NaN or an infinity; None where no layer is to blame."""
    if plan is None:
        return None, "the loss or the gradient"
    for part_of_step in ("forward", "loss_part", "backward"):
        for instruction in plan.parts.get(part_of_step, ()):
            for name in instruction.op.arrays:
                value = instruction.fields[name]
                if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                    buffer = f"{name} of {instruction.op.name}"
                    if part_of_step == "loss_part" and plan.forward:
                        overflow = f"its output reaches {max(np.abs(out).max() for out in parts_of(plan.out)):.3g}, and {buffer}"
                        return plan.forward[-1].layer, overflow
                    return instruction.layer, buffer
    return None, "the loss or the norm of the gradient"

"""Warnings of what is legal and usually a mistake."""

import numpy as np

from ..errors import warn
from ..losses import Loss
from ..nn import Module
from ..optim.schedules import Schedule
from ..program import Rows, Several, address
from ..program.plan import BackwardPlan
from .weights import learned

# Targets of this size and more are hardly ever learned as they are.
LARGE_TARGETS = 1e5


def of_network(net: Module, loss: Loss | None) -> None:
    """A network whose last layer does what its loss does once more."""
    if loss is None or net.has_forward:
        return
    last_layer = next(
        (layer for _, layer in reversed([*net.walk()]) if next(layer.named_children(), None) is None), net
    )
    if loss.wants == "logits" and last_layer.gives == "probabilities":
        warn(
            f"loss {type(loss).__name__} takes the output before {last_layer!r}, which the network ends with:"
            " leave that layer out; model.predict_proba(X) gives probabilities"
        )
    if loss.wants == "log probabilities" and last_layer.gives in ("logits", "probabilities"):
        warn(
            f"loss {type(loss).__name__} takes log probabilities, but the network ends with {last_layer!r}: add nn.LogSoftmax()"
        )


def of_schedule(schedule: Schedule | None, step: int) -> None:
    """A schedule that has come to its end at 0, for an optimizer that has made so many steps."""
    if schedule is not None and schedule(step) == schedule(step + 1) == 0:
        warn(
            f"{schedule!r} gives a learning rate of 0 after the {step} steps that the optimizer has made: nothing will be"
            " learned. Another optimizer begins another schedule: assign model.optimizer"
        )


def of_targets(target: Rows, loss: Loss | None) -> None:
    """Numbers to predict that are far from 1."""
    if (
        isinstance(target, Several)
        or loss is None
        or target.dtype.kind != "f"
        or not loss.in_units_of_y
        or not target.size
    ):
        return
    largest = float(np.abs(target).max())
    if largest >= LARGE_TARGETS:
        warn(
            f"y reaches {largest:.3g}; a network learns targets of size 1 best: train on (y - y.mean()) / y.std(), and undo that"
            " in predictions"
        )


def unused_parameters(net: Module, plan: BackwardPlan) -> None:
    """Parameters that no gradient reaches, because `forward` does not use them."""
    names = [
        name
        for name, module, key in learned(net)
        if module.learned[key].requires_grad and address(module.gradient_of(key)) not in plan.reached
    ]
    if names:
        warn(
            f"no gradient reaches {', '.join(names)}: forward does not use {'it' if len(names) == 1 else 'them'} for its output"
        )

"""Optimizer of a network estimator, from its parameters."""

from copy import deepcopy
from typing import Any

from ... import optim

# Parameters that are settings of an optimizer object.
OF_THE_OBJECT = ("lr_schedule", "weight_decay", "clip_grad_norm")


def make_optimizer(estimator: Any) -> optim.Optimizer:
    """Optimizer that `solver` names, or a copy of the one that it is."""
    solver = estimator.solver
    settings = {name: value for name in OF_THE_OBJECT if (value := getattr(estimator, name)) is not None}
    if isinstance(solver, optim.Optimizer):
        for name, value in settings.items():
            raise ValueError(
                f"{name} is {value!r:.80}, but solver is an object: expected it among the arguments of {type(solver).__name__}"
            )
        return deepcopy(solver)
    lr = settings.pop("lr_schedule", float(estimator.learning_rate_init))
    if solver == "sgd":
        settings |= {"momentum": 0.9, "nesterov": True}
    make: Any = optim.NAMES[solver]
    optimizer: optim.Optimizer = make(lr, **settings)
    return optimizer

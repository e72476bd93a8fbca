"""Live parity with PyTorch: optimizers, gradient clipping, learning rate schedules."""

from typing import Any

import pytest

from golden.cases import CLASSES, Case, deep, mlp, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import check_trajectory, runs

pytestmark = pytest.mark.torch


def optimizer(name: str, **hyper: Any) -> Case:
    return Case(mlp, mse, name, hyper)


OPTIMIZERS = {
    "sgd": optimizer("SGD", lr=0.2),
    "sgd default": optimizer("SGD"),
    "sgd momentum": optimizer("SGD", lr=0.05, momentum=0.9),
    "sgd dampening": optimizer("SGD", lr=0.1, momentum=0.9, dampening=0.3),
    "sgd nesterov": optimizer("SGD", lr=0.05, momentum=0.9, nesterov=True),
    "sgd weight decay": optimizer("SGD", lr=0.2, weight_decay=0.1),
    "sgd all": optimizer("SGD", lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.05),
    "sgd dampening, weight decay": optimizer("SGD", lr=0.05, momentum=0.8, dampening=0.5, weight_decay=0.05),
    "adam default": optimizer("Adam"),
    "adam": optimizer("Adam", lr=0.01, betas=(0.8, 0.99), eps=1e-6),
    "adam amsgrad": optimizer("Adam", lr=0.01, betas=(0.8, 0.9), amsgrad=True),
    "adam weight decay": optimizer("Adam", lr=0.01, weight_decay=0.1),
    "adam all": optimizer("Adam", lr=0.01, betas=(0.8, 0.9), weight_decay=0.1, amsgrad=True),
    "adamw default": optimizer("AdamW"),
    "adamw": optimizer("AdamW", lr=0.01, weight_decay=0.5),
    "adamw amsgrad": optimizer("AdamW", lr=0.01, betas=(0.8, 0.9), weight_decay=0.1, amsgrad=True),
    "rmsprop default": optimizer("RMSprop"),
    "rmsprop": optimizer("RMSprop", lr=0.002, alpha=0.9, eps=1e-3),
    "rmsprop momentum": optimizer("RMSprop", lr=0.002, momentum=0.8),
    "rmsprop centered": optimizer("RMSprop", lr=0.002, alpha=0.9, eps=1e-4, centered=True),
    "rmsprop weight decay": optimizer("RMSprop", lr=0.002, weight_decay=0.1),
    "rmsprop all": optimizer(
        "RMSprop", lr=0.001, alpha=0.9, eps=1e-4, weight_decay=0.05, momentum=0.7, centered=True
    ),
    "adagrad default": optimizer("Adagrad"),
    "adagrad lr_decay": optimizer("Adagrad", lr=0.1, lr_decay=0.05),
    "adagrad initial_accumulator_value": optimizer("Adagrad", lr=0.1, initial_accumulator_value=0.1),
    "adagrad all": optimizer(
        "Adagrad", lr=0.1, lr_decay=0.01, weight_decay=0.05, initial_accumulator_value=0.02, eps=1e-3
    ),
    "adadelta default": optimizer("Adadelta"),
    "adadelta": optimizer("Adadelta", lr=2.0, rho=0.8, eps=1e-4, weight_decay=0.02),
    "nadam default": optimizer("NAdam"),
    "nadam": optimizer("NAdam", lr=0.01, betas=(0.8, 0.99), eps=1e-6, momentum_decay=0.05),
    "nadam weight decay": optimizer("NAdam", lr=0.01, weight_decay=0.1),
    "nadam decoupled": optimizer("NAdam", lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "lion default": optimizer("Lion"),
    "lion": optimizer("Lion", lr=0.002, betas=(0.8, 0.95), weight_decay=0.1),
}


def clipping(name: str, hyper: dict[str, Any], **clip: float) -> Case:
    """SGD shows a wrong factor on the gradient; Adam and its kin do not care for one, but for the order of decay and clipping."""
    return Case(deep, **CLASSES, optimizer=name, hyper=hyper, clip=clip)


CLIPPING = {
    "norm, always": clipping("SGD", {"lr": 0.3, "momentum": 0.9}, clip_grad_norm=0.05),
    "norm, at times": clipping("SGD", {"lr": 0.1}, clip_grad_norm=0.8),
    "norm, never": clipping("SGD", {"lr": 0.1}, clip_grad_norm=100.0),
    "norm, adam": clipping("Adam", {"lr": 0.01, "weight_decay": 0.1}, clip_grad_norm=0.5),
    "norm, adagrad": clipping("Adagrad", {"lr": 0.05, "eps": 1e-3}, clip_grad_norm=0.5),
    "norm, adadelta": clipping("Adadelta", {}, clip_grad_norm=0.5),
    "value": clipping("SGD", {"lr": 0.1, "momentum": 0.5}, clip_grad_value=0.02),
    "value, adamw": clipping("AdamW", {"lr": 0.01}, clip_grad_value=0.02),
    "value, nadam": clipping("NAdam", {"lr": 0.01}, clip_grad_value=0.02),
    "value, rmsprop": clipping("RMSprop", {"lr": 0.002, "eps": 1e-4}, clip_grad_value=0.02),
    "value, lion": Case(mlp, mse, "Lion", {"lr": 0.002}, {"clip_grad_value": 0.02}),
    "both": clipping("SGD", {"lr": 0.3, "weight_decay": 0.1}, clip_grad_norm=0.5, clip_grad_value=0.05),
}


def schedule(name: str, by: str = "SGD", **arguments: Any) -> Case:
    return Case(mlp, mse, by, {"momentum": 0.9} if by == "SGD" else {}, schedule=(name, arguments))


SCHEDULES = {
    "step": schedule("step", lr=0.1, every=7, factor=0.7),
    "exponential": schedule("exponential", lr=0.1, every=1, factor=0.97),
    "exponential, every 10": schedule("exponential", lr=0.1, every=10, factor=0.5),
    "cosine": schedule("cosine", lr=0.1, total_steps=100),
    "cosine, end": schedule("cosine", "AdamW", lr=0.02, total_steps=130, end=0.005),
    "one_cycle": schedule("one_cycle", lr=0.2, total_steps=100),
    "one_cycle, nadam": schedule("one_cycle", "NAdam", lr=0.02, total_steps=137),
    "warmup_cosine": schedule("warmup_cosine", lr=0.1, warmup_steps=10, total_steps=80, end=0.01),
    "warmup_cosine, none": schedule("warmup_cosine", "Adam", lr=0.02, warmup_steps=0, total_steps=100),
    "piecewise": schedule("piecewise", lr=0.1, factors={10: 0.5, 40: 0.1, 70: 8.0}),
    "piecewise, from the first": schedule("piecewise", "Adagrad", lr=0.1, factors={0: 0.5, 1: 0.9}),
}


CASES = (
    {f"optimizer: {name}": case for name, case in OPTIMIZERS.items()}
    | {f"clip: {name}": case for name, case in CLIPPING.items()}
    | {f"schedule: {name}": case for name, case in SCHEDULES.items()}
)
CORE = [  # what a backend brings of its own; the op-by-op parity with NumPy is test_parity's
    *(f"optimizer: {name}" for name in OPTIMIZERS if name.endswith("all")),
    *(f"optimizer: {name}" for name in ("adamw amsgrad", "adadelta", "nadam decoupled", "lion")),
    *(f"clip: {name}" for name in ("norm, at times", "both")),
    *(f"schedule: {name}" for name in ("step", "exponential", "one_cycle", "warmup_cosine", "piecewise")),
]


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)

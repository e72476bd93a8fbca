"""Live parity with PyTorch: losses."""

from typing import Any

import pytest

from golden.cases import Case, cross_entropy, mlp, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import Builder, check_trajectory, runs, to_probability

pytestmark = pytest.mark.torch


def loss(
    make: Builder,
    target: str = "real",
    net: Builder = mlp,
    target_shape: tuple[int, ...] = (4,),
    lr: float = 0.1,
    **more: Any,
) -> Case:
    return Case(
        net, make, "SGD", {"lr": lr, "momentum": 0.5}, target=target, target_shape=target_shape, **more
    )


def to_positive(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4), nn.Softplus())


def to_mean_and_variance(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 8), nn.Softplus())


WEIGHT = [0.5, 2.0, 1.0, 0.25]
CASES = {
    "cross entropy": loss(cross_entropy, "classes", target_shape=()),
    "cross entropy, smoothing": loss(
        lambda nn: nn.CrossEntropyLoss(label_smoothing=0.2), "classes", target_shape=()
    ),
    "cross entropy, weight": loss(lambda nn: nn.CrossEntropyLoss(weight=WEIGHT), "classes", target_shape=()),
    "cross entropy, ignore": loss(cross_entropy, "ignored", target_shape=()),
    "cross entropy, ignore 1": loss(
        lambda nn: nn.CrossEntropyLoss(ignore_index=1), "classes", target_shape=()
    ),
    "cross entropy, sum": loss(
        lambda nn: nn.CrossEntropyLoss(reduction="sum"),
        "classes",
        target_shape=(),
        clip={"clip_grad_norm": 1.0},
    ),
    "cross entropy, all": loss(
        lambda nn: nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1), "ignored", target_shape=()
    ),
    "cross entropy, all, sum": loss(
        lambda nn: nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1, reduction="sum"),
        "ignored",
        target_shape=(),
        clip={"clip_grad_norm": 1.0},
    ),
    "cross entropy, sequence": loss(
        lambda nn: nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1),
        "ignored",
        target_shape=(3,),
        shape=(3, 6),
    ),
    "cross entropy, probabilities": loss(cross_entropy, "probabilities"),
    "cross entropy, probabilities, all": loss(
        lambda nn: nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2), "probabilities"
    ),
    "cross entropy, probabilities, sum": loss(
        lambda nn: nn.CrossEntropyLoss(reduction="sum"), "probabilities", lr=0.01
    ),
    "nll": loss(lambda nn: nn.NLLLoss(), "classes", to_probability("LogSoftmax"), ()),
    "nll, weight": loss(lambda nn: nn.NLLLoss(weight=WEIGHT), "ignored", to_probability("LogSoftmax"), ()),
    "nll, sum": loss(
        lambda nn: nn.NLLLoss(weight=WEIGHT, ignore_index=1, reduction="sum"),
        "classes",
        to_probability("LogSoftmax"),
        (),
        clip={"clip_grad_norm": 1.0},
    ),
    "mse": loss(mse),
    "mse, sum": loss(lambda nn: nn.MSELoss(reduction="sum"), clip={"clip_grad_norm": 1.0}),
    "mse, half": loss(lambda nn: nn.MSELoss(reduction="half")),
    "l1": loss(lambda nn: nn.L1Loss()),
    "l1, sum": loss(lambda nn: nn.L1Loss(reduction="sum"), clip={"clip_grad_norm": 1.0}),
    "huber": loss(lambda nn: nn.HuberLoss()),
    "huber, delta": loss(lambda nn: nn.HuberLoss(delta=0.3)),
    "huber, sum": loss(lambda nn: nn.HuberLoss(delta=0.3, reduction="sum"), clip={"clip_grad_norm": 1.0}),
    "smooth l1": loss(lambda nn: nn.SmoothL1Loss()),
    "smooth l1, beta": loss(lambda nn: nn.SmoothL1Loss(beta=0.3)),
    "smooth l1, beta 0": loss(lambda nn: nn.SmoothL1Loss(beta=0.0)),
    "smooth l1, sum": loss(
        lambda nn: nn.SmoothL1Loss(beta=0.3, reduction="sum"), clip={"clip_grad_norm": 1.0}
    ),
    "bce": loss(lambda nn: nn.BCEWithLogitsLoss(), "binary"),
    "bce, pos_weight": loss(lambda nn: nn.BCEWithLogitsLoss(pos_weight=3.0), "share"),
    "bce, sum": loss(
        lambda nn: nn.BCEWithLogitsLoss(pos_weight=0.5, reduction="sum"),
        "binary",
        clip={"clip_grad_norm": 1.0},
    ),
    "focal": loss(lambda nn: nn.FocalLoss(), "binary"),
    "focal, gamma, sum": loss(
        lambda nn: nn.FocalLoss(gamma=0.5, reduction="sum"), "share", clip={"clip_grad_norm": 1.0}
    ),
    "poisson": loss(lambda nn: nn.PoissonNLLLoss(), "count"),
    "poisson, rate": loss(lambda nn: nn.PoissonNLLLoss(log_input=False), "count", to_positive),
    "poisson, rate, sum": loss(
        lambda nn: nn.PoissonNLLLoss(log_input=False, eps=1e-3, reduction="sum"),
        "count",
        to_positive,
        clip={"clip_grad_norm": 1.0},
    ),
    "gaussian": loss(
        lambda nn: nn.GaussianNLLLoss(), net=to_mean_and_variance, lr=0.02
    ),  # its loss stays above 0
    "gaussian, clamped": loss(
        lambda nn: nn.GaussianNLLLoss(eps=0.6, reduction="sum"),
        net=to_mean_and_variance,
        clip={"clip_grad_norm": 1.0},
    ),
    "quantile": loss(lambda nn: nn.QuantileLoss()),
    "quantile 0.9": loss(lambda nn: nn.QuantileLoss(quantile=0.9)),
    "quantile, sum": loss(
        lambda nn: nn.QuantileLoss(quantile=0.2, reduction="sum"), clip={"clip_grad_norm": 1.0}
    ),
    "hinge": loss(lambda nn: nn.HingeLoss(), "sign"),
    "hinge, margin": loss(
        lambda nn: nn.HingeLoss(margin=0.4, reduction="sum"), "sign", clip={"clip_grad_norm": 1.0}
    ),
}
CORE = [  # what a backend brings of its own; the op-by-op parity with NumPy is test_parity's
    *("cross entropy, all", "cross entropy, sequence", "nll, weight", "mse, half"),
    *("huber, sum", "bce, pos_weight", "poisson, rate", "gaussian", "quantile 0.9"),
]


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)

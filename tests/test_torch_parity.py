"""Live parity: the same networks, weights and batches in backpass and in PyTorch, 100 steps long.

float64 agrees to 1e-10 in the losses and 1e-8 in the weights, float32 to 1e-4 in the losses. All cases run on
NumPy and on the native backend's own instruction set in both dtypes, the CORE of them on every backend in float64.
Without PyTorch the module is skipped.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass.backends import Backend
from conftest import BACKENDS
from golden.cases import (
    CLASSES,
    GOLDEN,
    TRAJECTORIES,
    Case,
    batches,
    cross_entropy,
    deep,
    mlp,
    model_of,
    mse,
    rows,
)

torch_peer = pytest.importorskip(
    "torch_peer", reason="PyTorch is not installed: live parity is skipped (pip install torch==2.13.0)"
)

pytestmark = pytest.mark.torch
LOSS = {"float64": 1e-10, "float32": 1e-4}
WEIGHTS = 1e-8  # float64
Builder = Callable[[Any], Any]


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


def to_probability(layer: str) -> Builder:
    return lambda nn: nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4), getattr(nn, layer)(dim=-1))


def to_positive(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4), nn.Softplus())


def to_mean_and_variance(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 8), nn.Softplus())


WEIGHT = [0.5, 2.0, 1.0, 0.25]
LOSSES = {
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


def activation(name: str, **arguments: Any) -> dict[str, Case]:
    """An activation fused after Linear, and one that nothing can fuse with: on the data, after Add, and twice in a row."""

    def fused(nn: Any) -> Any:
        act = lambda: getattr(nn, name)(**arguments)  # noqa: E731
        return nn.Sequential(nn.Linear(6, 12), act(), nn.Linear(12, 12), act(), nn.Linear(12, 4))

    def alone(nn: Any) -> Any:
        act = lambda: getattr(nn, name)(**arguments)  # noqa: E731
        return nn.Sequential(
            act(), nn.Residual(nn.Linear(6, 6)), act(), act(), nn.Linear(6, 4), nn.LayerNorm(4), act()
        )

    label = ", ".join([name, *(f"{key} {value}" for key, value in arguments.items())])
    kind = {"loss": mse, "optimizer": "SGD", "hyper": {"lr": 0.1, "momentum": 0.5}}
    return {f"{label}, fused": Case(fused, **kind), f"{label}, alone": Case(alone, **kind)}


ACTIVATIONS = (
    activation("ReLU")
    | activation("Tanh")
    | activation("Sigmoid")
    | activation("GELU")
    | activation("GELU", approximate="tanh")
    | activation("SiLU")
    | activation("LeakyReLU")
    | activation("LeakyReLU", negative_slope=0.3)
    | activation("ELU")
    | activation("ELU", alpha=0.4)
    | activation("Softplus")
    | activation("Softplus", beta=20.0)  # beyond its threshold in places
    | activation("Identity")
)


def network(net: Builder, *shape: int, lr: float = 0.1, **more: Any) -> Case:
    return Case(net, mse, "SGD", {"lr": lr, "momentum": 0.8}, shape=shape or (6,), **more)


def batch_norm(*shape: int, **arguments: Any) -> Case:
    """BatchNorm1d between linear layers, or first of all on data with a length."""
    if shape:
        return network(
            lambda nn: nn.Sequential(
                nn.BatchNorm1d(shape[0], **arguments),
                nn.Flatten(),
                nn.Tanh(),
                nn.Linear(shape[0] * shape[1], 4),
            ),
            *shape,
        )
    return network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8, bias=False),
            nn.BatchNorm1d(8, **arguments),
            nn.Tanh(),
            nn.Linear(8, 4),
            nn.BatchNorm1d(4, **arguments),
        ),
        lr=0.01,  # at 0.1 it is chaotic: both libraries stray from themselves
    )


def layer_norm(size: Any, *shape: int, **arguments: Any) -> Case:
    width = int(np.prod(shape))
    return network(
        lambda nn: nn.Sequential(
            nn.LayerNorm(size, **arguments),
            nn.Flatten(),
            nn.Linear(width, 8),
            nn.LayerNorm(8),
            nn.Linear(8, 4),
        ),
        *shape,
        lr=0.01,
    )


def shared(nn: Any) -> Any:
    """One layer twice: its gradients add up, and it has one set of weights under two keys."""
    twice = nn.Linear(6, 6)
    return nn.Sequential(twice, nn.Tanh(), twice, nn.LayerNorm(6), nn.Linear(6, 4))


NETWORKS = {
    "batch norm": batch_norm(),
    "batch norm, momentum None": batch_norm(momentum=None),
    "batch norm, momentum 0.4, eps": batch_norm(momentum=0.4, eps=1e-2),
    "batch norm, not affine": batch_norm(affine=False),
    "batch norm, length": batch_norm(3, 5),
    "batch norm, length 1": batch_norm(3, 1),
    "batch norm, length, momentum None": batch_norm(3, 5, momentum=None),
    "batch norm, length, not affine": batch_norm(3, 5, affine=False),
    "layer norm": layer_norm(6, 6),
    "layer norm, eps": layer_norm(6, 6, eps=0.1),
    "layer norm, length": layer_norm(5, 3, 5),
    "layer norm, tuple": layer_norm((3, 5), 3, 5),
    "layer norm, tuple of the last": layer_norm((2, 5), 3, 2, 5),
    "layer norm, not affine": layer_norm((3, 5), 3, 5, elementwise_affine=False),
    "layer norm, no bias": layer_norm((3, 5), 3, 5, bias=False),
    "softmax, last": network(to_probability("Softmax")),
    "softmax, inside": network(
        lambda nn: nn.Sequential(nn.Linear(6, 8), nn.Softmax(dim=-1), nn.Linear(8, 4))
    ),
    "log softmax, inside": network(
        lambda nn: nn.Sequential(nn.Linear(6, 8), nn.LogSoftmax(dim=-1), nn.Linear(8, 4))
    ),
    "softmax, sequence": network(
        lambda nn: nn.Sequential(nn.Linear(6, 8), nn.Softmax(dim=-1), nn.Flatten(), nn.Linear(24, 4)), 3, 6
    ),
    "flatten first": network(
        lambda nn: nn.Sequential(nn.Flatten(), nn.Linear(24, 9), nn.ReLU(), nn.Linear(9, 4)), 2, 3, 4
    ),
    "flatten between": network(
        lambda nn: nn.Sequential(nn.Linear(4, 5), nn.Flatten(), nn.GELU(), nn.Linear(30, 4)), 2, 3, 4
    ),
    "no hidden layer": network(lambda nn: nn.Linear(6, 4)),
    "no bias": network(
        lambda nn: nn.Sequential(nn.Linear(6, 9, bias=False), nn.ELU(), nn.Linear(9, 4, bias=False))
    ),
    "sequence": network(
        lambda nn: nn.Sequential(nn.Linear(6, 9), nn.SiLU(), nn.Linear(9, 4)), 3, 6, target_shape=(3, 4)
    ),
    "wide": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 131), nn.Tanh(), nn.Linear(131, 67), nn.Tanh(), nn.Linear(67, 4)
        )
    ),
    "residual": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8),
            nn.Tanh(),
            nn.Residual(nn.Sequential(nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 8))),
            nn.Linear(8, 4),
        )
    ),
    "residual, first": network(lambda nn: nn.Sequential(nn.Residual(nn.Linear(6, 6)), nn.Linear(6, 4))),
    "residual, last": network(
        lambda nn: nn.Sequential(nn.Linear(6, 4), nn.Residual(nn.Sequential(nn.Linear(4, 4), nn.Tanh())))
    ),
    "residual, activation reads what the skip reads": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8), nn.Residual(nn.Sequential(nn.SiLU(), nn.Linear(8, 8))), nn.Linear(8, 4)
        )
    ),
    "residual, of an activation": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8), nn.Residual(nn.Tanh()), nn.Residual(nn.Sequential(nn.ReLU())), nn.Linear(8, 4)
        )
    ),
    "residual, nested": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8),
            nn.Residual(
                nn.Sequential(
                    nn.LayerNorm(8),
                    nn.Residual(nn.Sequential(nn.Linear(8, 8), nn.Sigmoid())),
                    nn.Linear(8, 8),
                )
            ),
            nn.Linear(8, 4),
        )
    ),
    "residual, normalised": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8),
            nn.Residual(
                nn.Sequential(
                    nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU()
                )
            ),
            nn.Linear(8, 4),
        )
    ),
    "a layer twice": network(shared),
    "a layer twice, norm": network(shared, clip={"clip_grad_norm": 0.2}),
    "a little of everything": network(deep),
}
CATEGORIES = {
    "optimizer": OPTIMIZERS,
    "clip": CLIPPING,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "activation": ACTIVATIONS,
    "network": NETWORKS,
}
CASES = {
    f"{category}: {name}": case for category, cases in CATEGORIES.items() for name, case in cases.items()
}
CORE = [  # one of everything that a backend brings of its own; the op-by-op parity with NumPy is test_parity's
    *(f"optimizer: {name}" for name in OPTIMIZERS if name.endswith("all")),
    *(f"optimizer: {name}" for name in ("adamw amsgrad", "adadelta", "nadam decoupled", "lion")),
    *(f"clip: {name}" for name in ("norm, at times", "both")),
    *(f"schedule: {name}" for name in ("step", "exponential", "one_cycle", "warmup_cosine", "piecewise")),
    *(
        f"loss: {name}"
        for name in ("cross entropy, all", "cross entropy, sequence", "nll, weight", "mse, half")
    ),
    *(
        f"loss: {name}"
        for name in ("huber, sum", "bce, pos_weight", "poisson, rate", "gaussian", "quantile 0.9")
    ),
    *(f"activation: {name}" for name in ("GELU, fused", "SiLU, alone", "ELU, alpha 0.4, fused")),
    *(
        f"network: {name}"
        for name in ("batch norm", "batch norm, length, momentum None", "layer norm, tuple")
    ),
    *(f"network: {name}" for name in ("softmax, inside", "flatten between", "wide", "residual, nested")),
    *(f"network: {name}" for name in ("a layer twice, norm", "a little of everything")),
]


@cache
def peer(name: str, dtype: str) -> Any:
    """PyTorch's run of a case: once, for all backends."""
    return torch_peer.train(
        CASES[name], model_of(CASES[name], bp.get_backend("numpy"), dtype).state_dict(), dtype
    )


def deviation(got: Any, want: Any) -> float:
    """The largest difference, as a share of the largest value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    return float(np.abs(got - want).max(initial=0) / max(np.abs(want).max(initial=0), 1e-12))


def relative(got: Any, want: Any) -> float:
    """The largest relative difference of two series, value by value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    return float((np.abs(got - want) / np.maximum(np.abs(want), 1e-30)).max())


def check(name: str, backend: Backend, dtype: str, record: Callable[[str, float], None]) -> None:
    case, want = CASES[name], peer(name, dtype)
    model = model_of(case, backend, dtype)
    losses, rates = [], []
    for x, y in batches(case, dtype):
        losses.append(model.step(x, y))
        rates.append(model.lr)
    worst = relative(losses, want.losses)
    record("loss", worst)
    assert worst <= LOSS[dtype], f"losses differ by {worst:.2g}: {losses[-3:]}, PyTorch's {want.losses[-3:]}"
    assert relative(rates, want.rates) <= 1e-12, f"rates {rates[:5]}..., PyTorch's {want.rates[:5]}..."
    if dtype == "float64":
        check_trained(case, model, want, record)


def check_trained(case: Case, model: bp.Model, want: Any, record: Callable[[str, float], None]) -> None:
    """The trained weights and running statistics, what they give for inference, and their way from PyTorch and to it."""
    theirs = {key: value.numpy() for key, value in want.net.state_dict().items()}
    ours = model.state_dict()
    assert list(ours) == list(theirs)
    for key, value in ours.items():
        assert value.dtype == theirs[key].dtype
        record("weights", deviation(value, theirs[key]))
        assert deviation(value, theirs[key]) <= WEIGHTS, f"{key}: {value}, PyTorch's {theirs[key]}"
    x, y = rows(case, "float64")
    record("predictions", deviation(model.predict(x), want.predictions))
    assert deviation(model.predict(x), want.predictions) <= WEIGHTS
    assert abs(model.evaluate(x, y)["loss"] / want.evaluation - 1) <= WEIGHTS
    there = torch_peer.net_of(case, ours, "float64").eval()
    assert deviation(model.predict(x), there(torch_peer.tensor(x)).detach().numpy()) <= 1e-13
    back = model_of(case, model.backend, "float64")
    back.load_state_dict(want.net.state_dict())
    for key, value in back.state_dict().items():
        assert np.array_equal(value, theirs[key]), key
    assert deviation(back.predict(x), want.predictions) <= 1e-13


def runs() -> list[tuple[str, str, str]]:
    """Which case runs on which backend in which dtype."""
    native = [f"native-{bp.get_backend('native').isa}"] if "native" in bp.available_backends() else []
    full = [(name, backend, dtype) for name in CASES for backend in [*native, "numpy"] for dtype in LOSS]
    core = [(name, backend, "float64") for name in CORE for backend in BACKENDS]
    return list(dict.fromkeys(full + core))


@pytest.mark.parametrize(("name", "on", "dtype"), runs())
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check(name, BACKENDS[on], dtype, record_property)


def peer_of(case: Case, model: bp.Model) -> tuple[Any, Any, Any]:
    """The same network, loss and optimizer in PyTorch, for a run that is not `train`."""
    net = torch_peer.net_of(case, model.state_dict(), "float64")
    return net, case.loss(torch_peer.nn).double(), torch_peer.optimizer_of(case, net)[0]


def test_own_loss(backend: Backend) -> None:
    """forward, backward and update around a loss that the model does not know; every gradient against autograd's."""
    case = Case(deep, mse, "AdamW", {"lr": 0.01}, {"clip_grad_norm": 0.3}, steps=20)
    model = model_of(case, backend, "float64")
    net, _, optimizer = peer_of(case, model)
    for x, y in batches(case, "float64"):
        out = model.forward(x, training=True)
        dx = model.backward(4 * (out - y) ** 3)
        there = torch_peer.tensor(x).requires_grad_()
        optimizer.zero_grad()
        pred = net(there)
        ((pred - torch_peer.tensor(y)) ** 4).sum().backward()
        assert deviation(out, pred.detach().numpy()) <= LOSS["float64"]
        assert deviation(dx, there.grad.numpy()) <= LOSS["float64"]
        for (name, parameter), ours in zip(net.named_parameters(), model.gradients(), strict=True):
            assert deviation(ours, parameter.grad.numpy()) <= LOSS["float64"], name
        model.update()
        torch_peer.clip(case, net)
        optimizer.step()
    for ours, parameter in zip(model.parameters(), net.parameters(), strict=True):
        assert deviation(ours, parameter.detach().numpy()) <= WEIGHTS


EPOCHS, ROWS = 7, 16
FITS: dict[str, tuple[Case, dict[str, Any]]] = {
    "cross entropy": (Case(mlp, **CLASSES, hyper={"lr": 0.1, "momentum": 0.9}), {}),
    "cross entropy, sample_weight": (
        Case(mlp, **CLASSES, hyper={"lr": 0.1}),
        {"sample_weight": np.linspace(0, 2, 42)},
    ),
    "cross entropy, class_weight": (
        Case(
            mlp,
            lambda nn: nn.CrossEntropyLoss(ignore_index=2),
            hyper={"lr": 0.1},
            target="classes",
            target_shape=(),
        ),
        {"class_weight": {0: 0.5, 3: 4.0}},
    ),
    "huber, sample_weight": (
        Case(mlp, lambda nn: nn.HuberLoss(delta=0.4), "Adam", {"lr": 0.02}),
        {"sample_weight": np.linspace(3, 0.1, 42)},
    ),
    "batch norm": (Case(deep, **CLASSES, optimizer="RMSprop", hyper={"lr": 0.002, "eps": 1e-4}), {}),
}


@pytest.mark.parametrize("name", FITS)
def test_fit(name: str, backend: Backend) -> None:
    """The loop of `fit`, a short last batch and weighted rows included: a weighted mean, as PyTorch's without reduction."""
    case, given = FITS[name]
    model = model_of(case, backend, "float64")
    net, loss, optimizer = peer_of(case, model)
    loss.reduction = "none"
    x, y = rows(case, "float64")
    history = model.fit(
        x, y, epochs=EPOCHS, batch_size=ROWS, shuffle=False, validation_data=(x, y), **given
    ).history
    weight = np.asarray(given.get("sample_weight", np.ones(len(x))))
    if case.target == "classes":
        weight = weight * [given.get("class_weight", {}).get(int(c), 1.0) for c in y]
        weight = weight * (y != loss.ignore_index)
    means, validation = [], []
    for _ in range(EPOCHS):
        net.train()
        total = 0.0
        for at in range(0, len(x), ROWS):
            part = slice(at, at + ROWS)
            w = torch_peer.tensor(weight[part])
            optimizer.zero_grad()
            each = (
                loss(net(torch_peer.tensor(x[part])), torch_peer.tensor(y[part])).reshape(len(w), -1).mean(1)
            )
            value = (each * w).sum() / w.sum()
            value.backward()
            optimizer.step()
            total += value.item() * w.sum().item()
        means.append(total / weight.sum())
        net.eval()
        each = (
            loss(net(torch_peer.tensor(x)), torch_peer.tensor(y)).reshape(len(x), -1).mean(1).detach().numpy()
        )
        validation.append(
            each.sum() / (y != getattr(loss, "ignore_index", None)).reshape(len(x), -1).all(1).sum()
        )
    assert relative(history["loss"], means) <= LOSS["float64"]
    assert relative(history["val_loss"], validation) <= LOSS["float64"]
    for ours, parameter in zip(model.parameters(), net.parameters(), strict=True):
        assert deviation(ours, parameter.detach().numpy()) <= WEIGHTS


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_is_what_pytorch_gives(name: str) -> None:
    case, recorded = GOLDEN[name], json.loads(TRAJECTORIES.read_text("utf-8"))[name]
    run = torch_peer.train(case, model_of(case, BACKENDS["numpy"], "float64").state_dict(), "float64")
    assert relative(run.losses, recorded["losses"]) <= 1e-12, "run tests/golden/make.py"


def test_state_dict_of_pytorch_is_checked() -> None:
    """The wrong network's weights are refused by both."""
    model = model_of(CASES["network: batch norm"], BACKENDS["numpy"], "float64")
    with pytest.raises(KeyError, match="running_mean"):
        model.load_state_dict(deep(torch_peer.nn).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        torch_peer.net_of(CASES["network: no bias"], model.state_dict(), "float64")

"""Live parity with PyTorch: activations, and networks of all layers."""

from typing import Any

import numpy as np
import pytest

from golden.cases import Case, deep, model_of, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import Builder, check_trajectory, runs, to_probability, torch_peer

pytestmark = pytest.mark.torch


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
    | activation("Hardtanh", min_val=-0.7, max_val=0.4)
    | activation("Hardtanh")
    | activation("ReLU6")
    | activation("Hardsigmoid")
    | activation("Hardswish")
    | activation("SELU")
    | activation("CELU")
    | activation("CELU", alpha=0.3)
    | activation("LogSigmoid")
    | activation("Mish")
    | activation("Softsign")
    | activation("PReLU")
    | activation("PReLU", init=-0.3)
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
    "slopes of channels": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8), nn.PReLU(8), nn.Linear(8, 8), nn.PReLU(8, init=0.1), nn.Linear(8, 4)
        )
    ),
    "unflatten": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 12),
            nn.Unflatten(1, (3, -1)),
            nn.PReLU(3),
            nn.Unflatten(-1, (2, 2)),
            nn.Flatten(),
            nn.Linear(12, 4),
        )
    ),
    "batch norm of ranks, alone": network(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8), nn.SyncBatchNorm(8, momentum=0.3), nn.Tanh(), nn.Linear(8, 4)
        ),
        lr=0.01,
    ),
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


CASES = {f"activation: {name}": case for name, case in ACTIVATIONS.items()} | {
    f"network: {name}": case for name, case in NETWORKS.items()
}
CORE = [  # what a backend brings of its own; the op-by-op parity with NumPy is test_parity's
    *(f"activation: {name}" for name in ("GELU, fused", "SiLU, alone", "ELU, alpha 0.4, fused")),
    *(
        f"network: {name}"
        for name in ("batch norm", "batch norm, length, momentum None", "layer norm, tuple")
    ),
    *(f"network: {name}" for name in ("softmax, inside", "flatten between", "wide", "residual, nested")),
    *(f"network: {name}" for name in ("a layer twice, norm", "a little of everything")),
]


# In PyTorch's slopes 1/6 and 1/alpha are numbers of float32, in float64 as well; test_torch_functional has those slopes.
ROUGH = ("Hardsigmoid", "Hardswish", "CELU, alpha")
RUNS = [run for run in runs(CASES, CORE) if run[2] == "float32" or not any(name in run[0] for name in ROUGH)]


@pytest.mark.parametrize(("name", "on", "dtype"), RUNS)
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)


def test_state_dict_of_pytorch_is_checked() -> None:
    """The wrong network's weights are refused by both."""
    model = model_of(CASES["network: batch norm"], BACKENDS["numpy"], "float64")
    with pytest.raises(KeyError, match="running_mean"):
        model.load_state_dict(deep(torch_peer().nn).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        torch_peer().net_of(CASES["network: no bias"], model.state_dict(), "float64")

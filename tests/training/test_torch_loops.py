"""Live parity with PyTorch: fit and the user's own loop; the recorded trajectories are what PyTorch gives."""

import json
from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from golden.cases import CLASSES, GOLDEN, TRAJECTORIES, Case, batches, deep, mlp, model_of, mse, rows
from helpers.backends import BACKENDS
from helpers.torch_parity import LOSS, WEIGHTS, deviation, peer_of, relative, torch_peer

pytestmark = pytest.mark.torch


def test_own_loss(backend: Backend) -> None:
    """forward, backward and update around a loss that the model does not know; every gradient against autograd's."""
    case = Case(deep, mse, "AdamW", {"lr": 0.01}, {"clip_grad_norm": 0.3}, steps=20)
    model = model_of(case, backend, "float64")
    net, _, optimizer = peer_of(case, model)
    for x, y in batches(case, "float64"):
        out = model.forward(x, training=True)
        dx = model.backward(4 * (out - y) ** 3)
        there = torch_peer().tensor(x).requires_grad_()
        optimizer.zero_grad()
        pred = net(there)
        ((pred - torch_peer().tensor(y)) ** 4).sum().backward()
        assert deviation(out, pred.detach().numpy()) <= LOSS["float64"]
        assert deviation(dx, there.grad.numpy()) <= LOSS["float64"]
        for (name, parameter), ours in zip(net.named_parameters(), model.gradients(), strict=True):
            assert deviation(ours, parameter.grad.numpy()) <= LOSS["float64"], name
        model.update()
        torch_peer().clip(case, net)
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
            w = torch_peer().tensor(weight[part])
            optimizer.zero_grad()
            each = (
                loss(net(torch_peer().tensor(x[part])), torch_peer().tensor(y[part]))
                .reshape(len(w), -1)
                .mean(1)
            )
            value = (each * w).sum() / w.sum()
            value.backward()
            optimizer.step()
            total += value.item() * w.sum().item()
        means.append(total / weight.sum())
        net.eval()
        each = (
            loss(net(torch_peer().tensor(x)), torch_peer().tensor(y))
            .reshape(len(x), -1)
            .mean(1)
            .detach()
            .numpy()
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
    run = torch_peer().train(case, model_of(case, BACKENDS["numpy"], "float64").state_dict(), "float64")
    assert relative(run.losses, recorded["losses"]) <= 1e-12, "run tests/golden/make.py"

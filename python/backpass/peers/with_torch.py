"""PyTorch: eager with autograd, and written by hand; both at either matmul precision."""

import itertools
from typing import Any

import numpy as np

from ..workloads import Workload
from .common import Contestant, first_weights, timed


def torch_eager(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """nn.Sequential, autograd, fused Adam: what most people write."""
    import torch

    torch.set_num_threads(threads)
    layers: list[Any] = []
    for i, o in zip(workload.layers, workload.layers[1:], strict=False):
        layers.append(torch.nn.Linear(i, o))
        layers += [torch.nn.BatchNorm1d(o)] * workload.batch_norm
        layers.append(getattr(torch.nn, workload.activation)())
        layers += [torch.nn.Dropout(workload.dropout)] * (workload.dropout > 0)
    net = torch.nn.Sequential(*layers[: -1 - workload.batch_norm - (workload.dropout > 0)])
    optimizer = getattr(torch.optim, workload.optimizer)(net.parameters(), eps=workload.eps, fused=True)
    loss_of = torch.nn.MSELoss() if workload.loss == "mse" else torch.nn.CrossEntropyLoss()
    batches = itertools.cycle(_torch_batches(workload))

    def step() -> None:
        torch.set_float32_matmul_precision(precision)
        batch = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(batch[0]), batch[1]).backward()
        if workload.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(net.parameters(), workload.clip_grad_norm)
        optimizer.step()

    return timed(step, workload.steps_per_epoch)


def torch_by_hand(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """No autograd: backward written by hand into one flat gradient, one flat fused Adam."""
    import torch

    torch.set_num_threads(threads)
    start = first_weights(workload)
    flat = torch.from_numpy(np.concatenate([a.ravel() for pair in start for a in pair])).clone()
    grad = torch.zeros_like(flat)
    pieces, at = [], 0
    for w, b in start:
        parts = []
        for a in (w, b):
            parts += [flat[at : at + a.size].view(a.shape), grad[at : at + a.size].view(a.shape)]
            at += a.size
        pieces.append(parts)
    flat.grad = grad
    optimizer = torch.optim.Adam([flat], eps=workload.eps, fused=True)
    batches = itertools.cycle(_torch_batches(workload))
    rows = torch.arange(workload.batch)
    tanh = workload.activation == "Tanh"

    def activate(z: Any) -> Any:
        return z.tanh_() if tanh else z.relu_()

    def slope(y: Any) -> Any:
        return 1 - y * y if tanh else y > 0

    def step() -> None:
        torch.set_float32_matmul_precision(precision)
        batch = next(batches)
        activations = [batch[0]]
        for n, (w, _, b, _) in enumerate(pieces):
            z = torch.addmm(b, activations[-1], w)
            activations.append(activate(z) if n + 1 < len(pieces) else z)
        if workload.loss == "mse":
            dz = (activations[-1] - batch[1]).mul_(2 / batch[1].numel())
        else:
            dz = torch.softmax(activations[-1], 1)
            dz[rows, batch[1]] -= 1
            dz /= workload.batch
        for n in range(len(pieces) - 1, -1, -1):
            w, dw, _, db = pieces[n]
            torch.mm(activations[n].t(), dz, out=dw)
            torch.sum(dz, 0, out=db)
            if n:
                dz = (dz @ w.t()).mul_(slope(activations[n]))
        if workload.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_([flat], workload.clip_grad_norm)
        optimizer.step()

    with torch.no_grad():
        step()

    def train(epochs: int) -> float:
        with torch.no_grad():
            return run(epochs)

    run = timed(step, workload.steps_per_epoch)
    return train


def _torch_batches(workload: Workload) -> list[tuple[Any, Any]]:
    import torch

    X, y = (torch.from_numpy(a) for a in workload.data())
    return list(zip(X.split(workload.batch), y.split(workload.batch), strict=True))

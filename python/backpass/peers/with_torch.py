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


def torch_compiled(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """torch.compile of the whole functional step: loss, torch.func.grad and Adam written out."""
    import torch

    torch.set_num_threads(threads)
    weights = [torch.from_numpy(a) for pair in first_weights(workload) for a in pair]
    m, v = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    batches = itertools.cycle(_torch_batches(workload))
    activate = torch.tanh if workload.activation == "Tanh" else torch.relu
    loss_from = torch.nn.functional.mse_loss if workload.loss == "mse" else torch.nn.functional.cross_entropy

    def loss_of(weights: list[Any], x: Any, y: Any) -> Any:
        for w, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            x = activate(torch.addmm(b, x, w))
        return loss_from(torch.addmm(weights[-1], x, weights[-2]), y)

    def update(weights: list[Any], m: list[Any], v: list[Any], t: Any, x: Any, y: Any) -> None:
        grads = torch.func.grad(loss_of)(weights, x, y)
        if workload.clip_grad_norm:
            norm = torch.sqrt(sum((g * g).sum() for g in grads))
            scale = torch.clamp(workload.clip_grad_norm / (norm + 1e-6), max=1.0)
            grads = [g * scale for g in grads]
        t.add_(1)
        rate, root = 1e-3 / (1 - 0.9**t), 1 / torch.sqrt(1 - 0.999**t)
        for w, g, m_, v_ in zip(weights, grads, m, v, strict=True):
            m_.mul_(0.9).add_(g, alpha=0.1)
            v_.mul_(0.999).addcmul_(g, g, value=0.001)
            w.sub_(rate * m_ / (v_.sqrt() * root + workload.eps))

    compiled, t = torch.compile(update, fullgraph=True), torch.zeros(())

    def step() -> None:
        torch.set_float32_matmul_precision(precision)
        compiled(weights, m, v, t, *next(batches))

    run = timed(step, workload.steps_per_epoch)

    def train(epochs: int) -> float:
        with torch.no_grad():
            return run(epochs)

    return train


def _torch_batches(workload: Workload) -> list[tuple[Any, Any]]:
    import torch

    X, y = (torch.from_numpy(a) for a in workload.data())
    return list(zip(X.split(workload.batch), y.split(workload.batch), strict=True))

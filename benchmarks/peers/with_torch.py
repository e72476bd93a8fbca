"""PyTorch: eager with autograd, written by hand, and compiled; each at either matmul precision. Eager under autocast as well."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from backpass.cli.contestant import Contestant
from backpass.cli.workloads import Workload

from .common import first_weights, timed


def _contestant(step: Callable[[], None], workload: Workload, precision: str, mode: Any) -> Contestant:
    """Turns of a step: the precision is for the whole process, so that each turn sets it; `mode`: a context of gradients."""
    import torch

    run = timed(step, workload.steps_per_epoch)

    def train(epochs: int) -> float:
        torch.set_float32_matmul_precision(precision)
        with mode():
            return run(epochs)

    return train


def _modules(workload: Workload) -> tuple[Any, Any, Any]:
    """Network, loss and fused optimizer, as most people write them."""
    import torch

    layers: list[Any] = []
    for i, o in zip(workload.layers, workload.layers[1:], strict=False):
        layers.append(torch.nn.Linear(i, o))
        layers += [torch.nn.BatchNorm1d(o)] * workload.batch_norm
        layers.append(getattr(torch.nn, workload.activation)())
        layers += [torch.nn.Dropout(workload.dropout)] * (workload.dropout > 0)
    net = torch.nn.Sequential(*layers[: -1 - workload.batch_norm - (workload.dropout > 0)])
    optimizer = getattr(torch.optim, workload.optimizer)(net.parameters(), eps=workload.eps, fused=True)
    return net, torch.nn.MSELoss() if workload.loss == "mse" else torch.nn.CrossEntropyLoss(), optimizer


def torch_eager(
    workload: Workload,
    threads: int,
    precision: str = "highest",
    compiled: bool = False,
    autocast: bool = False,
) -> Contestant:
    """nn.Sequential, autograd, fused Adam: what most people write. compiled: forward and backward by torch.compile. autocast:
    products in bfloat16, as torch.autocast chooses them; weights and gradients stay float32."""
    import torch

    torch.set_num_threads(threads)
    net, loss_from, optimizer = _modules(workload)
    batches = itertools.cycle(_torch_batches(workload))

    def loss_of(x: Any, y: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return loss_from(net(x), y)

    loss = torch.compile(loss_of) if compiled else loss_of

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(*next(batches)).backward()
        if workload.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(net.parameters(), workload.clip_grad_norm)
        optimizer.step()

    return _contestant(step, workload, precision, torch.enable_grad)


def torch_by_hand(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """No autograd, no module, no optimizer object: backward written by hand into one flat gradient, the kernel of fused Adam
    called on one flat vector, products into arrays made beforehand, classes as a matrix of -1/batch at the right ones."""
    import torch

    torch.set_num_threads(threads)
    start, batch = first_weights(workload), workload.batch
    flat = torch.from_numpy(np.concatenate([a.ravel() for pair in start for a in pair])).clone()
    flat.grad = grad = torch.zeros_like(flat)
    pieces, at = [], 0
    for w, b in start:
        parts = []
        for a in (w, b):
            parts += [flat[at : at + a.size].view(a.shape), grad[at : at + a.size].view(a.shape)]
            at += a.size
        pieces.append((*parts, parts[0].t(), torch.empty(batch, len(b)), torch.empty(batch, len(w))))
    ready = _torch_batches(workload)
    if workload.loss != "mse":
        ready = [(x, -torch.nn.functional.one_hot(y, workload.layers[-1]).float() / batch) for x, y in ready]
    batches = itertools.cycle(ready)
    m, v, t = torch.zeros_like(flat), torch.zeros_like(flat), torch.zeros(())
    tanh, last = workload.activation == "Tanh", len(pieces) - 1
    share = 2 / (batch * workload.layers[-1])

    def slope(dy: Any, y: Any) -> Any:
        return torch.ops.aten.tanh_backward(dy, y) if tanh else torch.ops.aten.threshold_backward(dy, y, 0)

    def step() -> None:
        z, target = next(batches)
        activations = []
        for n, (w, _, b, _, _, out, _) in enumerate(pieces):
            activations.append(z)
            z = torch.addmm(b, z, w, out=out)
            if n < last:
                z = z.tanh_() if tanh else z.relu_()
        if workload.loss == "mse":
            dz = torch.sub(z, target).mul_(share)
        else:
            dz = torch.add(target, torch.softmax(z, 1), alpha=1 / batch)
        for n in range(last, -1, -1):
            _, dw, _, db, transposed, _, dx = pieces[n]
            torch.mm(activations[n].t(), dz, out=dw)
            torch.sum(dz, 0, out=db)
            if n:
                dz = slope(torch.mm(dz, transposed, out=dx), activations[n])
        if workload.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_([flat], workload.clip_grad_norm)
        t.add_(1)
        torch._fused_adam_(
            [flat], [grad], [m], [v], [], [t], lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=workload.eps,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    return _contestant(step, workload, precision, torch.inference_mode)


def torch_compiled(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """torch.compile of the whole functional step: loss, torch.func.grad and Adam written out. With dropout or BatchNorm, whose
    state is not functional, of forward and backward."""
    import torch

    if not workload.plain:
        return torch_eager(workload, threads, precision, compiled=True)
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

    torch._dynamo.config.recompile_limit = 1000  # it counts all workloads of a run as one function
    compiled, t = torch.compile(update, fullgraph=True), torch.zeros(())

    def step() -> None:
        compiled(weights, m, v, t, *next(batches))

    return _contestant(step, workload, precision, torch.no_grad)


def _torch_batches(workload: Workload) -> list[tuple[Any, Any]]:
    import torch

    X, y = (torch.from_numpy(a) for a in workload.data())
    return list(zip(X.split(workload.batch), y.split(workload.batch), strict=True))

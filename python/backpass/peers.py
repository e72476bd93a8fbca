"""The same training step in other libraries, each in its best forms, for `python -m backpass bench --peers`.

Every peer gets what favours it: batches that lie ready in order (no shuffling, no gathering), weights and data already in its own
arrays, everything compiled and warmed up before the clock starts. A contestant trains a number of epochs and returns the seconds.
"""

import importlib.util
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .workloads import Workload

Contestant = Callable[[int], float]
Make = Callable[[Workload, int], Contestant]
SCAN_STEPS = 50  # of one compiled call of the JAX scan


def available(name: str) -> bool:
    """Whether a library can be imported here."""
    return importlib.util.find_spec(name) is not None


def _timed(
    step: Callable[[], Any], steps: int, finish: Callable[[Any], Any] = lambda last: last
) -> Contestant:
    """A contestant from a function that makes one step (or one call of many) and a way to wait for its result."""

    def train(epochs: int) -> float:
        start = time.perf_counter()
        last = None
        for _ in range(epochs * steps):
            last = step()
        finish(last)
        return time.perf_counter() - start

    return train


def _weights(workload: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
    """U(±1/√fan_in) for every layer, (in, out)."""
    rng = np.random.default_rng(1)
    sizes = zip(workload.layers, workload.layers[1:], strict=False)
    return [
        ((rng.uniform(-1, 1, (i, o)) / np.sqrt(i)).astype(np.float32), np.zeros(o, np.float32))
        for i, o in sizes
    ]


def torch_eager(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """nn.Sequential, autograd, fused Adam: what most people write."""
    import torch

    torch.set_num_threads(threads)
    layers: list[Any] = []
    for i, o in zip(workload.layers, workload.layers[1:], strict=False):
        layers += [torch.nn.Linear(i, o), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    loss_of = torch.nn.MSELoss() if workload.loss == "mse" else torch.nn.CrossEntropyLoss()
    batches = itertools.cycle(_torch_batches(workload))

    def step() -> None:
        torch.set_float32_matmul_precision(precision)
        batch = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(batch[0]), batch[1]).backward()
        optimizer.step()

    return _timed(step, workload.steps_per_epoch)


def torch_by_hand(workload: Workload, threads: int, precision: str = "highest") -> Contestant:
    """No autograd: backward written by hand into one flat gradient, one flat fused Adam."""
    import torch

    torch.set_num_threads(threads)
    start = _weights(workload)
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
    optimizer = torch.optim.Adam([flat], fused=True)
    batches = itertools.cycle(_torch_batches(workload))
    rows = torch.arange(workload.batch)

    def step() -> None:
        torch.set_float32_matmul_precision(precision)
        batch = next(batches)
        activations = [batch[0]]
        for n, (w, _, b, _) in enumerate(pieces):
            z = torch.addmm(b, activations[-1], w)
            activations.append(z.relu_() if n + 1 < len(pieces) else z)
        if workload.loss == "mse":
            dz = (activations[-1] - batch[1]).mul_(2 / workload.batch)
        else:
            dz = torch.softmax(activations[-1], 1)
            dz[rows, batch[1]] -= 1
            dz /= workload.batch
        for n in range(len(pieces) - 1, -1, -1):
            w, dw, _, db = pieces[n]
            torch.mm(activations[n].t(), dz, out=dw)
            torch.sum(dz, 0, out=db)
            if n:
                dz = (dz @ w.t()).mul_(activations[n] > 0)
        optimizer.step()

    with torch.no_grad():
        step()

    def train(epochs: int) -> float:
        with torch.no_grad():
            return run(epochs)

    run = _timed(step, workload.steps_per_epoch)
    return train


def _torch_batches(workload: Workload) -> list[tuple[Any, Any]]:
    import torch

    X, y = (torch.from_numpy(a) for a in workload.data())
    return list(zip(X.split(workload.batch), y.split(workload.batch), strict=True))


def _jax_step(workload: Workload) -> tuple[Any, Any]:
    """A functional training step (Adam written out) and its first state."""
    import jax
    import jax.numpy as jnp

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        out = x @ weights[-1][0] + weights[-1][1]
        if workload.loss == "mse":
            return jnp.mean((out - y) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1))

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        weights, m, v, t = state
        loss, grads = jax.value_and_grad(loss_of)(weights, *batch)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate, root = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) * root + 1e-8), weights, m, v)
        return (weights, m, v, t), loss

    weights = jax.tree.map(jnp.asarray, _weights(workload))
    m, v = (
        jax.tree.map(jnp.zeros_like, weights) for _ in range(2)
    )  # not one: a donated buffer belongs to one place
    return step, (weights, m, v, jnp.float32(0))


def jax_jit(workload: Workload, threads: int) -> Contestant:
    """One compiled step a call, its buffers donated."""
    import jax
    import jax.numpy as jnp

    step, state = _jax_step(workload)
    compiled = jax.jit(step, donate_argnums=0)
    X, y = workload.data()
    batches = [
        (jnp.asarray(X[i : i + workload.batch]), jnp.asarray(y[i : i + workload.batch]))
        for i in range(0, len(X), workload.batch)
    ]
    number = 0

    def one() -> Any:
        nonlocal state, number
        state, loss = compiled(state, batches[number % len(batches)])
        number += 1
        return loss

    return _timed(one, workload.steps_per_epoch, lambda last: last.block_until_ready())


def jax_scan(workload: Workload, threads: int) -> Contestant:
    """Many steps in one compiled call (lax.scan)."""
    import jax
    import jax.numpy as jnp

    step, state = _jax_step(workload)
    steps = min(SCAN_STEPS, workload.steps_per_epoch)
    compiled = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)
    X, y = workload.data()
    rows = steps * workload.batch
    batches = (
        jnp.asarray(X[:rows].reshape(steps, workload.batch, -1)),
        jnp.asarray(y[:rows].reshape(steps, workload.batch, *y.shape[1:])),
    )

    def many() -> Any:
        nonlocal state
        state, losses = compiled(state, batches)
        return losses

    calls = workload.steps_per_epoch / steps

    def train(epochs: int) -> float:
        run = _timed(many, 1, lambda last: last.block_until_ready())
        whole = max(1, round(epochs * calls))
        return run(whole) * (epochs * calls) / whole  # the steps of `epochs`, whatever the length of a scan

    return train


def scikit_learn(workload: Workload, threads: int) -> Contestant:
    """MLPClassifier or MLPRegressor with the same layers, batch and Adam; no shuffling, no early stop."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if workload.loss == "mse" else MLPClassifier
    X, y = workload.data()
    y = y.ravel()

    def train(epochs: int) -> float:
        net = kind(
            hidden_layer_sizes=workload.layers[1:-1],
            batch_size=workload.batch,
            max_iter=epochs,
            shuffle=False,
            alpha=0,
            tol=0,
            n_iter_no_change=10**6,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            net.fit(X, y)
            return time.perf_counter() - start

    return train


# name -> library, maker
PEERS: dict[str, tuple[str, Make]] = {
    "jax scan": ("jax", jax_scan),
    "jax jit": ("jax", jax_jit),
    "torch by hand": ("torch", torch_by_hand),
    "torch by hand, medium": ("torch", lambda workload, threads: torch_by_hand(workload, threads, "medium")),
    "torch eager": ("torch", torch_eager),
    "torch eager, medium": ("torch", lambda workload, threads: torch_eager(workload, threads, "medium")),
    "scikit-learn": ("sklearn", scikit_learn),
}

"""JAX: a compiled step a call, and many steps in one call."""

from typing import Any

from ..workloads import Workload
from .common import Contestant, first_weights, repeated, timed

SCAN_STEPS = 50  # of one compiled call of the scan


def jax_step(workload: Workload) -> tuple[Any, Any]:
    """A functional training step (Adam written out) and its first state."""
    import jax
    import jax.numpy as jnp

    activate = jnp.tanh if workload.activation == "Tanh" else jax.nn.relu

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        for w, b in weights[:-1]:
            x = activate(x @ w + b)
        out = x @ weights[-1][0] + weights[-1][1]
        if workload.loss == "mse":
            return jnp.mean((out - y) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1))

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        weights, m, v, t = state
        loss, grads = jax.value_and_grad(loss_of)(weights, *batch)
        if workload.clip_grad_norm:
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
            scale = jnp.minimum(1, workload.clip_grad_norm / (norm + 1e-6))
            grads = jax.tree.map(lambda g: g * scale, grads)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate, root = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        eps = workload.eps
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) * root + eps), weights, m, v)
        return (weights, m, v, t), loss

    weights = jax.tree.map(jnp.asarray, first_weights(workload))
    m, v = (
        jax.tree.map(jnp.zeros_like, weights) for _ in range(2)
    )  # not one: a donated buffer belongs to one place
    return step, (weights, m, v, jnp.float32(0))


def jax_jit(workload: Workload, threads: int) -> Contestant:
    """One compiled step a call, its buffers donated."""
    import jax
    import jax.numpy as jnp

    step, state = jax_step(workload)
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

    return timed(one, workload.steps_per_epoch, lambda last: last.block_until_ready())


def jax_scan(workload: Workload, threads: int) -> Contestant:
    """Many steps in one compiled call (lax.scan)."""
    import jax
    import jax.numpy as jnp

    step, state = jax_step(workload)
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

    return repeated(many, steps, workload, lambda last: last.block_until_ready())

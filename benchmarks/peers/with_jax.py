"""JAX: a compiled step a call, and many steps in one call."""

from typing import Any

from backpass.cli.contestant import Contestant
from backpass.cli.workloads import Workload

from .common import first_weights, repeated, timed

SCAN_STEPS = 200  # of one compiled call of the scan


def jax_step(workload: Workload) -> tuple[Any, Any]:
    """A functional training step (Adam or AdamW written out) and its first state."""
    import jax
    import jax.numpy as jnp

    activate = jnp.tanh if workload.activation == "Tanh" else jax.nn.relu

    def loss_of(weights: Any, x: Any, y: Any, key: Any) -> Any:
        batch_statistics = []
        for n, (w, b, *norm) in enumerate(weights[:-1]):
            x = x @ w + b
            if norm:
                mean, var = x.mean(0), x.var(0)
                x = (x - mean) * (jax.lax.rsqrt(var + 1e-5) * norm[0]) + norm[1]
                batch_statistics.append((mean, var * (len(x) / (len(x) - 1))))
            x = activate(x)
            if workload.dropout:
                kept = jax.random.bernoulli(jax.random.fold_in(key, n), 1 - workload.dropout, x.shape)
                x = jnp.where(kept, x / (1 - workload.dropout), 0)
        out = x @ weights[-1][0] + weights[-1][1]
        if workload.loss == "mse":
            return jnp.mean((out - y) ** 2), batch_statistics
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1)), batch_statistics

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        weights, m, v, t, running = state
        key = jax.random.fold_in(jax.random.key(0), t.astype(int))
        (loss, seen), grads = jax.value_and_grad(loss_of, has_aux=True)(weights, *batch, key)
        running = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, seen)
        if workload.clip_grad_norm:
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
            scale = jnp.minimum(1, workload.clip_grad_norm / (norm + 1e-6))
            grads = jax.tree.map(lambda g: g * scale, grads)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate, root = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        eps, kept = workload.eps, 1 - 1e-3 * workload.weight_decay
        weights = jax.tree.map(
            lambda w, m, v: w * kept - rate * m / (jnp.sqrt(v) * root + eps), weights, m, v
        )
        return (weights, m, v, t, running), loss

    weights = jax.tree.map(jnp.asarray, first_weights(workload))
    widths = workload.layers[1:-1] if workload.batch_norm else ()
    for n, width in enumerate(widths):
        weights[n] += (jnp.ones(width), jnp.zeros(width))
    running = [(jnp.zeros(width), jnp.ones(width)) for width in widths]
    m, v = (
        jax.tree.map(jnp.zeros_like, weights) for _ in range(2)
    )  # not one: a donated buffer belongs to one place
    return step, (weights, m, v, jnp.float32(0), running)


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

"""A training step in JAX: the gradient, clipping by norm, Adam or AdamW written out."""

from collections.abc import Callable
from typing import Any

RATE = 1e-3


def first_state(weights: Any) -> Any:
    """Weights, both moments and the number of steps."""
    import jax
    import jax.numpy as jnp

    # Two of zeros: a donated buffer belongs to one place.
    m, v = (jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
    return weights, m, v, jnp.float32(0)


def step_of(
    loss_of: Callable[[Any, Any], Any], weight_decay: float = 0.0, clip_grad_norm: float | None = None
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """step(state, batch) -> the next state and the loss."""
    import jax
    import jax.numpy as jnp

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        weights, m, v, t = state
        loss, grads = jax.value_and_grad(loss_of)(weights, batch)
        if clip_grad_norm:
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
            scale = jnp.minimum(1.0, clip_grad_norm / (norm + 1e-6))
            grads = jax.tree.map(lambda g: g * scale, grads)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate, root, kept = RATE / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t), 1 - RATE * weight_decay
        weights = jax.tree.map(
            lambda w, m, v: kept * w - rate * m / (jnp.sqrt(v) * root + 1e-8), weights, m, v
        )
        return (weights, m, v, t), loss

    return step

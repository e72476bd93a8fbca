"""Recurrent networks in JAX: a scan over time within a scan over training steps, Adam written out."""

from typing import Any

import numpy as np

from backpass.cli.contestant import Contestant
from backpass.cli.sequence_workloads import SequenceWorkload

from .adam_in_jax import first_state, step_of
from .common import repeated

# Training steps in one compiled call.
STEPS = 8


def recurrent(kind: str, weights: Any, prefix: str, x: Any) -> Any:
    """A layer on x (B, T, I): its outputs (B, T, H) and last state; the products of x for all steps at once."""
    import jax
    import jax.numpy as jnp

    w_ih, w_hh, b_ih, b_hh = (
        weights[f"{prefix}.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    from_x = jnp.swapaxes(x @ w_ih + b_ih, 0, 1)
    start = jnp.zeros((x.shape[0], w_hh.shape[0]), x.dtype)

    def lstm(state: Any, z: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(z + h @ w_hh + b_hh, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(h: Any, z: Any) -> Any:
        (xr, xz, xn), (hr, hz, hn) = jnp.split(z, 3, axis=1), jnp.split(h @ w_hh + b_hh, 3, axis=1)
        r, update = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        h = (1 - update) * n + update * h
        return h, h

    if kind == "lstm":
        (h, _), y = jax.lax.scan(lstm, (start, start), from_x)
    else:
        h, y = jax.lax.scan(gru, start, from_x)
    return jnp.swapaxes(y, 0, 1), h


def jax_sequences(workload: SequenceWorkload, threads: int) -> Contestant:
    """Targets behind the end of a row are left out; every row is computed to its last step."""
    import jax
    import jax.numpy as jnp

    model, lengths = workload.model("numpy"), workload.lengths()
    weights = {
        name: jnp.asarray(value if value.ndim < 2 or "embedding" in name else value.T)
        for name, value in model.named_parameters()
    }
    layers = [name.split(".")[1] for name in weights if name.startswith("lstm.weight_ih")]

    def forward(weights: Any, x: Any) -> Any:
        if not workload.vocabulary:
            return recurrent("gru", weights, "gru", x)[1] @ weights["out.weight"] + weights["out.bias"]
        x = weights["embedding.weight"][x]
        for number in range(len(layers)):
            of_layer = {
                f"lstm.{n}_l0": weights[f"lstm.{n}_l{number}"]
                for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            x, _ = recurrent("lstm", of_layer, "lstm", x)
        return x @ weights["out.weight"] + weights["out.bias"]

    def loss_of(weights: Any, batch: Any) -> Any:
        x, y, counted = batch
        pred = forward(weights, x)
        if workload.loss == "mse":
            return jnp.mean((pred - y) ** 2)
        if workload.loss == "bce_with_logits":
            return jnp.mean(jnp.maximum(pred, 0) - pred * y + jnp.log1p(jnp.exp(-jnp.abs(pred))))
        at_class = jnp.take_along_axis(jax.nn.log_softmax(pred), y[..., None], -1)[..., 0]
        return -jnp.sum(at_class * counted) / jnp.sum(counted)

    X, y = workload.data()
    steps = X.shape[1]
    counted = np.ones((len(X), steps)) if lengths is None else np.arange(steps) < lengths[:, None]
    ready = tuple(
        jnp.asarray(a[: STEPS * workload.batch].reshape(STEPS, workload.batch, *a.shape[1:]))
        for a in (X, y, counted.astype(np.float32))
    )
    step = step_of(loss_of, workload.weight_decay)
    state = first_state(weights)
    many = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)

    def run() -> Any:
        nonlocal state
        state, losses = many(state, ready)
        return losses

    return repeated(run, STEPS, workload, lambda losses: losses.block_until_ready())

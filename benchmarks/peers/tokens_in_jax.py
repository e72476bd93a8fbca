"""Transformers and embeddings in JAX: many training steps in one compiled call, tables with dense gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backpass.cli.contestant import Contestant
from backpass.cli.token_workloads import TokenWorkload

from .adam_in_jax import first_state, step_of
from .common import repeated

# Training steps in one compiled call.
STEPS = 8


def linear(w: Any, name: str, x: Any) -> Any:
    """Weights are (in, out) here."""
    y = x @ w[f"{name}.weight"]
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def layer_norm(w: Any, name: str, x: Any) -> Any:
    """Over the last dimension."""
    import jax

    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    y = (x - mean) * jax.lax.rsqrt(var + 1e-5) * w[f"{name}.weight"]
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def attention(w: Any, block: str, x: Any, heads: int, causal: bool) -> Any:
    """The block's first half: attention by heads on the normalised input, added to it."""
    import jax
    import jax.numpy as jnp

    B, T, width = x.shape
    parts = jnp.split(linear(w, f"{block}.qkv", layer_norm(w, f"{block}.norm1", x)), 3, -1)
    q, k, v = (p.reshape(B, T, heads, width // heads) for p in parts)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(width // heads)
    if causal:
        scores = jnp.where(np.tri(T, dtype=bool), scores, -jnp.inf)
    y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v).reshape(B, T, width)
    return x + linear(w, f"{block}.project", y)


def text(w: Any, ids: Any) -> Any:
    """nanoGPT, its head tied to its table."""
    import jax

    x = w["tokens.weight"][ids] + w["positions.weight"][: ids.shape[1]]
    for block in blocks(w):
        x = attention(w, block, x, 4, causal=True)
        up = linear(w, f"{block}.up", layer_norm(w, f"{block}.norm2", x))
        x = x + linear(w, f"{block}.down", jax.nn.gelu(up, approximate=False))
    return layer_norm(w, "norm", x) @ w["tokens.weight"].T


def table_transformer(w: Any, numbers: Any, ids: Any) -> Any:
    """FT-Transformer: ReGLU in the blocks, the answer from a token of its own."""
    import jax
    import jax.numpy as jnp

    answer = jnp.broadcast_to(w["answer.weight"], (len(ids), *w["answer.weight"].shape))
    of_numbers = numbers[:, :, None] * w["scale.weight"] + w["shift.weight"]
    x = jnp.concatenate([answer, of_numbers, w["table.weight"][ids]], 1)
    for block in blocks(w):
        x = attention(w, block, x, 4, causal=False)
        a, b = jnp.split(linear(w, f"{block}.up", layer_norm(w, f"{block}.norm2", x)), 2, -1)
        x = x + linear(w, f"{block}.down", a * jax.nn.relu(b))
    return linear(w, "out", jax.nn.relu(layer_norm(w, "norm", x[:, 0])))


def tables(w: Any, *inputs: Any) -> Any:
    """Rows of a table side by side, after the numbers if there are some, then three layers."""
    import jax
    import jax.numpy as jnp

    *numbers, ids = inputs
    x = jnp.concatenate([*numbers, w["table.weight"][ids].reshape(len(ids), -1)], 1)
    for name in ("net.0", "net.2"):
        x = jax.nn.relu(linear(w, name, x))
    return linear(w, "net.4", x)


def blocks(w: Any) -> list[str]:
    """The names of the blocks."""
    return [f"blocks.{n}" for n in range(sum(name.endswith(".qkv.weight") for name in w))]


NETWORKS: dict[str, Callable[..., Any]] = {
    "nanogpt": text, "nanogpt_b1": text, "fttransformer": table_transformer, "embedrec": tables, "tabemb": tables,
}  # fmt: skip
TABLES = ("tokens", "positions", "scale", "shift", "table", "answer")


def jax_tokens(workload: TokenWorkload, threads: int) -> Contestant:
    """The network that the workload names, on batches that lie ready."""
    import jax
    import jax.numpy as jnp

    forward = NETWORKS[workload.name]
    weights = {
        name: jnp.asarray(value if value.ndim < 2 or name.startswith(TABLES) else value.T)
        for name, value in workload.model("numpy").named_parameters()
    }

    def loss_of(weights: Any, batch: Any) -> Any:
        *x, y = batch
        pred = forward(weights, *x)
        if workload.text:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(pred), y[..., None], -1))
        return jnp.mean(jnp.maximum(pred, 0) - pred * y + jnp.log1p(jnp.exp(-jnp.abs(pred))))

    X, y = workload.data()
    ready = tuple(
        jnp.asarray(a[: STEPS * workload.batch].reshape(STEPS, workload.batch, *a.shape[1:]))
        for a in (*(X if isinstance(X, tuple) else (X,)), y)
    )
    decay = 0.01 if workload.optimizer == "AdamW" else 0.0
    step = step_of(loss_of, decay, workload.clip_grad_norm)
    many = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)
    state = first_state(weights)

    def run() -> Any:
        nonlocal state
        state, losses = many(state, ready)
        return losses

    return repeated(run, STEPS, workload, lambda losses: losses.block_until_ready())

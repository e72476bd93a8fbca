"""The networks of benchmarks/modules.py in JAX: many training steps in one compiled call (lax.scan), Adam written out.

A process of its own, which needs NumPy and JAX alone: python modules_in_jax.py NAME FILE. FILE (npz) holds X and y, a batch in
each row, and the first weights by PyTorch's keys. The first line of the answer are the losses of the first call, which compiles.
Then the process reads numbers of epochs and answers with seconds, a line each.
"""

import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def linear(weights: Any, name: str, x: Any) -> Any:
    """Weights are (in, out) here."""
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def layer_norm(weights: Any, name: str, x: Any) -> Any:
    """Over the last dimension."""
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def perceptron(weights: Any, name: str, x: Any) -> Any:
    """Two linear layers with GELU between them."""
    return linear(weights, f"{name}.2", jax.nn.gelu(linear(weights, f"{name}.0", x), approximate=False))


def highway(weights: Any, x: Any) -> Any:
    """Gates choose between each layer and what came before it."""
    for n in range(sum(key.startswith("h.") for key in weights) // 2):
        h, t = jax.nn.relu(linear(weights, f"h.{n}", x)), jax.nn.sigmoid(linear(weights, f"t.{n}", x))
        x = t * h + (1 - t) * x
    return linear(weights, "out", x)


def mixer(weights: Any, x: Any) -> Any:
    """Perceptrons along the tokens and along the channels in turn."""
    for n in range(sum(key.endswith(".norm1.weight") for key in weights)):
        name = f"blocks.{n}"
        tokens = layer_norm(weights, f"{name}.norm1", x).swapaxes(1, 2)
        x = x + perceptron(weights, f"{name}.tokens", tokens).swapaxes(1, 2)
        x = x + perceptron(weights, f"{name}.channels", layer_norm(weights, f"{name}.norm2", x))
    return linear(weights, "out", x.mean(1))


NETWORKS = {"highway": highway, "mixer": mixer}


def main() -> None:
    """The child."""
    name, path = sys.argv[1:]
    forward = NETWORKS[name]
    with np.load(path) as file:
        arrays = {key: jnp.asarray(file[key].T if key.endswith("weight") else file[key]) for key in file}
    batches = arrays.pop("X"), arrays.pop("y")

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(weights, x)), y[:, None], 1))

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        weights, m, v, t = state
        loss, grads = jax.value_and_grad(loss_of)(weights, *batch)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate, root = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) * root + 1e-8), weights, m, v)
        return (weights, m, v, t), loss

    # Two of zeros: a donated buffer belongs to one place.
    m, v = (jax.tree.map(jnp.zeros_like, arrays) for _ in range(2))
    epoch = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)
    state, losses = epoch((arrays, m, v, jnp.float32(0)), batches)
    print(json.dumps(losses.tolist()), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            state, losses = epoch(state, batches)
        losses.block_until_ready()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()

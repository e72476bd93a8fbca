"""Convolutional networks in JAX: our network, layer by layer, on images with their channels last."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backpass import nn
from backpass.cli.contestant import Contestant
from backpass.cli.image_workloads import ImageWorkload

from .adam_in_jax import first_state, step_of
from .common import timed

Apply = Callable[[dict[str, Any], Any], Any]


def network(net: Any) -> Apply:
    """The function of (weights by name, x) that a network of ours computes; weights as JAX wants them, see `weights_of`."""
    import jax
    import jax.numpy as jnp

    def conv(layer: Any, name: str, weights: Any, x: Any) -> Any:
        dims = ("NHWC", "HWIO", "NHWC") if layer.spatial == 2 else ("NWC", "WIO", "NWC")
        y = jax.lax.conv_general_dilated(
            x, weights[f"{name}.weight"], layer.stride, layer.margins, dimension_numbers=dims
        )
        return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y

    def pool(layer: Any, x: Any) -> Any:
        size = (1, *([layer.kernel_size] * 2 if isinstance(layer.kernel_size, int) else layer.kernel_size), 1)
        if isinstance(layer, nn.MaxPool2d):
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, size, size, "VALID")
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, size, size, "VALID") / (size[1] * size[2])

    def norm(name: str, weights: Any, x: Any) -> Any:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) * (jax.lax.rsqrt(var + 1e-5) * weights[f"{name}.weight"]) + weights[f"{name}.bias"]

    def apply(layer: Any, name: str, weights: Any, x: Any) -> Any:
        inner = f"{name}." if name else ""
        if isinstance(layer, nn.Sequential):
            for i, child in enumerate(layer.layers):
                x = apply(child, f"{inner}{i}", weights, x)
            return x
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            return conv(layer, name, weights, x)
        if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            return pool(layer, x)
        if isinstance(layer, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d):
            return x.mean(tuple(range(1, x.ndim - 1)), keepdims=True)
        if isinstance(layer, nn.BatchNorm2d):
            return norm(name, weights, x)
        if isinstance(layer, nn.ReLU):
            return jax.nn.relu(x)
        if isinstance(layer, nn.Flatten):
            return x.reshape(len(x), -1)
        if isinstance(layer, nn.Linear):
            return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
        if isinstance(layer, nn.Identity):
            return x
        y = jax.nn.relu(
            apply(layer.bn1, f"{inner}bn1", weights, apply(layer.conv1, f"{inner}conv1", weights, x))
        )
        y = apply(layer.bn2, f"{inner}bn2", weights, apply(layer.conv2, f"{inner}conv2", weights, y))
        return jax.nn.relu(y + apply(layer.shortcut, f"{inner}shortcut", weights, x))

    return lambda weights, x: apply(net, "", weights, x)


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Convolutions (..., in, out), linear layers (in, out)."""
    return {
        name: np.ascontiguousarray(np.moveaxis(value, (0, 1), (-1, -2)) if value.ndim > 1 else value)
        for name, value in model.named_parameters()
    }


def batches(workload: ImageWorkload) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """With the channels last."""
    X, y = workload.data()
    last = np.ascontiguousarray(np.moveaxis(X, 1, -1))
    for i in range(0, len(X), workload.batch):
        yield last[i : i + workload.batch], y[i : i + workload.batch]


def jax_images(workload: ImageWorkload, threads: int) -> Contestant:
    """One compiled step a call, its buffers donated, Adam written out: faster here than many steps in a scan."""
    import jax
    import jax.numpy as jnp

    model = workload.model("numpy")
    forward = network(model.net)
    weights = jax.tree.map(jnp.asarray, weights_of(model))

    def loss_of(weights: Any, batch: Any) -> Any:
        x, y = batch
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(weights, x)), y[:, None], 1))

    state, number = first_state(weights), 0
    compiled = jax.jit(step_of(loss_of), donate_argnums=0)
    ready = [(jnp.asarray(x), jnp.asarray(y)) for x, y in batches(workload)]

    def one() -> Any:
        nonlocal state, number
        state, loss = compiled(state, ready[number % len(ready)])
        number += 1
        return loss

    return timed(one, workload.steps_per_epoch, lambda last: last.block_until_ready())

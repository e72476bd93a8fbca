"""Convolutional networks in TensorFlow: our network of tf.nn's functions, a step in one graph."""

import os
from typing import Any

from backpass import nn
from backpass.cli.contestant import Contestant
from backpass.cli.image_workloads import ImageWorkload

from .common import timed
from .images_in_jax import batches, weights_of


def tensorflow_images(workload: ImageWorkload, threads: int) -> Contestant:
    """A tf.function a step: gradients by GradientTape, its fused kernel for Adam; channels last, as oneDNN wants them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = workload.model("numpy")
    weights = {name: tf.Variable(value) for name, value in weights_of(model).items()}

    def conv(layer: Any, name: str, x: Any) -> Any:
        padding = [[0, 0], *map(list, layer.margins), [0, 0]]
        if layer.spatial == 2:
            y = tf.nn.conv2d(x, weights[f"{name}.weight"], layer.stride, padding)
        else:
            y = tf.nn.conv1d(
                x, weights[f"{name}.weight"], layer.stride[0], "SAME" if layer.padding != (0,) else "VALID"
            )
        return tf.nn.bias_add(y, weights[f"{name}.bias"]) if f"{name}.bias" in weights else y

    def norm(name: str, x: Any) -> Any:
        return tf.compat.v1.nn.fused_batch_norm(
            x, weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon=1e-5, is_training=True
        )[0]

    def apply(layer: Any, name: str, x: Any) -> Any:
        inner = f"{name}." if name else ""
        if isinstance(layer, nn.Sequential):
            for i, child in enumerate(layer.layers):
                x = apply(child, f"{inner}{i}", x)
            return x
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            return conv(layer, name, x)
        if isinstance(layer, nn.MaxPool2d):
            return tf.nn.max_pool2d(x, 2, 2, "VALID")
        if isinstance(layer, nn.AvgPool2d):
            return tf.nn.avg_pool2d(x, 2, 2, "VALID")
        if isinstance(layer, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d):
            return tf.reduce_mean(x, list(range(1, len(x.shape) - 1)))
        if isinstance(layer, nn.BatchNorm2d):
            return norm(name, x)
        if isinstance(layer, nn.ReLU):
            return tf.nn.relu(x)
        if isinstance(layer, nn.Flatten):
            return tf.reshape(x, (x.shape[0], -1))
        if isinstance(layer, nn.Linear):
            return tf.nn.bias_add(x @ weights[f"{name}.weight"], weights[f"{name}.bias"])
        if isinstance(layer, nn.Identity):
            return x
        y = tf.nn.relu(apply(layer.bn1, f"{inner}bn1", apply(layer.conv1, f"{inner}conv1", x)))
        y = apply(layer.bn2, f"{inner}bn2", apply(layer.conv2, f"{inner}conv2", y))
        return tf.nn.relu(y + apply(layer.shortcut, f"{inner}shortcut", x))

    learned = [*weights.values()]
    m, v = ([tf.Variable(tf.zeros_like(w)) for w in learned] for _ in range(2))
    t = tf.Variable(0.0)

    @tf.function
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            out = apply(model.net, "", x)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, out))
        t.assign_add(1.0)
        power1, power2 = 0.9**t, 0.999**t
        for w, g, m_, v_ in zip(learned, tape.gradient(loss, learned), m, v, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle, m=m_.handle, v=v_.handle, grad=g, lr=1e-3, epsilon=1e-8, beta1=0.9, beta2=0.999,
                beta1_power=power1, beta2_power=power2,
            )  # fmt: skip
        return loss

    ready, number = [(tf.constant(x), tf.constant(y)) for x, y in batches(workload)], 0

    def one() -> Any:
        nonlocal number
        number += 1
        return step(*ready[number % len(ready)])

    return timed(one, workload.steps_per_epoch, lambda last: last.numpy())

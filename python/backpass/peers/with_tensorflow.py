"""TensorFlow: many steps in one graph, plain and through XLA."""

import os
from typing import Any

from ..workloads import Workload
from .common import Contestant, first_weights, repeated

GRAPH_STEPS = 50  # of one call


def tensorflow_graph(workload: Workload, threads: int, xla: bool = False) -> Contestant:
    """A tf.function that makes many training steps: gradients by GradientTape, its fused kernel for Adam."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    activate = tf.tanh if workload.activation == "Tanh" else tf.nn.relu
    weights = [tf.Variable(a) for pair in first_weights(workload) for a in pair]
    m, v = ([tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2))
    t = tf.Variable(0.0)
    steps = min(GRAPH_STEPS, workload.steps_per_epoch)
    X, y = workload.data()
    rows = steps * workload.batch
    batches = (
        tf.constant(X[:rows].reshape(steps, workload.batch, -1)),
        tf.constant(y[:rows].reshape(steps, workload.batch, *y.shape[1:])),
    )

    def loss_of(x: Any, target: Any) -> Any:
        for w, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            x = activate(tf.nn.bias_add(x @ w, b))
        out = tf.nn.bias_add(x @ weights[-2], weights[-1])
        if workload.loss == "mse":
            return tf.reduce_mean(tf.math.squared_difference(out, target))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, out))

    def many(X: Any, y: Any) -> Any:
        loss = tf.constant(0.0)
        for i in tf.range(steps):  # a loop within the graph; unrolled it is slower
            with tf.GradientTape() as tape:
                loss = loss_of(X[i], y[i])
            grads = tape.gradient(loss, weights)
            if workload.clip_grad_norm:
                grads, _ = tf.clip_by_global_norm(grads, workload.clip_grad_norm)
            t.assign_add(1.0)
            power1, power2 = 0.9**t, 0.999**t
            for w, g, m_, v_ in zip(weights, grads, m, v, strict=True):
                tf.raw_ops.ResourceApplyAdam(
                    var=w.handle, m=m_.handle, v=v_.handle, grad=g, lr=1e-3, epsilon=workload.eps,
                    beta1=0.9, beta2=0.999, beta1_power=power1, beta2_power=power2,
                )  # fmt: skip
        return loss

    graph = tf.function(many, jit_compile=xla)
    return repeated(lambda: graph(*batches), steps, workload, lambda last: last.numpy())

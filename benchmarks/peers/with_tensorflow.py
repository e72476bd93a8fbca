"""TensorFlow: an epoch in one graph, plain and through XLA."""

import os
from typing import Any

from backpass.cli.contestant import Contestant
from backpass.cli.workloads import Workload

from .common import first_weights, timed


def tensorflow_graph(workload: Workload, threads: int, xla: bool = False) -> Contestant:
    """A tf.function that trains an epoch: gradients by GradientTape, its fused kernel for Adam."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)  # two ops at once cost it more than they save
    activate = tf.tanh if workload.activation == "Tanh" else tf.nn.relu
    weights = [tf.Variable(a) for pair in first_weights(workload) for a in pair]
    t = tf.Variable(0.0)
    steps = workload.steps_per_epoch
    X, y = workload.data()
    batches = (
        tf.constant(X.reshape(steps, workload.batch, -1)),
        tf.constant(y.reshape(steps, workload.batch, *y.shape[1:])),
    )

    widths = workload.layers[1:-1] if workload.batch_norm else ()
    scales, shifts = ([tf.Variable(tf.fill(width, value)) for width in widths] for value in (1.0, 0.0))
    running = [(tf.Variable(tf.zeros(width)), tf.Variable(tf.ones(width))) for width in widths]

    def loss_of(x: Any, target: Any) -> Any:
        for n, (w, b) in enumerate(zip(weights[:-2:2], weights[1:-2:2], strict=True)):
            x = tf.nn.bias_add(x @ w, b)
            if workload.batch_norm:
                mean, var = tf.nn.moments(x, 0)
                x = tf.nn.batch_normalization(x, mean, var, shifts[n], scales[n], 1e-5)
                for old, new in zip(
                    running[n], (mean, var * (workload.batch / (workload.batch - 1))), strict=True
                ):
                    old.assign(0.9 * old + 0.1 * new)
            x = activate(x)
            if workload.dropout:
                x = tf.nn.dropout(x, workload.dropout)
        out = tf.nn.bias_add(x @ weights[-2], weights[-1])
        if workload.loss == "mse":
            return tf.reduce_mean(tf.math.squared_difference(out, target))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, out))

    learned = [*weights, *scales, *shifts]
    m, v = ([tf.Variable(tf.zeros_like(w)) for w in learned] for _ in range(2))

    def many(X: Any, y: Any) -> Any:
        loss = tf.constant(0.0)
        for i in tf.range(steps):  # a loop within the graph; unrolled it is slower
            with tf.GradientTape() as tape:
                loss = loss_of(X[i], y[i])
            grads = tape.gradient(loss, learned)
            if workload.clip_grad_norm:
                grads, _ = tf.clip_by_global_norm(grads, workload.clip_grad_norm)
            t.assign_add(1.0)
            power1, power2 = 0.9**t, 0.999**t
            for w, g, m_, v_ in zip(learned, grads, m, v, strict=True):
                if workload.weight_decay:
                    w.assign(w * (1 - 1e-3 * workload.weight_decay))
                tf.raw_ops.ResourceApplyAdam(
                    var=w.handle, m=m_.handle, v=v_.handle, grad=g, lr=1e-3, epsilon=workload.eps,
                    beta1=0.9, beta2=0.999, beta1_power=power1, beta2_power=power2,
                )  # fmt: skip
        return loss

    graph = tf.function(many, jit_compile=xla)
    return timed(lambda: graph(*batches), 1, lambda last: last.numpy())

"""Seconds from the start of a new process to the end of the first training step, and the CPU seconds they took.

    python benchmarks/first_step.py [--repeats 9] [--json FILE]

Import, network, data of one batch, one step of the `rl` workload (8-64-64-4, batch 64, Adam), in backpass and in whichever of
PyTorch, JAX, TensorFlow and scikit-learn is installed; the processes take turns.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BACKPASS = """
import numpy as np, backpass as bp
from backpass import nn
X, y = np.ones((64, 8), np.float32), np.zeros(64, np.int64)
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
bp.Model(net, "cross_entropy", "adam").step(X, y)
"""
TORCH = """
import torch
from torch import nn
X, y = torch.ones(64, 8), torch.zeros(64, dtype=torch.int64)
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
optimizer = torch.optim.Adam(net.parameters(), fused=True)
nn.CrossEntropyLoss()(net(X), y).backward()
optimizer.step()
"""
JAX = """
from backpass.peers.with_jax import jax_step
from backpass.cli.workloads import WORKLOADS
import jax, jax.numpy as jnp
step, state = jax_step(WORKLOADS["rl"])
_, loss = jax.jit(step, donate_argnums=0)(state, (jnp.ones((64, 8)), jnp.zeros(64, int)))
loss.block_until_ready()
"""
TENSORFLOW = """
import tensorflow as tf
X, y = tf.ones((64, 8)), tf.zeros(64, tf.int64)
sizes = 8, 64, 64, 4
weights = [tf.Variable(tf.random.normal((i, o), stddev=i**-0.5)) for i, o in zip(sizes, sizes[1:])]
biases = [tf.Variable(tf.zeros(o)) for o in sizes[1:]]
variables = weights + biases
moments = [[tf.Variable(tf.zeros_like(v)) for v in variables] for _ in range(2)]
@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        for w, b in zip(weights[:-1], biases):
            x = tf.nn.relu(tf.nn.bias_add(x @ w, b))
        out = tf.nn.bias_add(x @ weights[-1], biases[-1])
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, out))
    for w, g, m, v in zip(variables, tape.gradient(loss, variables), *moments):
        tf.raw_ops.ResourceApplyAdam(var=w.handle, m=m.handle, v=v.handle, grad=g, lr=1e-3, epsilon=1e-8,
            beta1=0.9, beta2=0.999, beta1_power=0.9, beta2_power=0.999)
    return loss
step(X, y).numpy()
"""
SKLEARN = """
import numpy as np
from sklearn.neural_network import MLPClassifier
X, y = np.ones((64, 8), np.float32), np.arange(64) % 4
MLPClassifier((64, 64), batch_size=64).partial_fit(X, y, classes=np.arange(4))
"""
PROGRAMS = {
    "python alone": ("sys", "pass"),
    "numpy alone": ("numpy", "import numpy"),
    "backpass": ("backpass", BACKPASS),
    "torch eager": ("torch", TORCH),
    "jax jit": ("jax", JAX),
    "tensorflow graph": ("tensorflow", TENSORFLOW),
    "scikit-learn": ("sklearn", SKLEARN),
}


def seconds(program: str) -> tuple[float, float]:
    """Wall and CPU seconds of a new process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "2"
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Warm the file cache, let the processes take turns, print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--programs", metavar="A,B", default=",".join(PROGRAMS))
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    asked = arguments.programs.split(",")
    programs = {
        name: text for name, (module, text) in PROGRAMS.items() if name in asked and find_spec(module)
    }
    for text in programs.values():
        seconds(text)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(arguments.repeats):
        for name, text in programs.items():
            taken[name].append(seconds(text))
    results: dict[str, Any] = {}
    for name, pairs in taken.items():
        walls, cpus = zip(*pairs, strict=True)
        results[name] = {
            "seconds": statistics.median(walls),
            "cpu_seconds": statistics.median(cpus),
            "all": walls,
        }
        print(f"{name:<14}{results[name]['seconds']:8.3f} s   CPU {results[name]['cpu_seconds']:6.3f} s")
    if arguments.json:
        from backpass.diagnostics import config

        date = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"date": date, "versions": config.facts(), "first_step": results}
        Path(arguments.json).write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

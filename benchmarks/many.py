"""Many models at once: python benchmarks/many.py [--parts tiny,torch,jax,sklearn,users] [--json FILE]

tiny: 64 networks of the workload `tiny` for 20 epochs by `bp.fit_many`, one and two threads, beside one `fit` after the other;
microseconds a network and step, the median of `--repeats` turns. torch: a step of the same 64 networks at once, by hand with
`bmm` and its fused Adam, and by `torch.func.vmap` of the gradient, plain and compiled, one thread. jax: the same by `jax.vmap` of
a step in a `lax.scan`, compiled before the clock, on one CPU. sklearn: 200 MLPRegressors by joblib in two
processes, whose imports are done before the clock, beside fit_many on two threads, the same networks and epochs. users: 10,000
networks of 289 parameters by `bp.fit_each`, 16 epochs of 64 rows: models a minute, growth of the memory, size of the file.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn
from backpass.cli.workloads import WORKLOADS
from backpass.diagnostics import config

TINY = WORKLOADS["tiny"]
NETS, EPOCHS = 64, 20


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tiny(repeats: int, share: float) -> dict[str, Any]:
    """Microseconds a network and step: alone, and together on one and two threads, in turns."""
    X, y = (array[: int(share * len(array))] for array in TINY.data())
    steps = EPOCHS * len(X) // TINY.batch
    options = {"batch_size": TINY.batch, "epochs": EPOCHS}
    turns: dict[str, list[float]] = {"alone": [], "1 thread": [], "2 threads": []}
    TINY.model("native", 1).fit(X, y, batch_size=TINY.batch)
    for _ in range(repeats):
        model = TINY.model("native", 1)
        turns["alone"].append(seconds(lambda model=model: model.fit(X, y, **options)) / steps)
        for threads in (1, 2):
            models = [TINY.model("native", 1) for _ in range(NETS)]
            took = seconds(lambda m=models, n=threads: bp.fit_many(m, X, y, threads=n, **options))
            turns[f"{threads} thread{'s' * (threads > 1)}"].append(took / steps / len(models))
    return {name: 1e6 * statistics.median(values) for name, values in turns.items()}


def torch_step(repeats: int, share: float) -> dict[str, float]:
    """Microseconds a network and step of 64 networks at once."""
    import torch

    torch.set_num_threads(1)
    sizes = TINY.layers
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(NETS, a, b, generator=generator) / a**0.5 for a, b in pairwise(sizes)]
    biases = [torch.zeros(NETS, 1, b) for b in sizes[1:]]
    params = [*weights, *biases]
    X, y = (torch.from_numpy(array) for array in TINY.data())
    rows = torch.randint(len(X), (max(1, int(50 * share)), NETS, TINY.batch), generator=generator)
    grads = [torch.empty_like(p) for p in params]
    moments = [[torch.zeros_like(p) for p in params] for _ in range(2)]
    counts = [torch.zeros(()) for _ in params]

    def adam() -> None:
        for count in counts:
            count += 1
        torch._fused_adam_(
            params, grads, *moments, [], counts, lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    @torch.inference_mode()
    def by_hand(index: Any) -> None:
        w1, w2, w3, b1, b2, b3 = params
        x, target = X[index], y[index]
        h1 = torch.baddbmm(b1, x, w1).relu_()
        h2 = torch.baddbmm(b2, h1, w2).relu_()
        d3 = (torch.baddbmm(b3, h2, w3) - target).mul_(2 / TINY.batch)
        torch.bmm(h2.mT, d3, out=grads[2])
        torch.sum(d3, 1, keepdim=True, out=grads[5])
        d2 = torch.bmm(d3, w3.mT).mul_(h2 > 0)
        torch.bmm(h1.mT, d2, out=grads[1])
        torch.sum(d2, 1, keepdim=True, out=grads[4])
        d1 = torch.bmm(d2, w2.mT).mul_(h1 > 0)
        torch.bmm(x.mT, d1, out=grads[0])
        torch.sum(d1, 1, keepdim=True, out=grads[3])
        adam()

    def loss(parts: Any, x: Any, target: Any) -> Any:
        w1, w2, w3, b1, b2, b3 = parts
        h = torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2)
        return ((h @ w3 + b3 - target) ** 2).mean()

    gradient = torch.func.vmap(torch.func.grad(loss))
    compiled = torch.compile(gradient)

    def vmapped(gradient: Any) -> Callable[[Any], None]:
        def step(index: Any) -> None:
            for grad, new in zip(grads, gradient(tuple(params), X[index], y[index]), strict=True):
                grad.copy_(new)
            with torch.inference_mode():
                adam()

        return step

    found = {}
    for name, step in (
        ("bmm by hand", by_hand),
        ("vmap", vmapped(gradient)),
        ("vmap compiled", vmapped(compiled)),
    ):
        step(rows[0])
        turns = [seconds(lambda step=step: [step(index) for index in rows]) for _ in range(repeats)]
        found[name] = 1e6 * statistics.median(turns) / len(rows) / NETS
    return found


def jax_step(repeats: int, share: float) -> dict[str, float]:
    """Microseconds a network and step of 64 networks at once, on one CPU."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cpus)[-1:])
    try:
        import jax
        import jax.numpy as jnp

        from peers.with_jax import jax_step

        step, first = jax_step(TINY)
        states = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf)[None], NETS, 0), first)
        X, y = map(jnp.asarray, TINY.data())
        shape = max(1, int(200 * share)), NETS, TINY.batch
        rows = jnp.asarray(np.random.default_rng(0).integers(0, len(X), shape))
        together = jax.vmap(step)
        run = jax.jit(
            lambda states, rows: jax.lax.scan(
                lambda s, index: together(s, (X[index], y[index])), states, rows
            ),
            donate_argnums=0,
        )

        def steps() -> None:
            nonlocal states
            states, losses = run(states, rows)
            losses.block_until_ready()

        steps()
        turns = [seconds(steps) for _ in range(repeats)]
    finally:
        os.sched_setaffinity(0, cpus)
    return {"vmap in a scan": 1e6 * statistics.median(turns) / len(rows) / NETS}


def sklearn_mlps(share: float) -> dict[str, float]:
    """Seconds for 200 networks."""
    from joblib import Parallel, delayed
    from sklearn.neural_network import MLPRegressor

    X, y = TINY.data()
    X, y, epochs, count = X[:2048], y[:2048, 0], 10, int(200 * share)

    def one(seed: int) -> Any:
        import warnings

        warnings.simplefilter("ignore")
        mlp = MLPRegressor(
            hidden_layer_sizes=TINY.layers[1:-1],
            batch_size=TINY.batch,
            max_iter=epochs,
            alpha=0,
            random_state=seed,
            tol=0,
        )
        return mlp.fit(X, y)

    with Parallel(n_jobs=2) as parallel:
        parallel(delayed(one)(seed) for seed in range(4))
        joblib_seconds = seconds(lambda: parallel(delayed(one)(seed) for seed in range(count)))
    models = [TINY.model("native", 1) for _ in range(count)]
    ours = seconds(lambda: bp.fit_many(models, X, y, batch_size=TINY.batch, epochs=epochs, threads=2))
    return {
        "joblib, 2 processes": joblib_seconds,
        "fit_many, 2 threads": ours,
        "ratio": joblib_seconds / ours,
    }


def users(share: float) -> dict[str, float]:
    """A network for each of so many users, one thread."""
    rng, count = np.random.default_rng(0), int(10_000 * share)
    data = {
        "user": rng.permutation(np.repeat(np.arange(count), 64)),
        "x": rng.standard_normal((64 * count, 8), dtype=np.float32),
        "y": rng.standard_normal(64 * count, dtype=np.float32),
    }
    options = {"by": "user", "X": "x", "y": "y", "epochs": 16, "batch_size": 64, "threads": 1}

    def build(key: int = 0) -> bp.Model:
        return bp.Model(
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))
        )

    few = {name: array[data["user"] < count // 10] for name, array in data.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    models = bp.fit_each(build(), data, **options)
    took = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    by_function = seconds(lambda: bp.fit_each(build, few, **options))
    weights = count * sum(array.nbytes for array in models[0].state_dict().values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "users.safetensors"
        models.save(path)
        size = path.stat().st_size
    return {
        "models a minute, copies of a model": 60 * count / took,
        "models a minute, each built by a function": 60 * (count // 10) / by_function,
        "growth of the peak memory, MB": grown / 1024,
        "file over weights": size / weights,
    }


def main() -> None:
    """Measure the parts that are asked for, and print them; what a file has of other parts stays there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="tiny,torch,jax,sklearn,users")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the data, models, and steps")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "tiny": lambda: tiny(asked.repeats, asked.share),
        "torch": lambda: torch_step(asked.repeats, asked.share),
        "jax": lambda: jax_step(asked.repeats, asked.share),
        "sklearn": lambda: sklearn_mlps(asked.share),
        "users": lambda: users(asked.share),
    }
    found = {name: parts[name]() for name in asked.parts.split(",")}
    print(json.dumps(found, indent=1))
    if asked.json:
        kept = json.loads(asked.json.read_text()) if asked.json.exists() else {}
        peers = {name: version(name) for name in ("jax", "torch") if name in sys.modules}
        about = {"versions": kept.get("versions", {}) | config.facts() | peers}
        asked.json.write_text(json.dumps(kept | found | about, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Modules with a forward of their own, beside PyTorch and JAX: python benchmarks/modules.py [--jax PYTHON] [--quick].

A highway network and an MLP-Mixer, at widths of 64 and 512: float32, batches of 64, Adam, cross entropy, one thread. backpass and
PyTorch (eager, its fused Adam) share one class body. JAX has it as a function, in one compiled scan over the batches of an epoch
(peers/modules_in_jax.py), in a process of the Python that --jax names; its first call is not counted. All begin with the same
weights, and the script ends if the losses of the first steps differ by more than a ten-thousandth. Then they take turns.
`fit` shuffles and gathers; the batches of the others lie ready. Two more rows are without peers: what is written out, over the
same as built in. Ratios: median, least and most of the turns. Writes benchmarks/results/modules.json.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim
from backpass.cli.contestant import Contestant
from backpass.diagnostics import config
from peers import available
from peers.apart import process

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "modules.json"
BATCH, CLASSES = 64, 10
# Widths and tokens: of a row of the Mixer 16, or 4, whose products are small.
NETWORKS = {
    "highway 64": ("highway", 64, 1), "mixer 64": ("mixer", 64, 16), "mixer 64, 4 tokens": ("mixer", 64, 4),
    "highway 512": ("highway", 512, 1), "mixer 512": ("mixer", 512, 16),
}  # fmt: skip
STEPS = {64: 200, 512: 10}  # of an epoch, and of a scan, by the width
CHECKED = 10  # steps whose losses have to agree
TOLERANCE = 1e-4  # relative; float32 makes 1e-6, a rate of 1.1e-3 instead of 1e-3 makes 2e-4 and more

# A contestant, and the losses of its first steps.
Started = tuple[Contestant, Sequence[float]]
Weights = dict[str, np.ndarray]


def define(nn: Any, torch: Any) -> dict[str, Callable[[int, int], Any]]:
    """The class bodies, for either library: name -> what makes the network of a width, for so many tokens."""

    class Highway(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int, tokens: int, layers: int = 4) -> None:
            super().__init__()
            self.h = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
            self.t = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
            self.out = nn.Linear(width, CLASSES)

        def forward(self, x: Any) -> Any:
            for h_layer, t_layer in zip(self.h, self.t, strict=True):
                h, t = torch.relu(h_layer(x)), torch.sigmoid(t_layer(x))
                x = t * h + (1 - t) * x
            return self.out(x)

    def perceptron(width: int) -> Any:
        return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int, tokens: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.tokens, self.channels = perceptron(tokens), perceptron(width)

        def forward(self, x: Any) -> Any:
            x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
            return x + self.channels(self.norm2(x))

    class Mixer(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int, tokens: int, blocks: int = 2) -> None:
            super().__init__()
            self.blocks = nn.Sequential(*[Block(width, tokens) for _ in range(blocks)])
            self.out = nn.Linear(width, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.out(self.blocks(x).mean(dim=1))

    return {"highway": Highway, "mixer": Mixer}


def first_weights(net: nn.Module) -> Weights:
    """What a network begins with, by PyTorch's keys."""
    return {key: value.copy() for key, value in bp.Model(net, seed=1).state_dict().items()}


def in_backpass(net: nn.Module, loss: Any, X: np.ndarray, y: np.ndarray, state: Weights) -> Started:
    """`fit`, which shuffles and gathers. X and y, here as below: a batch in each row."""
    model = bp.Model(net, loss, optim.Adam(lr=1e-3), backend="native", threads=1)
    model.load_state_dict(state)
    rows, targets = (a.reshape(-1, *a.shape[2:]) for a in (X, y))

    def fit(X: np.ndarray, y: np.ndarray, epochs: int, shuffle: bool) -> float:
        history = model.fit(X, y, epochs=epochs, batch_size=BATCH, shuffle=shuffle)
        return float(history.history["loss"][0])

    def train(epochs: int) -> float:
        start = time.perf_counter()
        fit(rows, targets, epochs, shuffle=True)
        return time.perf_counter() - start

    return train, [fit(X[i], y[i], 1, shuffle=False) for i in range(min(CHECKED, len(X)))]


def in_torch(name: str, sizes: tuple[int, int], X: np.ndarray, y: np.ndarray, state: Weights) -> Started:
    """The same class in PyTorch, with autograd and the fused Adam."""
    import torch

    torch.set_num_threads(1)
    net = define(torch.nn, torch)[name](*sizes)
    net.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    loss_from = torch.nn.CrossEntropyLoss()
    batches = list(zip(torch.from_numpy(X), torch.from_numpy(y), strict=True))

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_from(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def train(epochs: int) -> float:
        start = time.perf_counter()
        for x, y in itertools.chain.from_iterable(itertools.repeat(batches, epochs)):
            step(x, y)
        return time.perf_counter() - start

    return train, [step(*batch).item() for batch in batches[:CHECKED]]


def in_jax(python: str, name: str, X: np.ndarray, y: np.ndarray, state: dict[str, np.ndarray]) -> Started:
    """peers/modules_in_jax.py in a process of its own, which gets arrays and weights by a file."""
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} | os.environ
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "first.npz")
        np.savez(file, X=X, y=y, **state)  # type: ignore[arg-type]
        script = str(HERE / "peers" / "modules_in_jax.py")
        ask = process("jax scan", [python, script, name, file], flags)
        losses = json.loads(ask(""))
    return lambda epochs: float(ask(f"{epochs}\n")), losses[:CHECKED]


def against_peers(name: str, sizes: tuple[int, int], steps: int, jax: str) -> dict[str, Started]:
    """The contestants of one network; jax: a Python that has it, or nothing."""
    rng = np.random.default_rng(0)
    width, tokens = sizes
    row = (tokens, width) if name == "mixer" else (width,)
    X = rng.standard_normal((steps, BATCH, *row), dtype=np.float32)
    y = rng.integers(0, CLASSES, (steps, BATCH))
    ours = define(nn, bp)[name]
    state = first_weights(ours(*sizes))
    started = {"backpass": in_backpass(ours(*sizes), "cross_entropy", X, y, state)}
    if available("torch"):
        started["torch eager"] = in_torch(name, sizes, X, y, state)
    if jax:
        started["jax scan"] = in_jax(jax, name, X, y, state)
    return started


def huber(pred: Any, y: Any) -> Any:
    """Huber's loss, written out."""
    distance = (pred - y).abs()
    return bp.where(distance < 1.0, 0.5 * distance * distance, distance - 0.5).mean()


class SiLU(nn.Module):
    """nn.SiLU, written out."""

    def forward(self, x: Any) -> Any:
        return x * bp.sigmoid(x)


def against_built_in(name: str, steps: int) -> dict[str, Started]:
    """The built-in form of a loss or of an activation, and the same written out."""
    rng = np.random.default_rng(0)
    X, y = (rng.standard_normal((steps, BATCH, width), dtype=np.float32) for width in (64, 8))

    def net(own: bool) -> nn.Module:
        activation = nn.ReLU() if name == "huber" else SiLU() if own else nn.SiLU()
        return nn.Sequential(nn.Linear(64, 128), activation, nn.Linear(128, 8))

    state = first_weights(net(own=False))
    losses: tuple[Any, Any] = ("huber", nn.traced(huber)) if name == "huber" else ("mse", "mse")
    return {
        "built in": in_backpass(net(own=False), losses[0], X, y, state),
        "written out": in_backpass(net(own=True), losses[1], X, y, state),
    }


def difference(name: str, started: dict[str, Started]) -> float:
    """The greatest relative difference between the first contestant's losses and another's; an error above TOLERANCE."""
    (_, base), *_ = started.values()
    worst = 0.0
    for who, (_, losses) in started.items():
        apart = float(np.max(np.abs(np.divide(losses, base) - 1)))
        if len(losses) != len(base) or not apart <= TOLERANCE:
            raise RuntimeError(
                f"{name}: the losses of {who} are {losses}, expected those of {next(iter(started))}: {base}"
            )
        worst = max(worst, apart)
    return worst


def measure(name: str, started: dict[str, Started], steps: int, turns: int, seconds: float) -> dict[str, Any]:
    """All take turns of about so many seconds; prints a line for each."""
    worst = difference(name, started)
    epochs = {}
    for who, (train, _) in started.items():
        epochs[who] = 1
        if seconds:
            train(1)
            epochs[who] = max(1, round(seconds / train(1)))
    times: dict[str, list[float]] = {who: [] for who in started}
    for _ in range(turns):
        for who, (train, _) in started.items():
            times[who].append(train(epochs[who]) * 1e6 / (epochs[who] * steps))
    found: dict[str, Any] = {}
    base = next(iter(times.values()))
    for who, each in times.items():
        ratios = sorted(theirs / ours for theirs, ours in zip(each, base, strict=True))
        found[who] = {"us_per_step": each, "median": statistics.median(each), "steps": epochs[who] * steps}
        line = f"{name:<20}{who:<13}{found[who]['median']:11,.1f} µs"
        if each is not base:
            found[who] |= {"ratio": statistics.median(ratios), "spread": [ratios[0], ratios[-1]]}
            line += f"{found[who]['ratio']:8.2f}x [{ratios[0]:.2f} {ratios[-1]:.2f}]"
        print(line, flush=True)
    return {"batch": BATCH, "loss_difference": worst, "contestants": found}


def version(python: str, library: str) -> str:
    """A library's version in a Python, empty where there is none."""
    program = f"from importlib.metadata import version; print(version({library!r}))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return done.stdout.strip()


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jax", metavar="PYTHON", default=sys.executable, help="a Python that has JAX")
    parser.add_argument("--turns", type=int, default=9, help="of each contestant (default 9)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn, at least an epoch")
    parser.add_argument("--note", default="", help="what a reader should know of the machine's state")
    parser.add_argument(
        "--quick", action="store_true", help="each once, to see that it works; writes nothing"
    )
    arguments = parser.parse_args()
    if forced := config.forced_kernels():
        raise SystemExit(f"every library is measured as it is shipped, but {forced} is set: unset it")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])  # everybody on the same core
    turns, seconds = (1, 0.0) if arguments.quick else (arguments.turns, arguments.seconds)
    peers = {"torch": version(sys.executable, "torch"), "jax": version(arguments.jax, "jax")}
    if missing := [library for library, found in peers.items() if not found]:
        print(f"not installed, and left out: {', '.join(missing)}")
    networks: dict[str, Any] = {}
    for label, (name, *sizes) in NETWORKS.items():
        steps = 2 if arguments.quick else STEPS[sizes[0]]
        started = against_peers(name, (sizes[0], sizes[1]), steps, arguments.jax if peers["jax"] else "")
        networks[label] = measure(label, started, steps, turns, seconds)
    written_out: dict[str, Any] = {}
    for name in ("huber", "silu"):
        steps = 2 if arguments.quick else STEPS[64]
        written_out[name] = measure(name, against_built_in(name, steps), steps, turns, seconds)
    if not arguments.quick:
        about = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cpu": config.cpu(),
            "isa": config.isas()[0],
            "note": arguments.note,
            "threads": 1,
            "turns": turns,
            "seconds": seconds,
            "versions": config.facts() | peers,
        }
        results = about | {"networks": networks, "written_out": written_out}
        RESULT.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

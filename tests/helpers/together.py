"""What ranks do together: `mpiexec -n 2 python tests/helpers/together.py FOLDER` writes a JSON file for each rank."""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim
from backpass.training.ranks import Ranks

RNG = np.random.default_rng(3)
# 203 rows: the last batch of 32 has 11, which 4 ranks cannot share alike.
X, Y = RNG.standard_normal((203, 6)), RNG.integers(0, 3, 203)
WEIGHT = RNG.uniform(0.1, 2, 203)


def dense(**options: Any) -> bp.Model:
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = optim.Adam(lr=optim.schedules.cosine(1e-2, 100), clip_grad_norm=0.5)
    return bp.Model(net, "cross_entropy", optimizer, **{"dtype": "float64", "seed": 4} | options)


def random(dtype: str = "float32") -> bp.Model:
    """Whose steps draw numbers, and which keeps statistics."""
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3))
    return bp.Model(net, "cross_entropy", optim.SGD(lr=0.1, momentum=0.9), dtype=dtype)


def normalised(kind: str, synchronized: bool = True) -> tuple[bp.Model, np.ndarray]:
    """Whose rows are normalised by those of the whole batch, and what it is trained on. A batch of 32 leaves 3 rows."""
    if kind == "dense":
        net = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16, synchronized=synchronized), nn.PReLU(16), nn.Linear(16, 8),
            nn.BatchNorm1d(8, affine=False, momentum=None, unbiased=False, synchronized=synchronized), nn.Linear(8, 3),
        )  # fmt: skip
    else:
        norms = [
            nn.BatchNorm2d(4, synchronized=synchronized),
            nn.SyncBatchNorm(4) if synchronized else nn.BatchNorm2d(4),
        ]
        block = nn.Residual(nn.Conv2d(4, 4, 3, padding=1), norms[1], nn.ReLU())
        net = nn.Sequential(nn.Conv2d(2, 4, 2), norms[0], block, nn.Flatten(), nn.Linear(16, 3))
    model = bp.Model(net, "cross_entropy", optim.SGD(lr=0.05, momentum=0.9), dtype="float64", seed=4)
    return model, X[:99] + 1 if kind == "dense" else np.resize(X, (99, 2, 3, 3))


def synchronized(comm: Any, kind: str, **options: Any) -> list[Any]:
    """Weights and statistics after 100 steps."""
    model, rows = normalised(kind)
    model.fit(rows, Y[:99], sample_weight=WEIGHT[:99], batch_size=32, epochs=25, comm=comm, **options)
    return [np.asarray(array).tolist() for array in model.state_dict().values()]


class Centred(nn.Module):
    """Each row of whose output depends on the others of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        return y - y.mean(0)


def wide(comm: Any = None) -> bp.Model:
    """Trained for 14 steps, of so many parameters that gradients are sent while the backward pass goes on to earlier layers."""
    twice = nn.Linear(384, 384)
    hidden = [
        nn.Linear(6, 384),
        nn.Tanh(),
        twice,
        nn.Tanh(),
        twice,
        nn.Tanh(),
        nn.Linear(384, 384),
        nn.Tanh(),
    ]
    model = bp.Model(
        nn.Sequential(*hidden, nn.Linear(384, 3)),
        "cross_entropy",
        optim.SGD(lr=0.05),
        dtype="float64",
        seed=4,
    )
    model.fit(X, Y, sample_weight=WEIGHT, batch_size=32, epochs=2, comm=comm)
    return model


def sent_ahead(comm: Any, failing: bool) -> dict[str, Any]:
    """How many messages a step had and what they led to; then what came of a rank that fails behind its second one."""
    sent, send = [], Ranks.send
    fails_at = 0

    def counted(ranks: Ranks) -> None:
        send(ranks)
        sent.append(len(ranks._begun))
        if failing and len(sent) == fails_at:
            raise OSError("no more")

    Ranks.send = counted  # type: ignore[method-assign]
    try:
        model = wide(comm)
        found = {
            "messages": max(sent, default=0),
            "weights": model.engine.flat.params[::97].tolist(),
            "digest": digest(model),
        }
        fails_at = len(sent) + 2
        wide(comm)
    except (OSError, RuntimeError) as error:
        found["error"] = f"{type(error).__name__}: {error}"
    finally:
        Ranks.send = send  # type: ignore[method-assign]
    return found


def traced() -> bp.Model:
    """Its loss is a function, which each process has at an address of its own."""
    loss = nn.traced(lambda pred, y: ((pred - y) ** 2).mean(dim=-1))
    return bp.Model(nn.Linear(6, 3), loss, optim.SGD(lr=0.1), dtype="float64")


def digest(model: bp.Model) -> str:
    moments = (model.engine.optimizer_state[name] for name in model.optimizer.slots)
    return hashlib.sha256(b"".join(a.tobytes() for a in [*model.state_dict().values(), *moments])).hexdigest()


def train(comm: Any = None, **options: Any) -> tuple[bp.Model, bp.History]:
    """105 steps."""
    model = dense()
    options = {"epochs": 15, "batch_size": 32, "sample_weight": WEIGHT} | options
    return model, model.fit(X, Y, comm=comm, **options)


def confidence(y: np.ndarray, pred: np.ndarray, sample_weight: np.ndarray) -> float:
    """Depends on the order of the rows in its last bits."""
    return float(np.cumsum(pred.max(1) * sample_weight)[-1])


def measured(comm: Any = None, **options: Any) -> dict[str, list[float]]:
    """The history of a run with metrics."""
    model = dense(metrics=["f1", "top_2", confidence])
    given: dict[str, Any] = {
        "epochs": 3,
        "batch_size": 32,
        "sample_weight": WEIGHT,
        "validation_data": (X, Y, WEIGHT),
    }
    return model.fit(X, Y, comm=comm, **given, **options).history


def failing(y: np.ndarray, pred: np.ndarray) -> float:
    raise OSError("no more")


class OnRank(bp.Callback):
    """Calls a function on one rank, at the end of an epoch."""

    def __init__(self, comm: Any, rank: int, call: Callable[[Any], None], epoch: int = 1) -> None:
        self.mine, self.call, self.at = comm.Get_rank() == rank, call, epoch

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if self.mine and epoch == self.at:
            self.call(self.model)


class AfterBatch(bp.Callback):
    """Fails on one rank, behind its second batch."""

    def __init__(self, comm: Any, rank: int) -> None:
        self.mine = comm.Get_rank() == rank

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        if self.mine and batch == 1:
            raise OSError("no more")


def said(error: BaseException) -> Callable[[Any], None]:
    def call(model: Any) -> None:
        raise error

    return call


def kill(model: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def scenarios(comm: Any, folder: Path) -> dict[str, Any]:
    """What came of each, on this rank."""
    rank, size = comm.Get_rank(), comm.Get_size()
    last = size - 1
    found: dict[str, Any] = {}
    model, history = train(comm)
    found["weights"], found["history"] = model.engine.flat.params.tolist(), history.history
    for dtype in ("float32", "float64"):
        model = random(dtype)
        model.fit(X, Y, epochs=3, batch_size=32, sample_weight=WEIGHT, comm=comm, reproducible=True)
        found[f"bits {dtype}"] = digest(model)

    found["metrics"] = measured(comm)
    found["exact metrics"] = measured(comm, reproducible=True)
    try:
        dense(metrics=[failing]).fit(X, Y, batch_size=32, comm=comm)
    except (OSError, RuntimeError) as error:
        found["a metric fails"] = f"{type(error).__name__}: {error}"

    found["sent ahead"] = sent_ahead(comm, rank == last)

    for kind in ("dense", "images"):
        found[f"synchronized {kind}"] = synchronized(comm, kind)
    found["synchronized errors"] = []
    for rows, options in {
        99: {"callbacks": [OnRank(comm, last, said(OSError("no more")))]},
        98: {"callbacks": [AfterBatch(comm, last)]},
        97: {},
        96: {"reproducible": True},
    }.items():
        model, data = normalised("dense")
        try:
            model.fit(data[:rows], Y[:rows], batch_size=32, epochs=3, comm=comm, **options)
        except (OSError, RuntimeError, ValueError) as error:
            found["synchronized errors"].append(f"{type(error).__name__}: {error}")

    # Rows of its own: those of the batch of 32 that a single process takes, in another order.
    own = dense()
    own.fit(X[rank:200:size], Y[rank:200:size], batch_size=200, comm=comm, epochs=4)
    found["own rows"] = own.engine.flat.params.tolist()

    # What writes is rank 0's; all stop at the same epoch.
    path = folder / f"{size}.safetensors"
    calls = [bp.EarlyStopping(patience=1), bp.ModelCheckpoint(path), bp.CSVLogger(folder / f"{size}.csv")]
    model, history = random(), None
    history = model.fit(
        X, Y, epochs=40, batch_size=64, validation_split=0.3, callbacks=calls, comm=comm, progress=False
    )
    found["stopped"] = [len(history.epoch), digest(model)]

    # One rank alone wants to stop, by a callback or by its clock.
    model, history = train(comm, callbacks=[OnRank(comm, last, lambda m: setattr(m, "stop_training", True))])
    found["one stops"] = len(history.epoch)
    model = dense()
    model.fit(X, Y, epochs=10**6, batch_size=32, comm=comm, max_seconds=0.1 if rank == last else 1e9)
    found["one is late"] = [int(model.engine.step_count[0]), digest(model)]

    # Interrupted in the middle of an epoch; other tests go on from here with another number of ranks.
    for name in [*folder.glob("interrupted*")]:
        model = bp.load(name)
        model.fit(X, Y, sample_weight=WEIGHT, epochs=15, comm=comm, resume=True)
        found["resumed"] = model.engine.flat.params.tolist()
        model = bp.load(name)
        model.metrics = ["f1"]
        try:
            model.fit(X, Y, sample_weight=WEIGHT, epochs=15, comm=comm, resume=True)
        except ValueError as error:
            found["metrics within an epoch"] = f"{type(error).__name__}: {error}"

    model = traced()
    model.fit(X, X[:, :3], comm=comm, batch_size=32, epochs=2)
    found["traced"] = model.engine.flat.params.tolist()
    found["rows mixed"] = ""
    for mixed in (
        bp.Model(Centred()),
        bp.Model(nn.Linear(6, 3), nn.traced(lambda pred, y: (pred - y).var())),
    ):
        try:
            mixed.fit(X, X[:, :3], comm=comm, batch_size=32)
        except ValueError as error:
            found["rows mixed"] += str(error)

    rows = X.copy()
    rows[7, 2] = np.nan if rank == last else 0.0
    mine: Any = rank == last
    for name, options in {
        "error": {"callbacks": [OnRank(comm, last, said(OSError("no more")))]},
        "interrupt": {"callbacks": [OnRank(comm, last, said(KeyboardInterrupt()))]},
        "at the end": {"callbacks": [OnRank(comm, last, said(OSError("no more")), 14)]},
        "nan": {"X": rows},
        "columns": {"X": X[:, :5] if mine else X},
        "rows": {"X": X[:200] if mine else X, "y": Y[:200] if mine else Y, "sample_weight": None},
        "batch_size": {"batch_size": 16 if mine else 32},
        "epochs": {"epochs": -1 if mine else 2},
        "seed": {"seed": 5 if mine else 4},
        "class_weight": {"class_weight": {0: 1.0, 1: 3.0 if mine else 2.0, 2: 1.0}},
    }.items():
        start = time.perf_counter()
        given = {"X": X, "y": Y, "sample_weight": WEIGHT, "batch_size": 32, "epochs": 15} | options
        try:
            dense(seed=given.pop("seed", 4)).fit(given.pop("X"), given.pop("y"), comm=comm, **given)
        except BaseException as error:
            took = time.perf_counter() - start
            found[name] = [type(error).__name__, str(error), took]
    try:
        linear = bp.Model(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), "cross_entropy")
        linear.net[0].weight *= 100
        linear.fit(X * (1e38 if mine else 1), Y, comm=comm, batch_size=8)
    except bp.NonFiniteError as error:
        found["overflow"] = str(error)
    return found


def main() -> None:
    from mpi4py import MPI

    comm, folder = MPI.COMM_WORLD, Path(sys.argv[1])
    if sys.argv[2:] == ["kill"]:
        train(comm, callbacks=[OnRank(comm, 1, kill)], epochs=10**6)
    found = scenarios(comm, folder)
    (folder / f"{comm.Get_size()}.{comm.Get_rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

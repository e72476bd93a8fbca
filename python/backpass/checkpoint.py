"""model.save and bp.load: everything that training goes on from, in one safetensors file.

Tensors: `model.<key>` and `optimizer.<slot>.<key>` under the keys and in the layout of `state_dict`; `optimizer.lr` and what
else an optimizer keeps; `history.<name>`; `callback.<number>`. The metadata holds the format, a SHA-256 checksum over the rest of
the file, and JSON: the model's description, its counters, the seed of its random numbers, the last run. Nothing in a file is ever
executed: it may only name classes of backpass (`describe.py`).
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import arguments, describe, snapshot, storage
from .backends import get_backend
from .checks import as_path
from .errors import CheckpointError, DamagedError
from .losses import Loss
from .model import Model
from .nn import Layer
from .optim import Optimizer

FORMAT = 1
HOW = {"net": "net=nn.Sequential(...)", "loss": "loss=...", "optimizer": "optimizer=..."}


def save(model: Model, path: str | os.PathLike[str], keep: int = 1, check: bool = False) -> None:
    """What `Model.save` does; `keep`: how many files to keep, path.1 being the one before; `check`: only if it is whole."""
    from . import __version__

    path = Path(as_path("path", path))
    tensors = snapshot.tensors_of(model)
    for name, array in tensors.items():
        if array.dtype.kind != "f":
            continue
        moments = name.startswith("optimizer.")  # they may be infinite: a step of 0
        if np.isnan(array).any() if moments else not np.isfinite(array).all():
            raise CheckpointError(
                f"{path} was not written: {name} holds NaN or infinity, and the file before may still be good"
            )
    contents = {
        "backpass": __version__,
        "model": _description(model),
        "step": int(model.step_count[0]),
        "epoch": model.epoch,
        "run": None,
    }
    if model.last_run:
        with _reading(path, "was not written: the state of the run or of a callback cannot be read back"):
            contents["run"] = snapshot.run_to_json(model.last_run.as_it_stands(model.stop_training), tensors)
            snapshot.run_from_json(contents["run"], dict(tensors), model)  # what is written can be read
    metadata = {"backpass_format": str(FORMAT), "backpass": json.dumps(contents, allow_nan=False)}
    storage.write(path, tensors, metadata, keep, check)


def load(
    path: str | os.PathLike[str],
    backend: str = "auto",
    threads: int | None = None,
    *,
    net: Layer | None = None,
    loss: str | Loss | Callable[..., Any] | None = None,
    optimizer: str | Optimizer | None = None,
) -> Model:
    """The model in a file of `Model.save` or `ModelCheckpoint`; training goes on to the same bits as if it had never stopped.

    That holds on the same backend and instruction set, with any number of threads; on others results differ by rounding.
    Where the file is missing or damaged, the newest good one of path.1, path.2, ... is taken, with a warning.

    Args:
        path: the file. Nothing in it is executed.
        backend, threads: as in bp.Model; they are not part of the file.
        net, loss, optimizer: only needed where the file cannot describe them, because they are made of classes or functions of
            your own: the same as when it was written, newly made. The learning rate and all other state come from the file.

    Raises:
        CheckpointError: names the file and what is wrong with it.
        MemoryError: the model needs more memory than there is.
    """
    get_backend(backend)  # if it is missing, that is what to say
    net = None if net is None else arguments.net(net)
    used, (tensors, metadata) = _newest(Path(as_path("path", path)))
    with _reading(used):
        version = int(metadata["backpass_format"])
    if version > FORMAT:
        raise CheckpointError(
            f"{used} has format {version}, of a newer backpass; this one reads format {FORMAT}: upgrade it"
        )
    if version < 1:
        raise CheckpointError(f"{used} has format {version}, which no backpass ever wrote")
    with _reading(used):
        contents = json.loads(metadata["backpass"])
        made = contents["model"]
        if net is None:
            net = _built(used, made, "net", describe.build_net)
        if loss is None:
            loss = _built(used, made, "loss", lambda one: describe.build(one, describe.LOSSES))
        if optimizer is None:
            optimizer = _built(used, made, "optimizer", lambda one: describe.build(one, describe.OPTIMIZERS))
        if made["dtype"] not in ("float32", "float64"):
            raise ValueError(f"dtype is {made['dtype']!r:.80}")
        seed = snapshot.whole("seed", made["seed"], 2**63)
        snapshot.check(tensors, snapshot.declared(net, made["dtype"]))  # before memory is taken for them
    model = Model(net, loss, optimizer, backend=backend, threads=threads, dtype=made["dtype"], seed=seed)
    with _reading(used):
        snapshot.fill(model, tensors)
        model.step_count[0] = snapshot.whole("step", contents["step"], snapshot.LARGEST)
        model.epoch = snapshot.whole("epoch", contents["epoch"], snapshot.LARGEST)
        if contents["run"] is not None:
            model.last_run = snapshot.run_from_json(contents["run"], tensors, model)
        if tensors:
            raise ValueError(f"it holds {sorted(tensors)[0]!r:.80}, which this model does not have")
    return model


def _newest(path: Path) -> tuple[Path, tuple[snapshot.Tensors, dict[str, str]]]:
    try:
        return path, storage.read(path)
    except DamagedError as error:
        for older in storage.previous(Path(os.path.realpath(path))):  # where `write` put them
            try:
                found = storage.read(older)
            except CheckpointError:
                continue
            warnings.warn(f"{error}. Loaded {older}, the checkpoint before it", RuntimeWarning, stacklevel=3)
            return older, found
        raise


@contextmanager
def _reading(path: Path, wrong: str = "does not describe a model") -> Iterator[None]:
    """Whatever a file's contents make fail is the file's fault."""
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else error
        raise CheckpointError(f"{path} {wrong}: {what}") from error


# ---- the model -------------------------------------------------------------------------------------------------------


def _description(model: Model) -> dict[str, Any]:
    made: dict[str, Any] = {"dtype": model.dtype.name, "seed": model.seed}
    parts: list[tuple[str, Callable[[], Any]]] = [
        ("net", lambda: describe.describe_net(model.net)),
        ("loss", lambda: describe.describe(model.callable_loss or model.loss, describe.LOSSES)),
        ("optimizer", lambda: describe.describe(model.optimizer, describe.OPTIMIZERS)),
    ]
    for part, write in parts:
        try:
            made[part] = write()
        except describe.UnknownError as error:
            made[part] = {"unknown": str(error)}
    return made


def _built(path: Path, made: Any, part: str, build: Callable[[Any], Any]) -> Any:
    if "unknown" in made[part]:
        raise CheckpointError(
            f"{path} cannot describe its {part} ({made[part]['unknown']}): pass it as it was, bp.load(path, {HOW[part]})"
        )
    return build(made[part])

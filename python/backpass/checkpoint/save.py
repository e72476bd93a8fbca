"""save: everything that training goes on from, in one safetensors file; load.py reads it.

Tensors: `model.<key>` and `optimizer.<slot>.<key>` under the keys and in the layout of `state_dict`; `optimizer.lr` and what
else an optimizer keeps; `history.<name>`; `callback.<number>`. The metadata holds the format, a SHA-256 checksum over the rest of
the file, and JSON: the model's description, its counters, the seed of its random numbers, the last run. Nothing in a file is ever
executed: it may only name classes of backpass (`describe.py`).
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..checks import as_path
from ..engine.engine import Engine
from ..engine.weights import frozen
from ..errors import CheckpointError, warn
from . import contents, describe, files
from .own import own_of
from .settings import digest_of, without_addresses

FORMAT = 1
DESCRIBES = "does not describe a model"
HOW = {"net": "net=nn.Sequential(...)", "loss": "loss=...", "optimizer": "optimizer=..."}


def save(engine: Engine, path: str | os.PathLike[str], keep: int = 1, check: bool = False) -> None:
    """What `Model.save` does; `keep`: how many files to keep, path.1 being the one before; `check`: only if it is whole."""
    path = Path(as_path("path", path))
    files.write(path, *written(engine, path), keep, check)


def written(engine: Engine, path: Path, told: bool = True) -> tuple[contents.Tensors, dict[str, str]]:
    """The tensors and the metadata of a model's file; told: whether a warning names a part that it cannot describe."""
    # A setting that was changed since the last step is part of the state.
    engine.refresh()
    tensors = contents.tensors_of(engine)
    for name, array in tensors.items():
        if array.dtype.kind != "f":
            continue
        moments = name.startswith("optimizer.")  # they may be infinite: a step of 0
        if np.isnan(array).any() if moments else not np.isfinite(array).all():
            raise CheckpointError(
                f"{path} was not written: {name} holds NaN or infinity, and the file before may still be good"
            )
    state_json = {
        "backpass": __version__,
        "model": model_description(engine, path if told else None),
        "step": int(engine.step_count[0]),
        "optimizer_step": int(engine.optimizer_step[0]),
        "epoch": engine.epoch,
        "frozen": frozen(engine.net),
        **own_of(engine),
        "run": None,
    }
    if engine.precision != "float32":
        state_json["unit"] = engine.unit
    if engine.last_run:
        with reading(path, "was not written: the state of the run or of a callback cannot be read back"):
            state_json["run"] = contents.run_to_json(
                engine.last_run.as_it_stands(engine.stop_training), tensors
            )
            contents.run_from_json(state_json["run"], dict(tensors), engine)  # what is written can be read
    return tensors, {"backpass_format": str(FORMAT), "backpass": json.dumps(state_json, allow_nan=False)}


@contextmanager
def reading(path: Path, wrong: str = DESCRIBES) -> Iterator[None]:
    """Whatever a file's contents make fail is the file's fault."""
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else error
        raise CheckpointError(f"{path} {wrong}: {reason}") from error


def model_description(engine: Engine, path: Path | None = None) -> dict[str, Any]:
    """What tells one model from another: network, loss and optimizer with their settings, dtype, seed.

    path: of the file that is written, of which a warning says that it cannot describe a part.
    """
    description: dict[str, Any] = {"dtype": engine.dtype.name, "seed": engine.seed, "like": engine.like}
    if engine.precision != "float32":
        description["precision"] = engine.precision
    parts: list[tuple[str, Any, Callable[[Any], Any]]] = [
        ("net", engine.net, describe.describe_net),
        ("loss", engine.loss_function or engine.loss, partial(describe.describe, classes=describe.LOSSES)),
        ("optimizer", engine.optimizer, partial(describe.describe, classes=describe.OPTIMIZERS)),
    ]
    for name, part, write in parts:
        try:
            description[name] = write(part)
        except describe.UnknownError as error:
            description[name] = {"unknown": without_addresses(str(error)), "settings": digest_of(part)}
            if path is not None and isinstance(error, describe.ChangedError):
                warn(
                    f"{path} cannot describe its {name} ({error}): it will load with bp.load(path, {HOW[name]}) only",
                    RuntimeWarning,
                )
    return description

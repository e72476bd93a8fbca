"""What a checkpoint file says of a model: its parts, read and checked before memory is taken for them."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..checks import as_path
from ..engine import conventions
from ..engine.engine import Engine
from ..engine.weights import freeze
from ..errors import CheckpointError, DamagedError, warn
from ..nn import Module
from ..optim import Optimizer
from . import contents, describe, files
from .own import known_categories, own_in
from .save import DESCRIBES, FORMAT, HOW, reading

# What to do about a part that a checkpoint cannot describe.
AS_IT_WAS = {name: f"pass it as it was, bp.load(path, {how})" for name, how in HOW.items()}


@dataclass
class Checkpoint:
    """A file's model: the arguments of its constructor, and what `restore` fills it with."""

    path: Path
    arguments: dict[str, Any]
    state_json: dict[str, Any]
    tensors: contents.Tensors
    # Those of the file, unless others were given in their place; and the loss that was given, None for that of the file.
    metrics: Any
    loss: Any

    def restore(self, engine: Engine) -> None:
        """Fill the engine of a model made with `arguments`."""
        if self.metrics:
            self._watch(engine)
        with reading(self.path):
            self._check_optimizer(engine.optimizer)
            contents.fill(engine, self.tensors)
            step = contents.whole("step", self.state_json["step"], contents.LARGEST)
            # Files of the first version have the first alone.
            optimizer_step = self.state_json.get("optimizer_step", step)
            engine.step_counts[:] = step, contents.whole("optimizer_step", optimizer_step, contents.LARGEST)
            engine.epoch = contents.whole("epoch", self.state_json["epoch"], contents.LARGEST)
            # Files of the first version have none.
            if "frozen" in self.state_json:
                freeze(engine.net, self.state_json["frozen"])
            engine.categories = known_categories(own_in(self.state_json))
            if self.state_json["run"] is not None:
                engine.last_run = contents.run_from_json(self.state_json["run"], self.tensors, engine)
            if self.tensors:
                raise ValueError(f"it holds {sorted(self.tensors)[0]!r:.80}, which this model does not have")

    def _watch(self, engine: Engine) -> None:
        """Take over the metrics of the file; an error says whether the file or the loss that was given is at fault."""
        if self.loss is None:
            with reading(self.path):
                return engine.use_metrics(self.metrics)
        try:
            engine.use_metrics(self.metrics)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"loss is {self.loss!r:.80}, which the metrics of {self.path} do not fit ({error}): give metrics= as well"
            ) from None

    def _check_optimizer(self, optimizer: Optimizer) -> None:
        """The moments in the file are those of this kind of optimizer."""
        slots = {
            name.split(".")[1]
            for name in self.tensors
            if name.startswith("optimizer.") and name.count(".") > 1
        }
        if slots and slots != {*optimizer.slots}:
            raise CheckpointError(
                f"{self.path} holds the moments {sorted(slots)}, but optimizer is {optimizer!r} with {sorted(optimizer.slots)}:"
                " load it as it was, then assign model.optimizer"
            )


def read(
    path: str | os.PathLike[str],
    net: Module | None,
    loss: Any,
    optimizer: str | Optimizer | None,
    metrics: Any = None,
) -> Checkpoint:
    """The newest good file at `path`; net, loss, optimizer, metrics take the place of what it describes."""
    return checkpoint_of(*_newest(Path(as_path("path", path))), net, loss, optimizer, metrics)


def checkpoint_of(
    used_path: Path,
    held: tuple[contents.Tensors, dict[str, str]],
    net: Module | None,
    loss: Any,
    optimizer: str | Optimizer | None,
    metrics: Any = None,
) -> Checkpoint:
    """A checkpoint of the tensors and the metadata that a file holds."""
    tensors, metadata = held
    if "backpass_holds" in metadata:
        kind = metadata["backpass_holds"]
        raise CheckpointError(f"{used_path} holds many models: bp.{kind}.load reads it")
    with reading(used_path):
        version = int(metadata["backpass_format"])
    if version > FORMAT:
        raise CheckpointError(
            f"{used_path} has format {version}, of a newer backpass; this one reads format {FORMAT}: upgrade it"
        )
    if version < 1:
        raise CheckpointError(f"{used_path} has format {version}, which no backpass ever wrote")
    with reading(used_path):
        state_json = json.loads(metadata["backpass"])
        description = state_json["model"]
    arguments = arguments_of(used_path, description, AS_IT_WAS, net, loss, optimizer)
    with reading(used_path, DESCRIBES if net is None else "does not fit net"):
        shapes = contents.declared(arguments["net"], arguments["dtype"])
        contents.check(tensors, shapes)
        if more := [name for name in tensors if name.startswith("model.") and name not in shapes]:
            raise ValueError(f"it holds {min(more)!r:.80}, which this model does not have")
    of_file: Any = ()
    if metrics is None:
        instead = "give all to bp.load(path, metrics=[...]), or assign model.metrics = [...]"
        of_file, metrics = metrics_of(used_path, own_in(state_json), instead), ()
    return Checkpoint(used_path, arguments | {"metrics": metrics}, state_json, tensors, of_file, loss)


def arguments_of(
    path: Path,
    description: Any,
    instead: Mapping[str, str],
    net: Module | None = None,
    loss: Any = None,
    optimizer: str | Optimizer | None = None,
) -> dict[str, Any]:
    """The arguments of `Model` that a file describes, but for metrics; net, loss, optimizer take the place of a part.

    instead: what to do about a part that the file cannot describe, by its name.
    """

    def part(name: str, given: Any, build: Callable[[Any], Any]) -> Any:
        if given is not None:
            return given
        if "unknown" in description[name]:
            raise CheckpointError(
                f"{path} cannot describe its {name} ({description[name]['unknown']}): {instead[name]}"
            )
        return build(description[name])

    with reading(path):
        return {
            "net": part("net", net, describe.build_net),
            "loss": part("loss", loss, partial(describe.build, classes=describe.LOSSES)),
            "optimizer": part("optimizer", optimizer, partial(describe.build, classes=describe.OPTIMIZERS)),
            "dtype": contents.dtype_of(description),
            "seed": contents.whole("seed", description["seed"], 2**63),
            "precision": contents.precision_of(description),
            # Older files have none.
            "like": conventions.checked(description.get("like")),
        }


def metrics_of(path: Path, own: Mapping[str, Any], instead: str) -> Any:
    """The metrics in what a file says, without functions; instead: what to do where there were some."""
    with reading(path):
        names, functions = own["metrics"]
        lists = [*names.values()] if isinstance(names, dict) else names if _are(list, names) else [names]
        if not isinstance(names, dict | list) or not all(
            _are(str, entries) for entries in [*lists, functions]
        ):
            raise ValueError(f"metrics is {names!r:.80}")
    if functions:
        warn(
            f"{path} holds no function: metrics {functions} are gone; {instead}",
            RuntimeWarning,
        )
    return names


def _are(kind: type, values: Any) -> bool:
    """Whether it is a list of such values."""
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _newest(path: Path) -> tuple[Path, tuple[contents.Tensors, dict[str, str]]]:
    try:
        return path, files.read(path)
    except DamagedError as error:
        for older in files.previous(Path(os.path.realpath(path))):  # where `write` put them
            try:
                tensors_and_metadata = files.read(older)
            except CheckpointError:
                continue
            warn(f"{error}. Loaded {older}, the checkpoint before it", RuntimeWarning)
            return older, tensors_and_metadata
        raise

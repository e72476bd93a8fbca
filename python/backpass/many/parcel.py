"""Parcel: a model on its way to another process, as the bytes of a checkpoint."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from ..checkpoint import files
from ..checkpoint.load import checkpoint_of
from ..checkpoint.save import written
from ..engine.engine import Engine
from ..engine.nonfinite import check_weights
from ..model import Model
from .start import Beginnings

PARTS = ("net", "loss", "optimizer")


class Parcel:
    """The checkpoint of a model, and beside it, as they are, the parts of users' classes that no checkpoint describes.

    Args:
        engine: of the model. name: what messages call it.

    Raises NonFiniteError: a weight is NaN or infinite. CheckpointError: another number that the checkpoint holds.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        check_weights(engine)
        tensors, metadata = written(engine, Path(name), told=False)
        self.name, self.backend = name, engine.backend.name
        self.content = files.as_bytes(Path(name), tensors, metadata)
        described = json.loads(metadata["backpass"])
        live = {"net": engine.net, "loss": engine.loss_function or engine.loss, "optimizer": engine.optimizer}
        # A copy of a network belongs to no model.
        self.parts: dict[str, Any] = {
            part: deepcopy(live[part]) if "unknown" in described["model"][part] else None for part in PARTS
        }
        _, functions = described["metrics"]
        self.parts["metrics"] = engine.metrics.given if engine.metrics and functions else None

    def model(self) -> Model:
        """The model, made anew, with parts of its own."""
        path = Path(self.name)
        checkpoint = checkpoint_of(path, files.read(path, self.content), **deepcopy(self.parts))
        model = Model(**checkpoint.arguments, backend=self.backend)  # type: ignore[arg-type]
        checkpoint.restore(model.engine)
        return model


class SameParcel:
    """A parcel that many works begin with: each thread makes its model once, and puts it back to where it began."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self._beginnings = Beginnings(parcel.model)

    def model(self) -> Model:
        """The model of this thread, as it begins."""
        return self._beginnings.model()

    def __reduce__(self) -> tuple[Any, ...]:
        # What threads have is of one process.
        return SameParcel, (self.parcel,)

"""The directory of a `fit_many`: a checkpoint of each model, from which a killed run goes on."""

import os
from pathlib import Path
from typing import Any

from ..callbacks import ModelCheckpoint
from ..checks import as_path
from ..engine.engine import Engine
from ..errors import CheckpointError
from ..model import Model
from ..system.whole_files import replacing


class Directory:
    """Files 00000.safetensors, 00001.safetensors, ... of `ModelCheckpoint`, written every so often and when a model is done."""

    def __init__(self, path: str | os.PathLike[str], every: str) -> None:
        self.path, self.every = Path(as_path("directory", path)), every
        ModelCheckpoint(self.file(0), every)  # says so if `every` is none
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"directory {self.path} cannot be made: {error.strerror or error}"
            ) from error

    def file(self, number: int) -> Path:
        """The checkpoint of one model."""
        return self.path / f"{number:05d}.safetensors"

    def claim(self, search: dict[str, Any]) -> None:
        """Note whose directory this is; CheckpointError where it is another search's."""
        import json  # here, as below: `import backpass` is to be quick

        note, text = self.path / "search.json", json.dumps(search)
        try:
            if not note.exists():
                with replacing(note) as file:
                    file.write(text.encode())
            written = note.read_text("utf-8")
        except OSError as error:
            raise CheckpointError(f"{note} cannot be written: {error.strerror or error}") from error
        if written != text:
            raise CheckpointError(
                f"{self.path} holds another search, {written:.200}, and this is {text:.200}: give another directory"
            )

    def going_on(self, number: int, model: Model, callbacks: list[Any]) -> dict[str, Any]:
        """Arguments of `fit` that finish what the file of a model holds, and keep writing it."""
        file = self.file(number)
        if file.exists():
            restore(file, model.engine)
        return {"callbacks": [*callbacks, ModelCheckpoint(file, self.every)], "resume": True}


def restore(file: Path, engine: Engine) -> None:
    """Fill an engine with what a checkpoint of the same model holds; CheckpointError where it is another's."""
    import json

    from ..checkpoint.load import read
    from ..checkpoint.save import model_description

    loss = engine.loss_function or engine.loss
    checkpoint = read(file, engine.net, loss, engine.optimizer)
    written, here = checkpoint.state_json["model"], json.loads(json.dumps(model_description(engine, file)))
    for name, value in here.items():
        if written[name] != value:
            raise CheckpointError(
                f"{file} holds a model with another {name}: give the models as they were, or another directory"
            )
    checkpoint.restore(engine)

"""The directory of a `fit_many`: a checkpoint of each model, from which a killed run goes on."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..callbacks import ModelCheckpoint
from ..checkpoint.save import model_description, reading, save
from ..checkpoint.settings import text_of
from ..checks import as_path
from ..engine.engine import Engine
from ..errors import CheckpointError
from ..model import Model
from ..system.whole_files import replacing

# Why a file may describe the same models in other words.
OF_ANOTHER = "the file may also be of another version of backpass"


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

    def claim(self, search: dict[str, Any], params: Sequence[dict[str, Any]]) -> None:
        """Note whose directory this is; CheckpointError where it is another search's. A longer search has more params."""
        import json  # here, as below: `import backpass` is to be quick

        note = self.path / "search.json"
        trials = [text_of(one) for one in params]
        try:
            text = note.read_text() if note.exists() else json.dumps({"search": search, "trials": []})
            with reading(note, "is no note of a search"):
                noted = json.loads(text)
                before, known = noted["search"], [*noted["trials"]]
            both = zip(known, trials, strict=False)
            for what, one, other in [
                ("settings", before, search),
                *((f"trial {n}", *of) for n, of in enumerate(both)),
            ]:
                if one != other:
                    raise CheckpointError(
                        f"{self.path} holds another search: {what} {one!s:.200}, and here {other!s:.200}; give another directory;"
                        f" {OF_ANOTHER}"
                    )
            if len(trials) > len(known):
                with replacing(note) as file:
                    file.write(json.dumps({"search": search, "trials": trials}).encode())
        except OSError as error:
            raise CheckpointError(f"{note} cannot be written: {error.strerror or error}") from error

    def going_on(self, number: int, model: Model, callbacks: list[Any]) -> dict[str, Any]:
        """Arguments of `fit` that finish what the file of a model holds, and keep writing it."""
        self.fill(number, model.engine)
        return {"callbacks": [*callbacks, ModelCheckpoint(self.file(number), self.every)], "resume": True}

    def fill(self, number: int, engine: Engine) -> None:
        """Let an engine become what the file of its model holds, where there is one."""
        if (file := self.file(number)).exists():
            restore(file, engine)

    def write(self, number: int, engine: Engine) -> None:
        """Write the file of a model whose run is over; CheckpointError where that is not possible."""
        save(engine, self.file(number))


def restore(file: Path, engine: Engine) -> None:
    """Fill an engine with what a checkpoint of the same model holds; CheckpointError where it is another's."""
    import json

    from ..checkpoint.load import read

    loss = engine.loss_function or engine.loss
    checkpoint = read(file, engine.net, loss, engine.optimizer, metrics=())
    written, here = checkpoint.state_json["model"], json.loads(json.dumps(model_description(engine)))
    # Either may say nothing of what is usual, such as float32 products.
    for name in sorted(written.keys() | here.keys()):
        if written.get(name) != here.get(name):
            raise CheckpointError(
                f"{file} holds a model with another {name}: give the models as they were, or another directory; {OF_ANOTHER}"
            )
    checkpoint.restore(engine)

"""ModelCheckpoint: writes the whole state of a run to a file every so often, so that `bp.load` can go on from there."""

import os
import re
import time
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar

from ..checks import as_path
from ..errors import CheckpointError, warn
from .base import Logs, Mode, Monitor

EVERY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|seconds?|min|minutes?|steps?|epochs?)\s*")


class ModelCheckpoint(Monitor):
    """Checkpoints: the whole state of a run, written every so often; `bp.load` and `fit(resume=True)` go on from it, to the bit.

    A checkpoint that cannot be written while the run goes on (a full disk) is a warning, and the one before stays. When the run
    is over (epochs done, stopped, out of max_seconds, but not broken by an exception) its last state is written too, with the
    weights that EarlyStopping brought back, unless a monitor decides.

    Args:
        path: the file, written atomically: the path always holds a complete checkpoint. `~` is the home folder.
        every: "30s", "5 min", "200 steps" or "1 epoch" (default), any number of them.
        monitor: None (default), or a quantity of the epoch's logs: a checkpoint is only written where it has improved.
        keep: how many checkpoints to keep, default 1: `path` is the newest, path.1 the one before, path.2 the one before that.
        mode: "min" or "max", what of the monitor is better; "auto" (default) knows it of the usual names.

    Raises:
        ValueError: an argument out of range. CheckpointError: before the first step, if the folder does not exist.

    Example:
        >>> model.fit(X, y, epochs=3, callbacks=[bp.ModelCheckpoint(folder / "run.safetensors", every="30s")])
        History(...)
    """

    runs_last = True
    first_rank_only = True
    instead: ClassVar[Mapping[str, str]] = {
        "filepath": "it is called path",
        "save_best_only": "give monitor='val_loss', or another quantity",
        "save_freq": "it is called every, such as '1 epoch'",
        "save_weights_only": "the whole state is written; model.state_dict() has the weights alone",
    }

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: str = "1 epoch",
        monitor: str | None = None,
        keep: int = 1,
        mode: Mode = "auto",
    ) -> None:
        super().__init__("" if monitor is None else monitor, mode=mode)
        self.path = as_path("ModelCheckpoint: path", path)
        match = EVERY.fullmatch(every) if isinstance(every, str) else None
        if not match or not float(match[1]):
            raise ValueError(
                f"ModelCheckpoint: every is {every!r}, expected such as '30s', '200 steps' or '1 epoch'"
            )
        self.number = float(match[1]) * (60 if match[2].startswith("min") else 1)
        self.unit = next((unit for unit in ("step", "epoch") if match[2].startswith(unit)), "second")
        if self.unit != "second" and not self.number.is_integer():
            raise ValueError(f"ModelCheckpoint: every is {every!r}, expected a whole number of {self.unit}s")
        if monitor and self.unit != "epoch":
            raise ValueError(
                f"ModelCheckpoint: every is {every!r}, but with a monitor it has to count epochs, such as '1 epoch'"
            )
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise ValueError(f"ModelCheckpoint: keep is {keep!r}, expected an integer of at least 1")
        self.keep = keep

    def on_train_begin(self, logs: Logs) -> None:
        super().on_train_begin(logs)
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise CheckpointError(f"{self.path} cannot be written: there is no folder {folder}")
        if os.path.isdir(self.path):
            raise CheckpointError(f"{self.path} cannot be written: it is a directory")
        self._written = False
        self._wrote(failed=False)

    def pace(self) -> int:
        return (
            max(int(self.number - (self._steps() - self._at_step)), 1)
            if self.unit == "step"
            else super().pace()
        )

    def on_slice_end(self, step: int, logs: Logs) -> None:
        passed = {"step": self._steps() - self._at_step, "second": time.monotonic() - self._at_time}
        if passed.get(self.unit, -1) >= self.number:
            self._try()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.unit == "epoch" and self.model.epoch % int(self.number) == 0:
            previous_best, written = self.best, False
            try:
                written = (not self.monitor or (self.logged(logs) and self.improved(logs))) and self._try()
            finally:
                if not written:
                    self.best = previous_best

    def on_train_end(self, logs: Logs) -> None:
        run = self.model.engine.last_run
        if self.monitor or (run and run.broken):
            return
        if self._failed or self._steps() != self._at_step or self._weights() != self._written_weights:
            self._save()

    def _try(self) -> bool:
        """Write a checkpoint; if that does not work the run goes on all the same."""
        try:
            self._save()
        except (CheckpointError, MemoryError) as error:
            warn(
                f"ModelCheckpoint: {str(error) or 'out of memory'}; training goes on, with the file before",
                RuntimeWarning,
            )
            self._wrote(failed=True)
            return False
        return True

    def _save(self) -> None:
        from ..checkpoint.save import save  # here: `import backpass` is to be quick

        save(self.model.engine, self.path, self.keep, check=not self._written)  # a file of its own is whole
        self._written = True
        self._wrote(failed=False)

    def _wrote(self, failed: bool) -> None:
        self._at_step, self._at_time, self._failed = self._steps(), time.monotonic(), failed
        self._written_weights = self._weights()

    def _weights(self) -> int:
        """What tells whether they changed without a step: at the end of a run EarlyStopping brings back the best."""
        return 0 if self.monitor else zlib.crc32(self.model.engine.flat.params.data)

    def _steps(self) -> int:
        return int(self.model.engine.step_count[0])

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() if self.monitor else {}

"""Callbacks that tell how a run goes: a file, a progress bar."""

import csv
import os
import sys
import time
from typing import Any

from ..checks import as_path, flag, is_number, real
from .callback import Callback, Logs


class CSVLogger(Callback):
    """Write one line per epoch to a CSV file: `epoch` (from 0 on) and what its logs hold, text in one line.

    append: whether to add to a file that is there; else it is replaced when the first epoch ends. A resumed run goes on in the
    same file, at the epoch where it goes on. A file that cannot be written is an OSError before the first epoch.
    """

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path, self.append = as_path("CSVLogger: path", path), flag("CSVLogger: append", append)

    def on_train_begin(self, logs: Logs) -> None:
        self._names: list[str] | None = None
        open(self.path, "a", encoding="utf-8").close()
        run = self.model.last_run
        if run is not None and run.resumed:
            self._go_on()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        first = self._names is None
        self._names = self._names or ["epoch", *logs]
        with open(self.path, "a" if self.append or not first else "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            if first and not (self.append and file.tell()):
                lines.writerow(self._names)
            values = [logs.get(name, "") for name in self._names[1:]]
            lines.writerow([epoch, *(real(v) if is_number(v) else " ".join(str(v).split()) for v in values)])

    def _go_on(self) -> None:
        """Keep the lines of the epochs before; a run that was killed may have written more of them, the last in part."""
        try:
            with open(self.path, "r+", encoding="utf-8", newline="") as file:
                head, *lines = file.read().splitlines(keepends=True)
                while lines and not (
                    lines[-1].endswith("\n") and int(lines[-1].split(",")[0]) < self.model.epoch
                ):
                    lines.pop()
                file.truncate(len("".join([head, *lines]).encode()))
        except (OSError, ValueError):  # no such file, nothing in it, or not one of ours
            return
        self._names = next(csv.reader([head]))


class ProgressBar(Callback):
    """A progress bar over all epochs (tqdm if it is installed, else a plain line per epoch)."""

    def on_train_begin(self, logs: Logs) -> None:
        self._done, self._epochs = 0, 0
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._bar: Any = None
        else:
            self._bar = tqdm(total=self.params["epochs"] * self.params["steps"], unit="step")
        self._start = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        self._done, self._epochs = 0, self._epochs or epoch + self.params["epochs"]

    def on_slice_end(self, step: int, logs: Logs) -> None:
        if self._bar is not None:
            self._bar.update(step - self._done)
        self._done = step

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        shown = {name: f"{value:.4g}" for name, value in logs.items() if name != "lr" and is_number(value)}
        which = f"epoch {epoch + 1}/{self._epochs}"
        if self._bar is not None:
            self._bar.set_description(which, refresh=False)
            self._bar.set_postfix(shown)
        else:
            text = "  ".join(f"{name} {value}" for name, value in shown.items())
            print(f"{which}  {text}  {time.perf_counter() - self._start:.1f} s", file=sys.stderr)

    def on_train_end(self, logs: Logs) -> None:
        if self._bar is not None:
            if self.model.stop_training:
                # on purpose, and notebooks paint an unfinished bar as a failure
                self._bar.total = self._bar.n
            self._bar.close()
            self._bar = None  # it holds a stream, which no pickle can

"""Callbacks that tell how a run goes: a file, a progress bar."""

import os
import sys
import time
from typing import Any

from ..checks import as_path, flag, is_name, is_number, real
from .base import Callback, Logs


class CSVLogger(Callback):
    """CSV log: one line per epoch with `epoch` (from 0 on) and what its logs hold, text in one line (Keras's class).

    A quantity that comes up later gets a column of its own, empty where it is missing. A resumed run goes on in the same file.

    Args:
        path: the file; `~` is the home folder.
        append: whether to add to a file that is there, default False: it is replaced when the first epoch ends.

    Raises:
        OSError: before the first epoch, if the file cannot be written.

    Example:
        >>> model.fit(X, y, epochs=3, callbacks=[bp.CSVLogger(folder / "log.csv")])
        History(...)
    """

    first_rank_only = True

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path, self.append = as_path("CSVLogger: path", path), flag("CSVLogger: append", append)

    def on_train_begin(self, logs: Logs) -> None:
        self._names: list[str] = []
        open(self.path, "a", encoding="utf-8").close()
        run = self.model.engine.last_run
        if run is not None and run.resumed:
            self._go_on()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        line = {"epoch": epoch} | {
            k: real(v) if is_number(v) else " ".join(str(v).split()) for k, v in logs.items()
        }
        if new := [name for name in line if name not in self._names]:
            lines = self._lines() if self._names or self.append else []
            self._names = [*(lines[0] if lines else self._names), *new]
            self._names = list(dict.fromkeys(self._names))
            rows = [dict(zip(lines[0], row, strict=False)) for row in lines[1:]]
            self._write("w", [dict(zip(self._names, self._names, strict=True)), *rows])
        self._write("a", [line])

    def _write(self, mode: str, rows: list[dict[str, Any]]) -> None:
        import csv  # here, as below: `import backpass` is to be quick

        with open(self.path, mode, encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._names, restval="", lineterminator="\n").writerows(rows)

    def _lines(self) -> list[list[str]]:
        """What the file holds, the header first."""
        import csv

        with open(self.path, encoding="utf-8", newline="") as file:
            return [*csv.reader(file)]

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
        self._names = self._lines()[0]


class ProgressBar(Callback):
    """Progress bar over all epochs: tqdm's if it is installed, else a plain line per epoch on stderr.

    `fit(progress=True)` and `fit(verbose=1)` show one; `fit(verbose=2)` shows lines.

    Args:
        style: "bar" (default) or "lines", one for each epoch.

    Raises:
        ValueError: another style.

    Example:
        >>> model.fit(X, y, callbacks=[bp.ProgressBar("lines")])
        History(...)
    """

    def __init__(self, style: str = "bar") -> None:
        if not is_name(style, ("bar", "lines")):
            raise ValueError(f"ProgressBar: style is {style!r}, expected 'bar' or 'lines'")
        self.style = style

    def on_train_begin(self, logs: Logs) -> None:
        self._done, self._epochs = 0, 0
        self._bar: Any = None
        if self.style == "bar":
            try:
                from tqdm.auto import tqdm
            except ImportError:
                pass
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
        texts = {name: f"{value:.4g}" for name, value in logs.items() if name != "lr" and is_number(value)}
        epoch_text = f"epoch {epoch + 1}/{self._epochs}"
        if self._bar is not None:
            self._bar.set_description(epoch_text, refresh=False)
            self._bar.set_postfix(texts)
        else:
            text = "  ".join(f"{name} {value}" for name, value in texts.items())
            print(f"{epoch_text}  {text}  {time.perf_counter() - self._start:.1f} s", file=sys.stderr)

    def on_train_end(self, logs: Logs) -> None:
        if self._bar is not None:
            if self.model.stop_training:
                # on purpose, and notebooks paint an unfinished bar as a failure
                self._bar.total = self._bar.n
            self._bar.close()
            self._bar = None  # it holds a stream, which no pickle can

"""TensorBoard: event files of a run, for TensorBoard to show."""

import os
import time
from typing import Any

from ..checks import as_path, is_number, real, whole
from ..diagnostics.health import report
from .base import Callback, Logs
from .gradients import records_of


class TensorBoard(Callback):
    """Event files for TensorBoard, after each epoch: what its logs hold, histograms, and the verdict of a GradientMonitor.

    Training is the run "train" and validation "validation", so that both curves are in one chart. Histograms are those of each
    parameter ("weights/0.weight") and of its gradient in the last batch ("gradients/0.weight"). Where a bp.GradientMonitor is
    among the callbacks its report is a text, "verdict", whenever that changes.
    Needs tensorboardX: pip install "backpass[tensorboard]"; `tensorboard --logdir runs` shows what is below a folder.

    Args:
        logdir: a folder for this run, made if it is missing; `~` is the home folder. A resumed run goes on in it.
        histograms: after how many epochs there are some, default 1: after each; 0: never.

    Raises:
        TypeError, ValueError: an argument out of range. ImportError: before the first step, where tensorboardX is missing.

    Example:
        >>> model.fit(X, y, epochs=3, callbacks=[bp.TensorBoard(folder / "runs" / "first", histograms=3)])
        History(...)
    """

    first_rank_only = True

    def __init__(self, logdir: str | os.PathLike[str], histograms: int = 1) -> None:
        self.logdir = as_path("TensorBoard: logdir", logdir)
        self.histograms = whole("TensorBoard: histograms", histograms, 0)
        self._writers: dict[str, Any] = {}

    def on_train_begin(self, logs: Logs) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                f'TensorBoard needs tensorboardX ({error}): pip install "backpass[tensorboard]"'
            ) from None
        run = self.model.engine.last_run
        # Two files of one second would have one name.
        suffix = f".{time.time_ns()}"
        # What a killed run wrote of epochs that come again.
        purge = self.model.epoch if run is not None and run.resumed else None
        self._writers = {
            part: SummaryWriter(os.path.join(self.logdir, part), purge_step=purge, filename_suffix=suffix)
            for part in ("train", "validation")
            if part == "train" or any(name.startswith("val_") for name in self.params["metrics"])
        }
        self._told = ""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        for name, value in logs.items():
            if is_number(value):
                part = "validation" if name.startswith("val_") and "validation" in self._writers else "train"
                tag = name.removeprefix("val_") if part == "validation" else name
                self._writers[part].add_scalar(tag, real(value), epoch)
        if self.histograms and (epoch + 1) % self.histograms == 0:
            self._write_histograms(epoch)
        self._write_verdict(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}  # they hold threads and files, which no pickle can

    def _write_histograms(self, epoch: int) -> None:
        named, gradients = self.model.named_parameters(), self.model.gradients()
        for (name, weight), gradient in zip(named, gradients, strict=True):
            for kind, array in (("weights", weight), ("gradients", gradient)):
                if array.size:
                    self._writers["train"].add_histogram(f"{kind}/{name}", array, epoch)

    def _write_verdict(self, epoch: int) -> None:
        """What a GradientMonitor of this run says by now, where that is new."""
        try:
            records = records_of(self.model.engine.last_run)
        except ValueError:  # there is none, or it has not measured yet
            return
        text = report(records)
        verdict = text.splitlines()[0]
        if verdict != self._told:
            self._told = verdict
            self._writers["train"].add_text("verdict", f"```\n{text}\n```", epoch)

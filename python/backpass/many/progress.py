"""The progress of many fits: one bar over all models, and a line for each that trains."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from .work import Outcome, Work


class Progress:
    """Looks at the models from outside: none of them is slowed down. tqdm's bars, else a line on stderr for each that ends."""

    def __init__(
        self, total: int, team: int, shown: bool, name: Callable[[int], str] = "model {}".format
    ) -> None:
        self.total, self.shown, self.name = total, shown, name
        self.done = 0
        # What trains.
        self.running: dict[int, Work] = {}
        self._bar: Any = None
        self._lines: list[Any] = []
        self._start = time.perf_counter()
        if not shown:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, unit="model")
        self._lines = [tqdm(bar_format="{desc}", position=1 + place, leave=False) for place in range(team)]

    def begun(self, work: Work | Outcome) -> Work | Outcome:
        """A thread takes this work."""
        if self.shown and isinstance(work, Work):
            self.running[work.number] = work
        return work

    def ended(self, outcome: Outcome) -> None:
        """A model is done."""
        self.done += 1
        if not self.shown:
            return
        self.running.pop(outcome.number, None)
        if self._bar is not None:
            self._bar.update()
            return
        text = f"{type(outcome.error).__name__}" if outcome.error else _last(outcome.history.history)
        seconds = time.perf_counter() - self._start
        print(
            f"{self.done}/{self.total}  {self.name(outcome.number)}  {text}  {seconds:.1f} s",
            file=sys.stderr,
        )

    def rested(self, outcome: Outcome) -> None:
        """A model that was done before trained a little more."""
        self.running.pop(outcome.number, None)

    def look(self) -> None:
        """Show how far the models are that train."""
        running = sorted(self.running.items())
        for place, line in enumerate(self._lines):
            line.set_description_str(self._line(running[place][1]) if place < len(running) else "")

    def _line(self, work: Work) -> str:
        engine, epochs = work.model.engine, work.options["epochs"]
        run = engine.last_run
        if run is None or not run.going_on:
            return self.name(work.number)
        # A run that goes on counts from where it first began.
        epoch = min(engine.epoch - run.first + 1, epochs)
        return f"{self.name(work.number)}  epoch {epoch}/{epochs}  {_last(dict(run.history.history))}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines:
            line.close()
        if self._bar is not None:
            self._bar.close()


def _last(history: dict[str, list[float]]) -> str:
    """The last numbers of a history, in a line."""
    return "  ".join(
        f"{name} {values[-1]:.4g}" for name, values in history.items() if values and name != "lr"
    )

"""Reader: the output of a network behind a sequence that grows, by a session where there can be one."""

from typing import Any

import numpy as np

from ..program.carried import NotStepwise
from .engine import Engine
from .passes import predict
from .session import Session


class Reader:
    """What a network gives behind the first integers of each row, of which there are ever more.

    Args:
        ids: (rows, T), filled up to `start` when it is read for the first time.
        window: the most steps that the network reads at once; None: all.
        stride: of a window that is full, how many steps are left behind.
    """

    def __init__(self, engine: Engine, ids: np.ndarray, start: int, window: int | None, stride: int) -> None:
        self.engine, self.ids, self.window, self.stride = engine, ids, window, stride
        # The first step that the window shows, and the one behind the last that was read.
        self.first = self.end = max(0, start - (window or start))
        self.session = self._session(ids[:, self.first : start])

    def _session(self, given: np.ndarray) -> Session | None:
        """A session that keeps what the network needs of the steps before; None where there is none."""
        session = Session(self.engine, len(given))
        try:
            if session.window is not None or session.attends(given):
                session = Session(self.engine, len(given), self.window or self.ids.shape[1])
            return session if session.keeps_state(given) else None
        except NotStepwise:
            return None

    def read(self, end: int) -> Any:
        """The output for the integers before `end`."""
        if self.session is None or self.session.window is not None:
            self._slide(end)
        start, self.end = self.end, end
        if self.session is None:  # the network reads what came before again
            return predict(self.engine, self.ids[:, self.first : end])
        return self.session.read(self.ids[:, start:end])

    def _slide(self, end: int) -> None:
        """Let the window begin later where it would be full."""
        if self.window is not None and end - self.first > self.window:
            self.first += self.stride
            self.end = self.first
            if self.session is not None:
                self.session.reset()

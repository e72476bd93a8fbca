"""Run: options and progress of one `fit`. Checkpoints carry it on, and `fit(resume=True)` finishes it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.feed import Position
from ..program.carried import Carried
from .history import History

# Of the callbacks: the names of their classes, and what each keeps.
States = list[tuple[str, dict[str, Any]]]


@dataclass(eq=False, repr=False)
class Run:
    """Options and progress of one `fit`. `position` is that in the current epoch, or the start of the next one between epochs."""

    # The model's epoch where the run began.
    first: int
    # Rows of an epoch.
    rows: int
    batch_size: int
    shuffle: bool
    # "" for none.
    sampler: str
    # Fingerprints of the data.
    data: str
    validation: str
    epochs: int = 0
    position: Position = field(default_factory=Position)
    # The model's step count at `position`.
    steps: int = 0
    # By a callback: the run is over, whatever `epochs` says.
    stopped: bool = False
    history: History = field(default_factory=History)
    # Of the callbacks, as they were when the run ended.
    states: States = field(default_factory=list)
    # Gives the states as they are, while the run goes on.
    current_states: Callable[[], States] | None = None
    resumed: bool = False
    # What goes on from batch to batch, at `position`.
    carried: Carried | None = None
    # What metrics of the epoch are computed from: rows of outputs, targets and weights by name, up to `position`.
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    # By an exception.
    broken: bool = False
    # Within an epoch: gives the position at any moment.
    current_position: Callable[[], Position] | None = None
    # The model's steps before this epoch.
    steps_before: int = 0

    @property
    def going_on(self) -> bool:
        """Whether its `fit` has not returned yet."""
        return self.current_states is not None

    @property
    def steps_done(self) -> int:
        """Of the epoch in progress."""
        return -(-self.position.rows // self.batch_size)

    def enter(self, position: Callable[[], Position], steps: int) -> None:
        """An epoch begins, or goes on from `position`, when the model has made so many steps."""
        self.current_position, self.steps_before = position, steps - self.steps_done

    def look(self) -> None:
        """Note the current position."""
        if self.current_position is not None:
            self.position = self.current_position()
            self.steps = self.steps_before + self.steps_done

    def end(self, states: States, stopped: bool) -> None:
        """Keep the position, and the callbacks' states."""
        self.look()
        self.current_position = self.current_states = None
        self.stopped = stopped
        rows = self.position.rows
        self.outputs = {name: array[:rows].copy() for name, array in self.outputs.items() if rows}
        if states:
            self.states = states

    def as_it_stands(self, stopped: bool) -> "Run":
        """A copy of a run that may still go on, as if it had ended now."""
        run = replace(self, history=self.history.copy(), carried=self.carried and self.carried.copy())
        run.end(self.current_states() if self.current_states else [], stopped or self.stopped)
        return run

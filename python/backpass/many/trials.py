"""Trials: what `search` returns, a table with a row for each trial."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..model import Model
from .judged import Judged
from .runs import Runs
from .work import Outcome


class Trials(Runs):
    """The trials of `bp.search`: a table with a row for each, in their order.

    Attributes:
        params: a dict for each trial: what `build` was given.
        models, histories, errors, trained, best, best_number: as of Runs, by the number of the trial; a trial whose `build`
            failed has None as its model.
        best_params: the parameters of the best trial.
        rows: a dict for each trial: "trial" (its number), "param_" and the name for each parameter, "epochs" (it has seen),
            "epoch" (the one whose weights it has), what that epoch logged, "seconds" (of training, in this call), and "error".

    Example:
        >>> trials = bp.search(lambda params: bp.Model(nn.Linear(4, 1), seed=params["seed"]), {"seed": range(3)}, X, y,
        ...     strategy="grid", epochs=2, validation_split=0.2)
        >>> trials.best_params
        {'seed': ...}
    """

    counted = "trial"

    def __init__(
        self,
        params: Sequence[dict[str, Any]],
        models: Sequence[Model],
        outcomes: Sequence[Outcome],
        seconds: Mapping[int, float],
        judged: Judged | None = None,
    ) -> None:
        super().__init__(models, outcomes, judged)
        self.params: list[dict[str, Any]] = [*params]
        for number, row in enumerate(self.rows):
            *logged, error = [item for item in row.items() if item[0] != "model"]
            given = {f"param_{name}": value for name, value in params[number].items()}
            self.rows[number] = {
                "trial": number,
                **given,
                **dict(logged),
                "seconds": seconds[number],
                error[0]: error[1],
            }

    def named(self, number: int) -> str:
        return f"trial {number}, {self.params[number]}"

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best trial; ValueError where all failed."""
        return self.params[self.best_number]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Parallel coordinates: an axis for each parameter and for what is judged by, a line for each trial, the best one in red.

        Args:
            path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

        Returns the matplotlib figure. Raises ImportError where matplotlib is missing, ValueError where all trials failed.
        """
        from ..drawing.parallel import parallel_coordinates

        best = self.best_number
        # A trial that a callback ended in its first epoch has no val_loss.
        shown = [number for number in self._ranked() if self._judged(number) < math.inf]
        columns = {name: [self.params[number][name] for number in shown] for name in self.params[best]}
        name = self._judge.monitor
        return parallel_coordinates(columns, name, [self.rows[number][name] for number in shown], path)

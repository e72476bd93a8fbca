"""Judged: by which quantity models are compared, and whether less or more of it is better."""

import math
from typing import Any

from ..callbacks.base import Mode, better_of
from ..callbacks.dispatch import is_ours
from ..checks import is_name
from ..errors import did_you_mean
from ..model import Model
from ..training.evaluate import better_of_evaluation


def checked_mode(mode: Any) -> Mode:
    """What is better, as an argument `mode` says."""
    if not is_name(mode, ("auto", "min", "max")):
        raise ValueError(f"mode is {mode!r:.80}, expected 'auto', 'min' or 'max'")
    known: Mode = mode
    return known


class Judged:
    """A quantity of the logs. `sign` times its value is less for the better model.

    better: "min" or "max"; of mode "auto" what the name says, "auto" where it says nothing, until a model is checked.
    """

    def __init__(self, monitor: Any, mode: Mode) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor is {monitor!r:.80}, expected a name such as 'val_loss'")
        self.monitor, self.mode = monitor, checked_mode(mode)
        self.better = (better_of(monitor) or "auto") if mode == "auto" else mode

    @property
    def sign(self) -> float:
        """What makes less of the quantity better."""
        return -1.0 if self.better == "max" else 1.0

    def check(self, model: Model, callbacks: Any, validated: bool) -> None:
        """ValueError where a model does not log the quantity, or nobody knows what is better. validated: by data held out."""
        of_evaluation = better_of_evaluation(model.engine)
        of_validation = {f"val_{name}": better for name, better in of_evaluation.items()}
        known = {"lr": ""} | of_evaluation | (of_validation if validated else {})
        if self.monitor not in known and all(map(is_ours, callbacks)):
            if self.monitor in of_validation:
                raise ValueError(
                    f"monitor is {self.monitor!r}, but there are no data to validate with: expected validation_data, or"
                    " validation_split"
                )
            near = did_you_mean(self.monitor, known) or f", expected one of {[*known]}"
            raise ValueError(f"monitor is {self.monitor!r}, which the models do not log{near}")
        better = known.get(self.monitor) or better_of(self.monitor) if self.mode == "auto" else self.mode
        if not better:
            raise ValueError(
                f"monitor is {self.monitor!r}, of which less or more may be better; give mode='min' or mode='max'"
            )
        self.better = better

    def score(self, values: list[float]) -> float:
        """Of the values of some epochs the best: less is better, infinity where there is none."""
        return min((self.sign * value for value in values if not math.isnan(value)), default=math.inf)


LEAST_LOSS = Judged("val_loss", "min")

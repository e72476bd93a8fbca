"""Runs: what `fit_many` returns, a table with a row for each model."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..engine.history import History
from ..errors import warn
from ..model import Model
from .judged import LEAST_LOSS, Judged
from .work import Outcome

# Rows of a repr.
SHOWN = 10


class Runs:
    """The runs of `bp.fit_many`: a table with a row for each model, in their order.

    Attributes:
        models: the models, trained in place.
        histories: a History for each.
        errors: a dict from a model's number to the exception that ended it; the others trained on.
        rows: a dict for each model: "model" (its number), "epochs" (in its history), "epoch" (the one whose weights it has, from
            0 on: the last, or the one that EarlyStopping brought back; None without one), what that epoch logged, and "error".
        trained: the models without an error, such as for bp.Ensemble.
        best: the model with the least val_loss, or loss where there is no val_loss, in the epoch whose weights it has; with
            `monitor` the one with the best of that quantity.
        best_number: its number.

    Example:
        >>> runs = bp.fit_many([bp.Model(nn.Linear(4, 1), seed=seed) for seed in range(3)], X, y, epochs=2)
        >>> runs.best.predict(X).shape
        (96, 1)
    """

    # What a row is.
    counted: ClassVar[str] = "model"

    def __init__(
        self, models: Sequence[Model], outcomes: Sequence[Outcome], judged: Judged | None = None
    ) -> None:
        self._judge = judged or LEAST_LOSS
        self._fallback = () if judged else ("loss",)
        self.models: list[Model] = [*models]
        self.histories: list[History] = [outcome.history for outcome in outcomes]
        self.errors: dict[int, Exception] = {o.number: o.error for o in outcomes if o.error}
        self.rows: list[dict[str, Any]] = [row_of(outcome) for outcome in outcomes]
        logged = {name for row in self.rows for name in row}
        self._judged_by = next((n for n in (self._judge.monitor, *self._fallback) if n in logged), "")

    @property
    def trained(self) -> list[Model]:
        """The models without an error."""
        return [model for number, model in enumerate(self.models) if number not in self.errors]

    @property
    def best(self) -> Model:
        """The model with the least val_loss, else loss; or the best of `monitor`."""
        return self.models[self.best_number]

    @property
    def best_number(self) -> int:
        """The number of the best model; ValueError where all failed or none finished an epoch."""
        ranked = self._ranked()
        if not ranked or self._judged(ranked[0]) == math.inf:
            if any(row["epochs"] and number not in self.errors for number, row in enumerate(self.rows)):
                raise ValueError(
                    f"no {self.counted} logged a number for {self._judge.monitor!r}, which is to judge them"
                )
            first = next(iter(self.errors.items()), None)
            why = f": {self.named(first[0])}: {type(first[1]).__name__}: {first[1]}" if first else ""
            raise ValueError(f"no {self.counted} finished an epoch without an error{why}")
        return ranked[0]

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame.

        Raises ImportError where pandas is missing.

        Example:
            >>> table = bp.fit_many([bp.Model(nn.Linear(4, 1))], X, y).to_pandas()
        """
        return frame_of(self.rows)

    def warn_of_errors(self) -> None:
        """Tell how many failed, and the first error."""
        if self.errors:
            number, error = next(iter(self.errors.items()))
            warn(
                f"{len(self.errors)} of {len(self)} {self.counted}s failed, see errors of the {type(self).__name__};"
                f" {self.named(number)}: {type(error).__name__}: {error}",
                RuntimeWarning,
            )

    def named(self, number: int) -> str:
        """What messages call a row."""
        return f"models[{number}]"

    def __len__(self) -> int:
        return len(self.models)

    def _ranked(self) -> list[int]:
        """The numbers of the models, the best first; those that failed or have no number last."""
        return sorted(range(len(self)), key=self._judged)

    def _judged(self, number: int) -> float:
        """What a model is judged by: less is better."""
        value = self.rows[number].get(self._judged_by)
        return math.inf if value is None or number in self.errors else self._judge.score([float(value)])

    def __repr__(self) -> str:
        head = f"{type(self).__name__}({len(self)} {self.counted}{'s' * (len(self) != 1)}"
        if self.errors:
            head += f", {len(self.errors)} failed"
        shown = self._ranked()[:SHOWN]
        names = [*dict.fromkeys(name for number in shown for name in self.rows[number])]
        if not self.errors:
            names.remove("error")
        table = [names] + [[_text(self.rows[number].get(name)) for name in names] for number in shown]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        more = [f"... {len(self) - SHOWN} more, the best first"] if len(self) > SHOWN else []
        return "\n".join([f"{head})", *lines, *more])


def frame_of(rows: list[dict[str, Any]]) -> Any:
    """A table as a pandas.DataFrame."""
    try:
        from pandas import DataFrame
    except ImportError:
        raise ImportError("to_pandas needs pandas: pip install pandas; rows has the table as dicts") from None
    return DataFrame(rows)


def row_of(outcome: Outcome) -> dict[str, Any]:
    """A row of the table."""
    history = outcome.history
    epochs = len(history.epoch)
    place = epochs - 1 if outcome.kept is None else outcome.kept
    row: dict[str, Any] = {
        "model": outcome.number,
        "epochs": epochs,
        "epoch": history.epoch[place] if epochs else None,
    }
    row |= {name: values[place] for name, values in history.history.items() if epochs}
    return row | {"error": f"{type(outcome.error).__name__}: {outcome.error}" if outcome.error else ""}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)[:60]

"""The models of a search: each built from its parameters when its trial begins."""

from collections.abc import Callable, Sequence
from typing import Any

from ..engine.history import History
from ..model import Model
from .work import Outcome


class Built:
    """Models by the number of their trial: None before it begins, and where `build` failed."""

    def __init__(self, build: Callable[[dict[str, Any]], Model], params: Sequence[dict[str, Any]]) -> None:
        self.build, self.params = build, params
        self.models: list[Any] = [None] * len(params)

    def model(self, number: int) -> Model | Outcome:
        """The model of a trial, or the outcome that says why there is none."""
        if self.models[number] is None:
            try:
                model = self.build(dict(self.params[number]))
            except Exception as error:
                return Outcome(number, History(), error, None)
            if not isinstance(model, Model):
                raise TypeError(
                    f"build returned {model!r:.80} for {self.params[number]}, expected a new bp.Model"
                )
            if any(model is other for other in self.models):
                raise ValueError(
                    f"build returned the same model again for {self.params[number]}, expected a new one"
                )
            self.models[number] = model
        found: Model = self.models[number]
        return found

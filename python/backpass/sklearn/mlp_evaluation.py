"""fit's eval_set and the parameter eval_metric: other data that are judged after each epoch."""

from typing import Any

import numpy as np
from sklearn.metrics import get_scorer


class Evaluation:
    """The data sets of `eval_set`, and the metric's values so far in the estimator's `evals_result_`.

    eval_set: (X, y) or a list of such pairs. A scorer "neg_..." is reported as what it negates.
    """

    def __init__(self, estimator: Any, eval_set: Any) -> None:
        self.estimator = estimator
        pairs = [] if eval_set is None else [eval_set] if isinstance(eval_set, tuple) else eval_set
        if not isinstance(pairs, list) or not all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs):
            raise ValueError(
                f"eval_set is {type(eval_set).__name__}, expected a pair (X, y) or a list of such pairs"
            )
        self.pairs = pairs
        metric = estimator.eval_metric
        self.function = metric if callable(metric) else None
        self.sign, self.name = 1, estimator._score_name if metric is None else str(metric)
        try:
            self.scorer = None if metric is None or self.function else get_scorer(metric)
        except ValueError as error:
            raise ValueError(f"eval_metric is {metric!r:.80}: {error}") from error
        if self.function:
            self.name = getattr(metric, "__name__", type(metric).__name__)
        elif self.name.startswith("neg_"):
            self.sign, self.name = -1, self.name.removeprefix("neg_")
        if pairs:
            estimator.evals_result_ = {f"validation_{i}": {self.name: []} for i in range(len(pairs))}

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def first(self) -> tuple[Any, Any, None]:
        """The first pair, for early stopping: X, y and no weights."""
        X, y = self.pairs[0]
        return self.estimator._checked(X), np.asarray(y), None

    def epoch(self) -> dict[str, float]:
        """Judge all sets; the values by name for the callbacks: val_<metric>, val_1_<metric>, ..."""
        logs: dict[str, float] = {}
        for i, (X, y) in enumerate(self.pairs):
            value = self._value(X, y)
            self.estimator.evals_result_[f"validation_{i}"][self.name].append(value)
            logs[f"val_{i}_{self.name}" if i else f"val_{self.name}"] = value
        return logs

    def _value(self, X: Any, y: Any) -> float:
        if self.scorer:
            return self.sign * float(self.scorer(self.estimator, X, y))
        if self.function:
            return float(self.function(y, self.estimator.predict(X)))
        return float(self.estimator.score(X, y))

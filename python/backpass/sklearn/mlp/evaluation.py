"""Evaluation of the data sets in fit's eval_set by eval_metric, after each epoch."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils.validation import check_array, check_consistent_length

from ...checks import is_number
from ..compat import is_scorer, metric_of, sign_of
from ..hints import value_hint


class Evaluation:
    """Data sets of `eval_set`; the metric's values go to the estimator's `evals_result_`.

    eval_set: (X, y) or a list of such pairs. A scorer that negates its metric ("neg_...") is reported without the sign.
    """

    def __init__(self, estimator: Any, eval_set: Any) -> None:
        self.estimator = estimator
        pairs = [] if eval_set is None else [eval_set] if isinstance(eval_set, tuple) else eval_set
        if not isinstance(pairs, list) or not all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs):
            raise ValueError(
                f"eval_set is {type(eval_set).__name__}, expected a pair (X, y), which is a tuple, or a list of such pairs"
            )
        self.pairs, self.checked = pairs, [self._checked(i, *pair) for i, pair in enumerate(pairs)]
        self._take_metric(estimator.eval_metric)
        if pairs:
            estimator.evals_result_ = {f"validation_{i}": {self.name: []} for i in range(len(pairs))}

    def _checked(self, number: int, X: Any, y: Any) -> tuple[Any, Any]:
        """Arrays X and y of one data set; ValueError names the set, before an epoch is spent."""
        estimator = self.estimator
        single = is_classifier(estimator) and not estimator._label_binarizer.y_type_.startswith("multilabel")
        expected = 1 if single else estimator.n_outputs_
        try:
            rows = estimator._checked(X)
            y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y")
            check_consistent_length(rows, y)
            outputs = y.shape[1] if y.ndim == 2 else 1
            if outputs != expected:
                raise ValueError(f"y has {outputs} outputs, expected {expected} as in the y of fit")
        except (TypeError, ValueError) as error:
            raise ValueError(f"eval_set[{number}]: {error}") from error
        return rows, y

    def _take_metric(self, metric: Any) -> None:
        self.function = self.scorer = None
        # scikit-learn negates metrics of which less is better; the values are reported without the sign.
        self.sign, self.name, better = 1, self.estimator._score_name, "max"
        if callable(metric) and not is_scorer(metric):
            self.function, self.name, better = metric, getattr(metric, "__name__", type(metric).__name__), ""
        elif metric is not None:
            self.scorer, self.name = self._scorer(metric)
            self.sign = sign_of(self.scorer)
            better = "max" if self.sign > 0 else "min"
        # By the name in the logs: what is better, "" where nobody says.
        self.better = {self._logged(i): better for i in range(len(self.pairs))}

    @staticmethod
    def _scorer(metric: Any) -> tuple[Any, str]:
        """Scorer of a scikit-learn metric, and the name of the metric."""
        if is_scorer(metric):
            return metric, metric_of(metric)
        try:
            scorer = get_scorer(metric)
        except ValueError as error:
            hint = value_hint("eval_metric", metric, get_scorer_names())
            raise ValueError(f"eval_metric is {metric!r:.80}: {str(error).rstrip('.')}{hint}") from error
        return scorer, metric.removeprefix("neg_") if sign_of(scorer) < 0 else metric

    def _logged(self, number: int) -> str:
        return f"val_{number}_{self.name}" if number else f"val_{self.name}"

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def first(self) -> tuple[Any, Any, None]:
        """The first pair, for early stopping: X, y and no weights."""
        return (*self.checked[0], None)

    def epoch(self) -> dict[str, float]:
        """Evaluate all data sets; returns the callbacks' logs: val_<metric>, val_1_<metric>, ..."""
        logs: dict[str, float] = {}
        for i in range(len(self.pairs)):
            value = self._value(i)
            self.estimator.evals_result_[f"validation_{i}"][self.name].append(value)
            logs[self._logged(i)] = value
        return logs

    def _value(self, number: int) -> float:
        X, y = self.pairs[number]
        if self.function:
            value = self.function(y, self.estimator.predict(X))
            if not is_number(
                value := value.item() if isinstance(value, np.ndarray) and not value.ndim else value
            ):
                raise TypeError(f"eval_metric {self.name!r} returned {value!r:.80}, expected a number")
            return float(value)
        try:
            if self.scorer:
                return self.sign * float(self.scorer(self.estimator, X, y))
            return float(self.estimator._score(*self.checked[number], None))
        except (AttributeError, TypeError, ValueError) as error:
            metric = self.estimator.eval_metric or self.name
            raise ValueError(
                f"eval_metric is {metric!r:.80}, which fails on eval_set[{number}]: {error}"
            ) from error

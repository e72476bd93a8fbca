"""MLPClassifier: scikit-learn's classifier, trained by backpass."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_is_fitted

from ...described import explained
from ..compat import check_partial_fit_first_call
from ..elsewhere import OF_FIT, OF_MLP
from ..parameters import constraints, documentation, keep_parameters
from ..reading import check_classes, check_order, label_binarizer
from ..weights import row_weights
from .base import BaseMLP
from .documentation import ATTRIBUTES, RAISES, SOURCES
from .parameters import CLASSIFIER
from .solver import stochastic
from .targets import Task, classification_loss, classification_task


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc] # scikit-learn has no types
    __doc__ = f"""Multi-layer perceptron classifier, trained by backpropagation: scikit-learn's class with a faster engine.

    Parameters, attributes and methods of sklearn.neural_network.MLPClassifier mean what they mean there. One seed gives the
    same run in both, but for rounding.

    Args:
        {documentation(CLASSIFIER)}

    Attributes:
        classes_: the labels, sorted; of a multi-label y the numbers of its columns.
        {ATTRIBUTES.format(score="accuracy")}

    Shapes: X (N, features), dense or sparse. y (N,) of any labels, or (N, labels) of 0 and 1 that may occur together.

    Raises:
        {RAISES}

    Source: {SOURCES}

    Example:
        >>> from backpass.sklearn import MLPClassifier
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
        >>> MLPClassifier((8,), "tanh", solver="lbfgs", random_state=0).fit(X, y).predict(X)
        array(['even', 'odd', 'odd', 'even'], dtype='<U4')
    """

    _parameter_constraints = constraints(CLASSIFIER)
    _score_name = "accuracy"

    # Written by tests/sklearn/test_sklearn_constructors.py, from the table in parameters.py.
    @explained(OF_MLP)
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 0.0001,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        categorical_features: Any = None,
        embedding_dim: Any = None,
        dropout: float = 0.0,
        batch_norm: bool = False,
        layer_norm: bool = False,
        residual: bool = False,
        weight_decay: float | None = None,
        clip_grad_norm: float | None = None,
        lr_schedule: Any = None,
        eval_metric: Any = None,
        callbacks: Any = None,
        n_threads: int | None = None,
        backend: str = "auto",
        dtype: str | None = None,
        precision: str | None = None,
    ) -> None:
        keep_parameters(self, locals())

    @available_if(stochastic)  # type: ignore[untyped-decorator]
    @explained(OF_FIT)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "MLPClassifier":
        """Train for one epoch over some of the rows, on top of all epochs so far.

        Args:
            X: (N, features), dense or sparse. y: (N,) labels, or (N, labels) of 0 and 1.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1). All of them may be 0.
            classes: all labels that will ever come, needed by the first call alone; default None.

        Returns the estimator. Raises ValueError where classes are missing, or given in the place of sample_weight.
        """
        check_order(y, sample_weight, classes)
        if check_partial_fit_first_call(self, classes):
            labels = y if type_of_target(y).startswith("multilabel") else classes
            self._label_binarizer = LabelBinarizer().fit(labels)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Most probable label of each row of X, (N,); of several labels a row 0 or 1 for each, (N, labels)."""
        check_is_fitted(self, "coefs_")
        return self._predict(self._checked(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class for each row of X, in the order of `classes_`, (N, classes)."""
        check_is_fitted(self, "coefs_")
        out = self._raw(self._checked(X))
        if self.n_outputs_ == 1:
            return np.column_stack([1 - out[:, 0], out[:, 0]])
        if self.out_activation_ == "logistic" and self._label_binarizer.y_type_ == "multiclass":
            total = np.maximum(out.sum(axis=1, keepdims=True), np.finfo(out.dtype).tiny)
            return np.asarray(out / total)
        return out

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithm of `predict_proba` for each row of X, (N, classes)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def _predict(self, X: Any) -> np.ndarray:
        return self._labels(self._raw(X))

    def _labels(self, out: np.ndarray) -> np.ndarray:
        """Labels of outputs, or of targets."""
        if out.dtype == np.int64 and out.ndim == 1:
            return np.asarray(self.classes_[out])
        # of several labels a sparse matrix if that is what y was, as in scikit-learn
        labels: np.ndarray = self._label_binarizer.inverse_transform(out[:, 0] if out.shape[1] == 1 else out)
        return labels

    def _score(self, X: Any, y: Any, weight: Any) -> float:
        return float(accuracy_score(y, self._predict(X), sample_weight=weight))

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, incremental, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            try:
                self._label_binarizer = label_binarizer(y)
            except (TypeError, ValueError):
                check_classes(y)  # says better what is wrong with continuous or mixed values
                raise
            self.classes_ = self._label_binarizer.classes_
            return X, y
        labels = unique_labels(y)
        if self.warm_start and set(labels) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously"
                f" got {self.classes_}, `y` has {labels}"
            )
        if np.setdiff1d(labels, self.classes_).size:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {labels}."
            )
        return X, y

    def _prepare(self, y: Any, weight: Any, incremental: bool) -> tuple[np.ndarray, np.ndarray | None]:
        if self.class_weight is not None:
            if incremental and self.class_weight == "balanced":
                raise ValueError(
                    "class_weight is 'balanced', but partial_fit does not see all rows: expected a dict"
                )
            weight = row_weights(weight, self.class_weight, self.classes_, y, partial=incremental)
        return self._binarized(y), weight

    def _binarized(self, y: Any) -> np.ndarray:
        """One-hot targets, (N, n_outputs_) booleans: LabelBinarizer's, but quicker where y holds plain classes."""
        y_type, classes = self._label_binarizer.y_type_, self.classes_
        if y_type.startswith("multilabel") or len(classes) < 2:
            labels = np.asarray(self._label_binarizer.transform(y))
            return labels.reshape(len(labels), -1).astype(bool)
        codes = np.searchsorted(classes, y)[:, None]
        return np.asarray(codes == 1 if len(classes) == 2 else codes == np.arange(len(classes)))

    def _loss(self) -> tuple[Any, str]:
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        return classification_loss(self.loss, multiclass, self.label_smoothing)

    def _task(self, loss: Any, y: np.ndarray, weight: np.ndarray | None, dtype: Any) -> Task:
        return classification_task(loss, y, weight, self.label_smoothing, dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

"""ELMClassifier: an extreme learning machine with one output for each class."""

from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ...described import explained
from ...model import Model
from ..compat import check_sample_weight
from ..elsewhere import OF_ELM, OF_ELM_FIT
from ..parameters import documentation, keep_parameters
from ..reading import check_classes, check_order, validated
from ..weights import row_weights
from .base import BaseELM
from .documentation import ATTRIBUTES, MEMORY, MODEL, RAISES
from .parameters import CLASSIFIER
from .settings import check_settings


class ELMClassifier(ClassifierMixin, BaseELM):  # type: ignore[misc, unused-ignore]
    __doc__ = f"""Extreme learning machine for classification: ridge regression on targets of -1 and 1, one output for each class.

    The outputs are f(x Wᵀ + c) βᵀ + b.

    {MODEL}

    Args:
        {documentation(CLASSIFIER)}

    Attributes:
        classes_: the labels, sorted (K,); of a multi-label y the numbers of its columns.
        {ATTRIBUTES}

    Shapes: X (N, features), dense or sparse. y (N,) of any labels, or (N, K) of 0 and 1 that may occur together. Two classes
    have one output, as single labels have.

    {MEMORY}

    Raises:
        {RAISES}

    Source: Huang, Zhu and Siew 2006 (the model), Allen 1974 (PRESS), Chan, Golub and LeVeque 1983 (sums over chunks).

    Example:
        >>> from backpass.sklearn import ELMClassifier
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
        >>> ELMClassifier(20, random_state=0).fit(X, y).predict(X)
        array(['even', 'odd', 'odd', 'even'], dtype='<U4')
    """

    # Written by tests/sklearn/test_sklearn_constructors.py, from the table in parameters.py.
    @explained(OF_ELM)
    def __init__(
        self,
        n_hidden: int = 500,
        activation: str = "tanh",
        alpha: Any = 0.1,
        *,
        alphas: Any = None,
        weight_scale: float = 1.0,
        bias_scale: float = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        chunk_size: int | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        keep_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @explained(OF_ELM_FIT)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ELMClassifier":
        """Draw the hidden layer and solve.

        Args:
            X: (N, features), dense or sparse. y: (N,) labels, or (N, K) of 0 and 1.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1).

        Returns the estimator. Raises ValueError or TypeError, which name the argument.
        """
        check_settings(self)
        self._fit(*self._checked(X, y, sample_weight))
        return self

    @explained(OF_ELM_FIT)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "ELMClassifier":
        """Add rows and solve again: but for rounding the result is that of one `fit` on all rows so far, those of `fit` included.

        Args:
            X: (N, features), dense or sparse. y: (N,) labels, or (N, K) of 0 and 1.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1). From the second call on all may be 0.
            classes: all labels that will ever come, needed by the first call alone; default None.

        With alpha="loo" the ridge is the one that `fit`, or the first call, chose: the rows themselves are not kept.

        Returns the estimator. Raises ValueError: a parameter of the random layer was changed since it was drawn;
        class_weight="balanced", which needs all rows at once; classes that are missing, or in the place of sample_weight.
        """
        check_settings(self)
        check_order(y, sample_weight, classes)
        first_call = not hasattr(self, "moments_")
        if first_call and classes is None:
            raise ValueError("classes is None, expected all classes at the first call of partial_fit")
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight is {self.class_weight!r}, but partial_fit does not know all rows; give a dict"
            )
        if not first_call and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes is {classes!r}, but at the first call it was {self.classes_.tolist()}")
        self._partial_fit(*self._checked(X, y, sample_weight, classes, partial=not first_call))
        return self

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, classes: Any = None, partial: bool = False
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        X, y = validated(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            multi_output=True,
            reset=not partial,
        )
        check_classes(y)
        w = check_sample_weight(sample_weight, X, np.float64, not_negative=True)
        multilabel = type_of_target(y) == "multilabel-indicator"
        if not multilabel and y.ndim == 2:
            if y.shape[1] > 1:
                raise ValueError(
                    f"y has shape {y.shape}, expected (N,) classes, or (N, K) labels of 0 and 1;"
                    " for several outputs of several classes wrap this in sklearn.multioutput.MultiOutputClassifier"
                )
            y = column_or_1d(y, warn=True)
        if not partial:
            self._multilabel = multilabel
            labels = np.arange(y.shape[1]) if multilabel else unique_labels(y if classes is None else classes)
            if len(labels) < 2 and not multilabel:
                raise ValueError(f"y holds one class ({labels.tolist()}), expected at least two classes")
            self.classes_ = labels
        if multilabel != self._multilabel:
            raise ValueError("y has another form than in the fit before: classes (N,) or labels (N, K)")
        if multilabel:
            w = self._row_weights(w, y, partial)
            dense = y.toarray() if sparse.issparse(y) else y
            return X, 2.0 * dense - 1, w
        if unknown := set(np.unique(y).tolist()) - set(self.classes_.tolist()):
            raise ValueError(
                f"y holds the classes {sorted(unknown, key=str)}, expected those of {self.classes_.tolist()}"
            )
        w = self._row_weights(w, y, partial)
        coded = LabelBinarizer(neg_label=-1).fit(self.classes_).transform(y)
        return X, coded.astype(np.float64), w

    def _row_weights(self, sample_weight: np.ndarray, y: Any, partial: bool) -> np.ndarray:
        weight = row_weights(sample_weight, self.class_weight, self.classes_, y, partial)
        assert weight is not None
        return weight

    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs for every row of X, near 1 for a class and near -1 against it: (N,) for two classes, else (N, K); float64."""
        out = self._outputs(X)
        return out[:, 0] if out.shape[1] == 1 and not self._multilabel else out

    def predict(self, X: Any) -> np.ndarray:
        """Class of every row of X, (N,); of several labels a row 0 or 1 for each, (N, K)."""
        scores = self.decision_function(X)
        if self._multilabel:
            return (scores > 0).astype(np.int64)
        indices = (scores > 0).astype(np.int64) if scores.ndim == 1 else scores.argmax(axis=1)
        out: np.ndarray = self.classes_[indices]
        return out

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes for every row of X, (N, K), in the order of `classes_`.

        Least squares estimates p = (d + 1) / 2 for the outputs d, which may leave [0, 1]. softmax(K p) does not, and equals p to
        first order where all classes are equally likely; with several labels sigmoid(2 d) for each, likewise. Calibrate them
        with scikit-learn's CalibratedClassifierCV where their size matters.
        """
        scores = self.decision_function(X)
        if self._multilabel:
            return np.asarray(expit(2 * scores))
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores * (len(self.classes_) / 2)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def to_mlp(self, **options: Any) -> Model:
        """Convert the fitted network to a bp.Model whose softmax is `predict_proba`; backpropagation can go on training it.

            model = elm.to_mlp(optimizer=optim.Adam(lr=1e-4))
            model.fit(X, np.searchsorted(elm.classes_, y), epochs=10)

        The loss is the cross entropy of class indices (bce_with_logits of y as float for several labels).
        options: for bp.Model: loss, optimizer, seed, dtype (default: that of X), backend, threads.
        """
        check_is_fitted(self, "coef_")
        coef, intercept = self.coef_, self.intercept_
        if self._multilabel:
            return self._to_mlp(2 * coef, 2 * intercept, "bce_with_logits", options)
        if len(coef) == 1:
            coef, intercept = np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
        scale = len(self.classes_) / 2
        return self._to_mlp(scale * coef, scale * intercept, "cross_entropy", options)

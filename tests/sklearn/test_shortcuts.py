"""What estimators do without scikit-learn's checks, because it costs more than small data: the outcome is scikit-learn's."""

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import validate_data

from backpass.sklearn import ELMRegressor, MLPClassifier, MLPRegressor
from backpass.sklearn.compat import InvalidParameterError
from backpass.sklearn.reading import label_binarizer, validated

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 30)


@pytest.mark.parametrize(
    "y",
    [
        *(LABELS.astype(dtype) for dtype in ("bool", "int8", "uint8", "int32", ">i4", "int64", "uint64", "f4", "U3")),
        *(LABELS - 7, np.zeros(5, int), np.arange(30), np.arange(3), np.eye(3, dtype=int)[LABELS], LABELS.tolist()),
    ],
    ids=str,
)  # fmt: skip
def test_label_binarizer_is_scikit_learns(y: Any) -> None:
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        made = label_binarizer(y)
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        expected = LabelBinarizer().fit(y)
    assert vars(made).keys() == vars(expected).keys()
    assert (made.y_type_, made.sparse_input_) == (expected.y_type_, expected.sparse_input_)
    assert made.classes_.dtype == expected.classes_.dtype
    assert np.array_equal(made.classes_, expected.classes_)
    assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]


X = RNG.standard_normal((6, 4))
Y = np.arange(6.0)
NAN = np.where(np.arange(24).reshape(6, 4) == 9, np.nan, X)


@pytest.mark.parametrize(
    "y", [Y, Y.astype("f4"), LABELS[:6], Y[:, None], Y[:3], np.where(Y, Y, np.inf), [*Y]]
)
@pytest.mark.parametrize(
    "x",
    [
        *(X, X.astype("f4"), X.astype("f2"), X.astype(">f4"), X.T.copy().T, X[:, ::2], NAN, X[:0], X[0], X[None], X.tolist()),
        *(X.astype(int), X.astype(complex), np.full((6, 4), 1e308), np.full((6, 4), np.inf), np.ma.masked_less(X, 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("multi_output", [True, False])
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_validated_is_scikit_learns(x: Any, y: Any, multi_output: bool) -> None:
    """The same arrays in the same memory, or the same refusal."""
    options: dict[str, Any] = {"dtype": (np.float64, np.float32), "order": "C", "multi_output": multi_output}
    found: list[Any] = []
    for check in (validated, validate_data):
        estimator = MLPRegressor()
        try:
            with np.errstate(all="ignore"):
                found.append((*check(estimator, x, y, **options), estimator.n_features_in_))
        except ValueError as error:
            found.append(str(error).partition("\n")[0])
    ours, theirs = found
    if isinstance(theirs, str):
        assert ours == theirs
        return
    assert ours[2] == theirs[2]
    for given, a, b in zip((x, y), ours[:2], theirs[:2], strict=True):
        assert (type(a), a.dtype, a.strides, a is given) == (type(b), b.dtype, b.strides, b is given)
        assert np.array_equal(a, b)


def test_defaults_of_a_subclass_are_checked() -> None:
    class Own(MLPClassifier):
        def __init__(self, activation: str = "nonsense", learning_rate_init: Any = 0.1) -> None:
            super().__init__(activation=activation)
            self.learning_rate_init = learning_rate_init

    class Flag(Own):
        def __init__(self, activation: str = "relu", learning_rate_init: Any = True) -> None:
            super().__init__(activation, learning_rate_init)

    for _ in range(2):
        with pytest.raises(InvalidParameterError, match="'activation' parameter of Own"):
            Own().fit(X, LABELS[:6])
        with pytest.raises(ValueError, match="learning_rate_init is True"):
            Flag().fit(X, LABELS[:6])


def test_elms_read_by_the_same_checks() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ELMRegressor(n_hidden=3).fit(NAN, Y)

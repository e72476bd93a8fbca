"""Data as people have them: frames, labels, tensors."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

from helpers.estimators import LABELS, X, classifiers, elm_regressor, every, regressor, y

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def frame(**columns: Any) -> Any:
    """The four columns of X and others."""
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(dict(zip("abcd", X.T, strict=True)) | columns)


def nullable(values: Any, dtype: str) -> Any:
    return pytest.importorskip("pandas").array(values, dtype=dtype)


TRAIN: dict[str, Callable[[], Any]] = {
    "bool and float": lambda: frame(e=y > 0),
    "dummies": lambda: pytest.importorskip("pandas").get_dummies(frame(e=np.where(y, "u", "v"))),
    "int and float": lambda: frame(e=y),
    "Float64": lambda: frame().astype("Float64"),
    "Int64": lambda: frame(e=nullable(y, "Int64")),
    "boolean": lambda: frame(e=nullable(y > 0, "boolean")),
    "Float32 and boolean": lambda: frame().astype("Float32").assign(e=nullable(y > 0, "boolean")),
    "category of numbers": lambda: frame(e=pytest.importorskip("pandas").Categorical(y)),
    "numbers as objects": lambda: frame(e=y.astype(object)),
    "polars": lambda: pytest.importorskip("polars").DataFrame({"a": X[:, 0], "b": y > 0}),
}


@pytest.mark.parametrize("form", TRAIN)
@every
def test_frames_that_train(make: Any, form: str) -> None:
    table = TRAIN[form]()
    model = make().fit(table, y)
    numbers = np.column_stack([np.asarray(table[name], dtype=float) for name in table.columns])
    plain = make().fit(numbers, y)
    assert np.allclose(model.predict(table), plain.predict(numbers), atol=1e-4)
    assert list(model.feature_names_in_) == list(table.columns)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "strings": (lambda: frame(e=np.where(y, "u", "v")), "X: column 'e' has dtype .*OneHotEncoder"),
    "categories": (
        lambda: frame(e=pytest.importorskip("pandas").Categorical(np.where(y, "u", "v"))),
        "X: column 'e' has dtype object, .*OneHotEncoder",
    ),
    "dates": (
        lambda: frame(e=pytest.importorskip("pandas").date_range("2020", periods=96)),
        "X: column 'e' has dtype datetime64",
    ),
    "a missing integer": (
        lambda: frame(e=nullable([None, *y[1:]], "Int64")), "NaN(.|\n)*X: column 'e' .*(nan|no value) at row 0"
    ),
    "a missing boolean": (
        lambda: frame(e=nullable([*(y[1:] > 0), None], "boolean")), "NaN(.|\n)*X: column 'e' .*(nan|no value) at row 95"
    ),
    "a missing float": (
        lambda: frame(e=np.where(np.arange(96) == 5, np.nan, 1)), "NaN(.|\n)*X: column 'e' holds nan at row 5"
    ),
    "a missing object": (lambda: frame(e=[None, *y[1:].astype(object)]), "X: column 'e' .*(nan|no value) at row 0"),
    "infinity": (lambda: frame(e=np.where(y, np.inf, 1)), "infinity(.|\n)*X: column 'e' holds inf"),
    "mixed": (lambda: frame(e=np.array([1, "a"] * 48, dtype=object)), "X: column 'e' has dtype object"),
    "lists": (lambda: frame(e=[[1, 2]] * 96), "X: column 'e' has dtype object"),
    "no columns": (lambda: frame().iloc[:, :0], "X has no columns"),
    "polars": (
        lambda: pytest.importorskip("polars").DataFrame({"a": X[:, 0], "b": ["u"] * 96}),
        "X: column 'b' has dtype",
    ),
    "a generator": (lambda: (row for row in X), "X is a generator, .*partial_fit"),
    "a loader": (lambda: iter([(X, y)]), "X is a list_iterator, .*partial_fit"),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
@every
def test_frames_that_are_refused_name_the_column(make: Any, form: str) -> None:
    table, message = REFUSED[form]
    with pytest.raises((TypeError, ValueError), match=message):
        make().fit(table(), y)


@every
def test_predict_and_eval_set_name_the_column_too(make: Any) -> None:
    broken = frame(e=np.where(np.arange(96) == 5, np.nan, 1.0))
    model = make().fit(frame(e=y), y)
    with pytest.raises(ValueError, match="X: column 'e' holds nan at row 5"):
        model.predict(broken)
    if "MLP" in type(model).__name__:
        with pytest.raises(ValueError, match=r"eval_set\[0\]: (.|\n)*X: column 'e' holds nan at row 5"):
            model.fit(frame(e=y), y, eval_set=(broken, y))


@pytest.mark.parametrize("make", [regressor, elm_regressor])
def test_the_y_of_a_regressor_is_told_what_it_holds(make: Any) -> None:
    pandas = pytest.importorskip("pandas")
    for names in (np.where(y, "u", "v"), pandas.Series(np.where(y, "u", "v")), ["u", "v"] * 48):
        with pytest.raises(ValueError, match=r"y has dtype .*, expected numbers"):
            make().fit(X, names)
    with pytest.raises(ValueError, match=r"y .*(nan|no value) at row 0"):
        make().fit(X, pandas.Series(nullable([None, *y[1:]], "Int64")))


@classifiers
def test_labels_as_people_have_them(make: Any) -> None:
    pandas = pytest.importorskip("pandas")
    names = np.where(y, "u", "v")
    for labels in (
        pandas.Series(names),
        pandas.Series(names, dtype="string"),
        pandas.Categorical(names),
        list(names),
    ):
        assert set(make().fit(X, labels).predict(X)) <= {"u", "v"}
    for labels in (
        y > 0,
        y.astype(np.uint8),
        nullable(y, "Int64"),
        nullable(y > 0, "boolean"),
        y.astype(float),
    ):
        model = make().fit(X, labels)
        theirs = TheirMLPClassifier(max_iter=1).fit(X, labels)
        assert model.classes_.dtype == theirs.classes_.dtype
        assert np.array_equal(model.classes_, theirs.classes_)
    for onehot in (np.eye(2, dtype=int)[y], np.eye(2)[y] > 0, LABELS.astype(float)):
        assert make().fit(X, onehot).predict(X).shape == onehot.shape
    with pytest.raises(ValueError, match=r"Unknown label type(.|\n)*y has dtype object, .*y.astype\(int\)"):
        make().fit(X, y.astype(object))


class Tensor:
    """What PyTorch's tensor that requires grad does where NumPy asks for its numbers."""

    requires_grad, shape, ndim = True, (96, 4), 2

    def __len__(self) -> int:
        return 96

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@every
def test_a_tensor_that_requires_grad(make: Any) -> None:
    with pytest.raises(TypeError, match=r"X is a tensor that requires grad, expected X.detach\(\)"):
        make().fit(Tensor(), y)

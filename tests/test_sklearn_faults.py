"""What users of the estimators run into, by kind: settings without effect, metrics' directions, data, messages."""

import inspect
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone, is_classifier
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

import backpass as bp
import backpass.sklearn as ours
from backpass import nn, optim
from backpass.sklearn import ELMClassifier, ELMRegressor, MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
rng = np.random.default_rng(0)
X = rng.normal(size=(96, 4))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
LABELS = np.stack([y, 1 - y, X[:, 2] > 0], axis=1).astype(int)


def classifier(**parameters: Any) -> Any:
    return MLPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def regressor(**parameters: Any) -> Any:
    return MLPRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def elm_classifier(**parameters: Any) -> Any:
    return ELMClassifier(**{"n_hidden": 10, "random_state": 0, **parameters})


def elm_regressor(**parameters: Any) -> Any:
    return ELMRegressor(**{"n_hidden": 10, "random_state": 0, **parameters})


EVERY = {
    "MLPClassifier": classifier, "MLPRegressor": regressor,
    "ELMClassifier": elm_classifier, "ELMRegressor": elm_regressor,
}  # fmt: skip
CLASSIFIERS = {"MLP": classifier, "ELM": elm_classifier}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
classifiers = pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)


# ---- E: what errors and reprs say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "parameters", "hint"),
    [
        (classifier, {"solver": "Adam"}, "Got 'Adam' instead; did you mean 'adam'?"),
        (classifier, {"solver": "L-BFGS"}, "did you mean 'lbfgs'?"),
        (classifier, {"solver": optim.AdamW()}, "did you mean 'adamw'?"),
        (classifier, {"solver": optim.SGD}, "did you mean 'sgd'?"),
        (classifier, {"activation": "ReLU"}, "did you mean 'relu'?"),
        (classifier, {"activation": "sigmoid"}, "did you mean 'logistic'?"),
        (classifier, {"activation": nn.GELU()}, "did you mean 'gelu'?"),
        (regressor, {"activation": "swish"}, "did you mean 'silu'?"),
        (regressor, {"loss": "mse"}, "did you mean 'squared_error'?"),
        (regressor, {"loss": "Huber"}, "did you mean 'huber'?"),
        (regressor, {"loss": "log_loss"}, "'log_loss' is a loss of MLPClassifier"),
        (classifier, {"loss": "mse"}, "'squared_error' is a loss of MLPRegressor"),
        (classifier, {"loss": "categorical_crossentropy"}, "did you mean 'log_loss'?"),
        (classifier, {"early_stopping": "yes"}, "did you mean True?"),
        (classifier, {"shuffle": "False"}, "did you mean False?"),
        (classifier, {"learning_rate": 0.1}, "did you mean learning_rate_init=0.1?"),
        (classifier, {"learning_rate": "adaptativ"}, "did you mean 'adaptive'?"),
        (classifier, {"learning_rate_init": "0.1"}, "did you mean 0.1?"),
        (classifier, {"lr_schedule": "cosine"}, "optim.schedules.cosine(lr, total_steps)"),
        (classifier, {"max_iter": 1e3}, "did you mean 1000?"),
        (classifier, {"hidden_layer_sizes": "64"}, "did you mean 64?"),
        (classifier, {"batch_size": "32"}, "did you mean 32?"),
        (classifier, {"dtype": np.float32}, "did you mean 'float32'?"),
        (classifier, {"dtype": "f8"}, "did you mean 'float64'?"),
        (classifier, {"backend": "cuda"}, "backpass trains on the CPU"),
        (classifier, {"backend": "Native"}, "did you mean 'native'?"),
        (classifier, {"callbacks": bp.EarlyStopping("loss")}, "did you mean a list of one?"),
        (classifier, {"class_weight": "balance"}, "did you mean 'balanced'?"),
        (classifier, {"eval_metric": "acc"}, "did you mean 'accuracy'?"),
        (regressor, {"eval_metric": "mean_squared_error"}, "did you mean 'neg_mean_squared_error'?"),
        (elm_classifier, {"activation": "ReLU"}, "did you mean 'relu'?"),
        (elm_regressor, {"activation": "swish"}, "did you mean 'silu'?"),
        (elm_regressor, {"solver": "SVD"}, "did you mean 'svd'?"),
    ],
    ids=str,
)  # fmt: skip
def test_a_refused_value_comes_with_what_is_meant(make: Any, parameters: dict[str, Any], hint: str) -> None:
    (name,) = parameters
    with pytest.raises(ValueError, match=f"{name}.*{re.escape(hint)}$"):
        make(**parameters).fit(X, y)


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        (MLPClassifier, "hidden_layer_size", "did you mean 'hidden_layer_sizes'?"),
        (MLPClassifier, "earlystopping", "did you mean 'early_stopping'?"),
        (MLPClassifier, "epochs", "it is called max_iter"),
        (MLPRegressor, "lr", "it is called learning_rate_init"),
        (MLPRegressor, "optimizer", "it is called solver"),
        (MLPRegressor, "seed", "it is called random_state"),
        (MLPRegressor, "validation_data", "give it to fit as eval_set"),
        (MLPRegressor, "class_weight", "expected ["),
        (ELMClassifier, "n_hiden", "did you mean 'n_hidden'?"),
        (ELMClassifier, "hidden_layer_sizes", "it is called n_hidden"),
        (ELMRegressor, "ridge", "it is called alpha"),
        (ELMRegressor, "max_iter", "one linear solve takes the place of epochs"),
    ],
)
def test_a_parameter_that_there_is_not(kind: Any, argument: str, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"{kind.__name__} has no argument {argument!r}")) as error:
        kind(**{argument: 3})
    assert message in str(error.value)
    with pytest.raises(
        ValueError, match=f"Invalid parameter {argument!r} for estimator {kind.__name__}"
    ) as refused:
        kind().set_params(**{argument: 3})
    assert message in str(refused.value) or message == "expected ["


@every
def test_an_argument_of_fit_that_there_is_not(make: Any) -> None:
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=rf"^{method}\(\) has no argument 'epochs': "):
            getattr(make(), method)(X, y, epochs=3)
        with pytest.raises(TypeError, match=r"no argument 'sample_weigth'; did you mean 'sample_weight'\?"):
            getattr(make(), method)(X, y, sample_weigth=np.ones(96))


@every
def test_reprs_and_parameters_are_scikit_learns(make: Any) -> None:
    model = make()
    assert (
        repr(model.set_params(activation="elu"))
        .replace("\n", "")
        .startswith(f"{type(model).__name__}(activation='elu', ")
    )
    assert repr(type(model)()) == f"{type(model).__name__}()"
    assert clone(model).get_params() == model.get_params()
    assert type(model).__name__ in model._repr_html_()


def test_the_room_shows_the_estimators_and_no_more() -> None:
    assert dir(ours) == ["ELMClassifier", "ELMRegressor", "MLPClassifier", "MLPRegressor"]
    with pytest.raises(AttributeError, match="no attribute 'MLPClasifier'; did you mean 'MLPClassifier'"):
        ours.MLPClasifier  # noqa: B018


# ---- A: what is set acts, or is refused --------------------------------------------------------------------------------


@classifiers
@pytest.mark.parametrize(
    ("weights", "target"),
    [
        ({0: 0, 1: 0}, y), ({0: 0.0, 1: 0.0}, y > 0), ({"a": 0, "b": 0}, np.where(y, "a", "b")),
        ({0: 0, 1: 0, 2: 0}, np.arange(96) % 3), ([{0: 0, 1: 0}, {}, {}], LABELS),
    ],
    ids=["numbers", "bools", "strings", "three", "labels"],
)  # fmt: skip
def test_class_weight_that_is_all_zero_is_refused(make: Any, weights: Any, target: Any) -> None:
    model = make(class_weight=weights)
    message = r"class_weight(\[0\])? is \{.*, which makes the weight of every row zero"
    with pytest.raises(ValueError, match=message):
        model.fit(X, target, sample_weight=np.ones(96))
    with pytest.raises(ValueError, match=message):
        make(class_weight=weights).partial_fit(
            X, target, classes=np.arange(3) if target.ndim > 1 else np.unique(target)
        )


@classifiers
def test_weights_that_leave_no_row_name_what_did_it(make: Any) -> None:
    with pytest.raises(
        ValueError, match=r"class_weight is .*, which makes the weight zero of every row whose"
    ):
        make(class_weight={0: 0, 1: 1}).fit(X, y, sample_weight=(y == 0).astype(float))
    with pytest.raises(ValueError, match=r"^sample_weight is zero for every row"):
        make(class_weight={0: 1, 1: 2}).fit(X, y, sample_weight=np.zeros(96))
    with pytest.raises(ValueError, match=r"^sample_weight is zero for every row"):
        make(class_weight="balanced").fit(X, y, sample_weight=np.zeros(96))
    with pytest.raises(ValueError, match=r"class_weight\[1\] is \{0: -1\}, expected numbers of at least 0"):
        make(class_weight=[{}, {0: -1}, {}]).fit(X, LABELS)
    with pytest.raises(
        ValueError, match=r"class_weight is .*, expected None, 'balanced' or a list of 3 dicts"
    ):
        make(class_weight=[{0: 1}, {0: 1}]).fit(X, LABELS)
    with pytest.raises(
        ValueError, match=r"class_weight is .*, expected None, 'balanced' or a list of 3 dicts"
    ):
        make(class_weight={0: 1, 1: 2}).fit(X, LABELS)


@classifiers
def test_balanced_classes_may_be_absent(make: Any) -> None:
    """A class of weight 0, and a label that no row has."""
    three = np.arange(96) % 3
    balanced = make(class_weight="balanced").fit(X, three, sample_weight=(three < 2).astype(float))
    assert np.isfinite(balanced.predict_proba(X)).all()
    labels = np.column_stack([y, np.zeros_like(y)])
    assert np.isfinite(make(class_weight="balanced").fit(X, labels).predict_proba(X)).all()


def test_rows_held_out_have_some_weight() -> None:
    weight = np.zeros(96)
    weight[0] = 1
    with pytest.raises(ValueError, match="is zero for all rows that early_stopping=True holds out"):
        classifier(early_stopping=True).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match="is zero for all rows that early_stopping=True holds out"):
        regressor(early_stopping=True).fit(X, y, sample_weight=weight)


# ---- D: data as people have them ---------------------------------------------------------------------------------------


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


# ---- D: what partial_fit takes, in which order -------------------------------------------------------------------------


@every
def test_the_third_argument_is_sample_weight(make: Any) -> None:
    weight = np.linspace(0.1, 2, 96)
    for method in ("fit", "partial_fit"):
        assert [*inspect.signature(getattr(make(), method)).parameters][:3] == ["X", "y", "sample_weight"]
    start = {"classes": [0, 1]} if is_classifier(make()) else {}
    by_place, by_name = (
        make().partial_fit(X, y, weight, **start),
        make().partial_fit(X, y, sample_weight=weight, **start),
    )
    plain = make().partial_fit(X, y, **start)
    same = [np.array_equal(by_place.predict(X), other.predict(X)) for other in (by_name,)]
    assert same == [True]
    coefs = [
        getattr(model, "coef_", getattr(model, "coefs_", [None])[0]) for model in (by_place, by_name, plain)
    ]
    assert np.array_equal(coefs[0], coefs[1])
    assert not np.array_equal(coefs[0], coefs[2])


@classifiers
@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (y, [0, 1]), (y, np.array([0, 1, 2])), (y > 0, [False, True]), (np.where(y, "u", "v"), ["u", "v"]),
        (np.where(y, "u", "v").astype(object), np.array(["u", "v"], object)), (LABELS, np.arange(3)),
        (np.where(y, "u", "v")[:2], ["u", "v"]),
    ],
    ids=["list", "three", "bools", "strings", "objects", "labels", "as many as rows"],
)  # fmt: skip
def test_classes_in_the_place_of_weights(make: Any, target: Any, classes: Any) -> None:
    """As in the classifiers of scikit-learn that are no MLPs."""
    with pytest.raises(
        ValueError, match=r"sample_weight holds .*, which look like classes: .*classes=\.\.\."
    ):
        make().partial_fit(X[: len(target)], target, classes)


@classifiers
@pytest.mark.parametrize(
    "weight",
    [np.ones(96), np.linspace(0.1, 2, 96), np.arange(96) % 2.0, np.where(y, 0.5, 2.0), [1.0, 2.0] * 48],
)
def test_weights_in_the_place_of_classes(make: Any, weight: Any) -> None:
    with pytest.raises(
        ValueError, match=r"classes holds .*, which look like weights: .*sample_weight=\.\.\."
    ):
        make().partial_fit(X, y, None, weight)


@classifiers
def test_classes_and_weights_that_are_none_of_these(make: Any) -> None:
    wide = np.arange(96) % 3
    make().partial_fit(X, y.astype(float), classes=y.astype(float))
    make().partial_fit(X, y, classes=y)
    make().partial_fit(X[:2], [1.0, 2.0], classes=[1.0, 2.0])
    make().partial_fit(X[:3], [1.0, 1.0, 2.0], classes=[1.0, 2.0, 3.0])
    make().partial_fit(X, wide, 2.0, [0, 1, 2]).partial_fit(X, wide, wide > 0)
    with pytest.raises(ValueError, match="classes"):
        make().partial_fit(X, y, np.ones(96))
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(95,\), expected \(96,\)"):
        make().partial_fit(X, y, np.ones(95), [0, 1])


@classifiers
def test_a_part_of_the_rows_may_weigh_nothing(make: Any) -> None:
    """As it may where all rows come at once."""
    model = make(class_weight={0: 0.0, 1: 1.0}).partial_fit(X, y, classes=[0, 1])
    one_class = y == 0
    model.partial_fit(X[one_class], y[one_class]).partial_fit(X, y, np.zeros(96))
    assert np.isfinite(model.predict_proba(X)).all()
    if make is elm_classifier:
        assert np.allclose(model.coef_, make(class_weight={0: 0.0, 1: 1.0}).fit(X, y).coef_)
        with pytest.raises(ValueError, match=r"class_weight is .*, which makes the weight of every row zero"):
            make(class_weight={0: 0.0}).partial_fit(X[one_class], y[one_class], classes=[0, 1])


def test_a_regressor_takes_a_part_that_weighs_nothing() -> None:
    for make in (regressor, elm_regressor):
        model = make().partial_fit(X, y)
        assert np.isfinite(model.partial_fit(X, y, np.zeros(96)).predict(X)).all()
        with pytest.raises(ValueError, match="sample_weight is zero for every row"):
            make().fit(X, y, np.zeros(96))
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        elm_regressor().partial_fit(X, y, np.zeros(96))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_last_batch_of_one_row_names_what_to_change(make: Any) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        make(batch_norm=True, batch_size=95).fit(X, y)
    with pytest.warns(UserWarning, match="batch_size.*clipped"):
        make(batch_size=1000).fit(X, y)

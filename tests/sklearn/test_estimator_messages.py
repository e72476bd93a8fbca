"""What the errors and the reprs of the estimators say."""

import os
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone

import backpass as bp
import backpass.sklearn as ours
from backpass import nn, optim
from backpass.sklearn import ELMClassifier, ELMRegressor, MLPClassifier, MLPRegressor
from helpers.estimators import X, classifier, elm_classifier, elm_regressor, every, regressor, y

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


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
        (elm_regressor, {"alpha": "LOO"}, "did you mean 'loo'?"),
        (elm_regressor, {"alpha": "0.1"}, "did you mean 0.1?"),
        (elm_classifier, {"n_hidden": 100.0}, "did you mean 100?"),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
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
    networks = ["CNNClassifier", "MLPClassifier", "MLPRegressor", "RNNClassifier", "RNNRegressor"]
    assert dir(ours) == sorted(["ELMClassifier", "ELMRegressor", *networks])
    with pytest.raises(AttributeError, match="no attribute 'MLPClasifier'; did you mean 'MLPClassifier'"):
        ours.MLPClasifier  # noqa: B018

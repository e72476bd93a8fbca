"""CNNClassifier: images in, scikit-learn's tools around it, its parameters, what it refuses."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import backpass as bp
from backpass import nn, optim
from backpass.sklearn import CNNClassifier, sharing

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"
)
digits = load_digits()
X, y = (digits.images[:300] * 15).astype(np.uint8), digits.target[:300]


def make(**parameters: Any) -> CNNClassifier:
    """A small classifier that learns quickly."""
    return CNNClassifier(
        **{"channels": (8,), "max_iter": 3, "learning_rate_init": 0.01, "random_state": 0, **parameters}
    )


def test_mnist(data_dir: Path) -> None:
    """5000 images, 8 epochs of the default network: at least 97 % of the 10000 test images."""
    train, test = (np.load(data_dir / f"mnist_{part}.npz") for part in ("train", "test"))
    model = CNNClassifier(max_iter=8, random_state=0).fit(train["X"][:5000], train["y"][:5000])
    assert model.score(test["X"], test["y"]) > 0.97


def test_forms_of_x_that_mean_the_same() -> None:
    expected = make().fit(X, y).predict_proba(X)
    floats = X / np.float32(255)
    forms = {
        "four dimensions": X[:, None],
        "images": bp.Images(X[:, None]),
        "channels last": bp.Images(X[..., None], layout="NHWC"),
        "a list of images": [*X],
        "not contiguous": np.repeat(X, 2, axis=0)[::2],
    }
    for name, form in forms.items():
        assert np.array_equal(make().fit(form, y).predict_proba(form), expected), name
    # The reciprocal of 255 is rounded, so that floats differ in their last bit.
    assert np.allclose(make().fit(floats, y).predict_proba(floats), expected, rtol=1e-3, atol=1e-5)


def test_pixels_are_not_copied() -> None:
    model = make().fit(X, y)
    assert np.shares_memory(model._rows(X, None, False).pixels, X)


def test_attributes() -> None:
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    model = make(early_stopping=True, n_iter_no_change=1, max_iter=30).fit(X, names[y])
    assert [*model.classes_] == sorted(names)
    assert (model.input_shape_, model.n_features_in_, model.n_outputs_) == ((1, 8, 8), 64, 10)
    assert len(model.loss_curve_) == len(model.validation_scores_) == model.n_iter_ < 30
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.loss_ == model.loss_curve_[-1]
    assert isinstance(model.model_, bp.Model)
    assert {*model.predict(X)} <= {*names}
    assert np.allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
    assert model.score(X, names[y]) > 0.8
    assert make().fit(X, y).validation_scores_ is None


@pytest.mark.parametrize("patience", [2, np.inf])
def test_the_best_weights_come_back(patience: float) -> None:
    """The score of the held-out rows is the best one; the draws are known: the split comes after the seed."""
    model = make(early_stopping=True, validation_fraction=0.3, max_iter=8, learning_rate_init=0.05, tol=0.2)
    model.set_params(n_iter_no_change=patience).fit(X, y)
    draws = np.random.RandomState(0)
    draws.randint(2**31 - 1)
    _, held = train_test_split(np.arange(300), test_size=0.3, stratify=y, random_state=draws)
    assert model.score(X[held], y[held]) == pytest.approx(model.best_validation_score_)


def test_one_seed_one_result() -> None:
    a, b, c = (make(random_state=seed, dropout=0.3).fit(X, y).predict_proba(X) for seed in (0, 0, 1))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize(
    "trip", [lambda model: pickle.loads(pickle.dumps(model)), clone], ids=["pickle", "clone"]
)
def test_copies_go_on_to_the_same_bits(trip: Any) -> None:
    model = make(augmentation=[nn.RandomShift(1)], solver=optim.AdamW(3e-3), network=network).fit(X, y)
    again = trip(model)
    if not hasattr(again, "model_"):
        again.fit(X, y)
    assert np.array_equal(model.predict_proba(X), again.predict_proba(X))
    for one in (model, again):
        one.partial_fit(X[:100], y[:100])
    assert np.array_equal(model.predict_proba(X), again.predict_proba(X))


def network(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A network of a user's."""
    return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, classes))


def test_a_network_of_ones_own() -> None:
    model = make(network=network, augmentation=nn.RandomHorizontalFlip()).fit(X, y)
    assert [type(layer).__name__ for layer in model.model_.net] == [
        "RandomHorizontalFlip", "Conv2d", "ReLU", "GlobalAvgPool", "Linear"
    ]  # fmt: skip
    with pytest.raises(TypeError, match="network returned int, expected a layer"):
        make(network=lambda shape, classes: 5).fit(X, y)
    with pytest.raises(ValueError, match=r"outputs of shape \(9,\), expected \(10,\)"):
        make(network=lambda shape, classes: network(shape, 9)).fit(X, y)


def test_the_default_network() -> None:
    model = make(channels=(4, 8), kernel_size=(3, 1), hidden_layer_sizes=6, dropout=0.2, batch_norm=True)
    layers = [*model.set_params(max_iter=1).fit(X, y).model_.net]
    assert [type(layer).__name__ for layer in layers] == [
        *["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 2,
        *["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear"],
    ]
    assert layers[4].weight.shape == (8, 4, 3, 1)
    assert layers[-1].weight.shape == (10, 6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (3, 5, 1), (2, 3, 7)])
def test_images_of_odd_sizes(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).standard_normal((9, *shape))
    model = make(channels=(2, 3, 2)).fit(images, np.arange(9) % 2)
    assert model.predict_proba(images).shape == (9, 2)


def test_partial_fit() -> None:
    model = make()
    for epoch in range(30):
        model.partial_fit(X[epoch % 3 :: 3], y[epoch % 3 :: 3], classes=np.arange(10) if not epoch else None)
    assert len(model.loss_curve_) == 30
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        make().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y holds \[10\], expected classes of"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="kernel_size is 5, expected 3: partial_fit and warm_start"):
        model.set_params(kernel_size=5).partial_fit(X, y)


def test_a_warm_start_goes_on() -> None:
    model = make(warm_start=True, max_iter=2)
    for _ in range(3):
        model.fit(X, y)
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[-1] < model.loss_curve_[1]
    model.set_params(solver="sgd").fit(X, y)
    assert model.model_.optimizer.settings["momentum"] == 0.9


def test_weights_of_rows_and_classes() -> None:
    few = np.where(y == 3, 0, 1)
    weight = np.where(y < 5, 1.0, 0.0)
    model = make(max_iter=6).fit(X, y, sample_weight=weight)
    assert {*model.predict(X)} <= {*range(5)}
    plain, balanced = (make(max_iter=2, class_weight=w).fit(X, few) for w in (None, "balanced"))
    assert balanced.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean()
    with pytest.raises(ValueError, match="class_weight is 'balanced', but partial_fit"):
        balanced.partial_fit(X, few)


def test_among_the_tools_of_scikit_learn() -> None:
    grid = {"channels": [(2,), (8,)], "hidden_layer_sizes": [(), (16,)]}
    search = GridSearchCV(make(), grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_["channels"] == (8,)
    assert len(cross_val_score(make(), bp.Images(X[:, None]), y, cv=3)) == 3
    flat = make_pipeline(FunctionTransformer(np.reshape, kw_args={"shape": (-1, 8, 8)}), make())
    assert flat.fit(X.reshape(300, -1), y).score(X.reshape(300, -1), y) > 0.5


def test_threads_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimators that train at once in one process take a share of the threads each, and give it back."""
    monkeypatch.setattr(sharing, "get_num_threads", lambda: 8)
    taken = []

    class Look(bp.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            taken.append(self.model.engine.threads)

    with sharing.sharing():
        model = make(callbacks=[Look()], max_iter=1).fit(X, y)
    make(callbacks=[Look()], max_iter=1, n_threads=3).fit(X, y)
    assert taken == [4, 3]
    assert model.model_.engine.threads == 0


def test_callbacks_hear_of_each_epoch() -> None:
    heard = []

    class Listen(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            heard.append(sorted(logs))

    make(callbacks=[Listen()], early_stopping=True).fit(X, y)
    assert heard == [["accuracy", "loss", "lr", "val_accuracy", "val_loss"]] * 3


REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    ({}, X.reshape(300, -1), r"X has shape \(300, 64\), expected images .*X.reshape\(-1, height, width\)"),
    ({}, X[0, 0], r"X has shape \(8,\), expected images"),
    ({}, [X[0], X[1, :4]], r"X holds images of shapes \[\(4, 8\), \(8, 8\)\]"),
    ({}, X[:200], "inconsistent numbers of samples"),
    ({}, np.full((300, 8, 8), np.nan), "X holds nan"),
    ({"channels": (8, 0)}, X, r"channels is \(8, 0\), expected integers from 1"),
    ({"kernel_size": (3, 3, 3)}, X, r"kernel_size is \(3, 3, 3\), expected one number or a pair"),
    ({"hidden_layer_sizes": (2.5,)}, X, r"hidden_layer_sizes is \(2.5,\), expected integers"),
    ({"solver": "Adam"}, X, "'solver' parameter .*did you mean 'adam'"),
    ({"solver": optim.Adam(), "weight_decay": 0.1}, X, "weight_decay is 0.1, but solver is an object"),
    ({"augmentation": [3]}, X, r"augmentation\[0\] is 3, expected a layer"),
    ({"learning_rate_init": True}, X, "learning_rate_init is True, expected a number"),
    ({"validation_fraction": 0.0}, X, "'validation_fraction' parameter"),
    ({"learning_rate_init": 1e30}, X, "Training diverged: "),
]


@pytest.mark.parametrize(("parameters", "images", "message"), REFUSED)
def test_refusals(parameters: dict[str, Any], images: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make(**parameters).fit(images, y)


def test_more_refusals() -> None:
    model = make().fit(X, y)
    with pytest.raises(ValueError, match=r"images of shape \(1, 8, 4\), expected \(1, 8, 8\)"):
        model.predict(X[..., :4])
    with pytest.raises(NotFittedError):
        make().predict(X)
    with pytest.raises(TypeError, match="it is called channels"):
        make(filters=3)
    with pytest.raises(TypeError, match="give max_iter to the constructor"):
        model.fit(X, y, epochs=3)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        make(early_stopping=True).partial_fit(X, y, classes=np.arange(10))
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        make().fit(X, y, sample_weight=np.zeros(300))

"""bp.from_sklearn: a fitted multi-layer perceptron of scikit-learn as a model."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .. import nn, optim
from ..engine.conventions import following
from ..losses import Loss
from ..model import AnyLoss, Model
from ..nn import Module
from ..optim import Optimizer, OptimizerName
from .parts import Parts, model_of
from .penalty import penalise

FUNCTION = "from_sklearn"
# By their names in scikit-learn.
ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU,
}  # fmt: skip
# The loss that belongs to an activation of the output, from which the model leaves it out.
LOSSES: dict[str, Callable[[], Loss]] = {
    "softmax": nn.CrossEntropyLoss,
    "logistic": nn.BCEWithLogitsLoss,
    "identity": nn.MSELoss,
    "exp": nn.PoissonNLLLoss,
}
# Rows of a batch, unless the estimator says it.
BATCH = 200


def from_sklearn(
    fitted: Any,
    loss: AnyLoss | None = None,
    optimizer: OptimizerName | Optimizer | None = None,
    **options: Any,
) -> Model:
    """Model of a fitted MLPClassifier or MLPRegressor of scikit-learn, or of `backpass.sklearn`, from which training goes on.

    Linear layers and activations; the activation of the output is left out, as the loss takes what is before it:
    `model.predict_proba(X)` equals the estimator's, and class i is `fitted.classes_[i]`.

    Args:
        fitted: the estimator. Of `backpass.sklearn` it may have all additions: its `to_model()` is called.
        loss: default None, that of the estimator: nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, or half the squared error.
        optimizer: default None, that of the estimator: SGD or Adam with its moments and its count of steps; its alpha becomes a
            weight decay of alpha / batch size on all weights but the biases. After solver="lbfgs" it is Adam.
        options: other arguments of bp.Model; dtype by default that of the weights.

    Raises:
        TypeError: fitted is no multi-layer perceptron. ValueError: it is not fitted.

    Example:
        >>> from sklearn.neural_network import MLPRegressor
        >>> bp.from_sklearn(MLPRegressor(hidden_layer_sizes=(8,), max_iter=5000).fit(X[:50], y[:50])).net
        Sequential(Linear(4, 8), ReLU(), Linear(8, 1))
    """
    if hasattr(fitted, "to_model"):
        given = {"loss": loss, "optimizer": optimizer}
        made: Model = fitted.to_model(
            **{key: value for key, value in given.items() if value is not None}, **options
        )
        return made
    if not hasattr(fitted, "hidden_layer_sizes"):
        raise TypeError(f"{FUNCTION}: fitted is {fitted!r:.80}, expected an MLPClassifier or MLPRegressor")
    if not hasattr(fitted, "coefs_"):
        raise ValueError(f"{FUNCTION}: {fitted!r:.80} is not fitted yet: call fit before")
    model = model_of(
        _parts(fitted),
        following("sklearn", LOSSES[fitted.out_activation_]()) if loss is None else loss,
        following("sklearn", _optimizer(fitted)) if optimizer is None else optimizer,
        options,
    )
    if optimizer is None:
        _take_moments(fitted, model)
        if fitted.alpha:
            penalise(
                model,
                [name for name, array in model.named_parameters() if array.ndim == 2],
                fitted.alpha / batch_size(fitted),
            )
    return model


def _parts(fitted: Any) -> Parts:
    layers: list[Module] = []
    units = [len(fitted.coefs_[0]), *map(len, fitted.intercepts_)]
    for inputs, outputs in pairwise(units):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[fitted.activation]()]
    arrays = {"weight": [coef.T for coef in fitted.coefs_], "bias": fitted.intercepts_}
    state = {f"{2 * i}.{key}": array for key, listed in arrays.items() for i, array in enumerate(listed)}
    return Parts(nn.Sequential(*layers[:-1]), state)


def _optimizer(fitted: Any) -> Optimizer:
    lr = fitted.learning_rate_init
    if fitted.solver == "sgd":
        lr = getattr(getattr(fitted, "_optimizer", None), "learning_rate", lr)
        nesterov = bool(fitted.nesterovs_momentum and fitted.momentum > 0)
        return optim.SGD(lr, fitted.momentum, nesterov=nesterov)
    return optim.Adam(lr, (fitted.beta_1, fitted.beta_2), fitted.epsilon)


def _take_moments(fitted: Any, model: Model) -> None:
    """The moments of scikit-learn's optimizer: one array for each of coefs_, then of intercepts_."""
    old, engine = getattr(fitted, "_optimizer", None), model.engine
    if old is None:
        return
    moments = {"velocity": "velocities", "m": "ms", "v": "vs"}
    for slot in model.optimizer.slots:
        # A velocity has the sign of the step there.
        factor = -1 if slot == "velocity" else 1
        places = [*model.net.parameter_places()]
        places = [place for place in places if place[2] == "weight"] + [
            place for place in places if place[2] == "bias"
        ]
        for (_, layer, key), array in zip(places, getattr(old, moments[slot]), strict=True):
            layer.view_of(key, engine.optimizer_state[slot])[...] = factor * array.T
    engine.optimizer_step[0] = getattr(old, "t", 1)


def batch_size(fitted: Any) -> int:
    """Rows of a batch of an estimator's: no more than it was fitted on, as far as it remembers them."""
    most = BATCH if fitted.batch_size == "auto" else int(fitted.batch_size)
    curve = getattr(fitted, "loss_curve_", ())
    rows = fitted.t_ // len(curve) if curve and getattr(fitted, "t_", 0) else most
    return int(np.clip(rows, 1, most))

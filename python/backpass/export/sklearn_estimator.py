"""Model.to_sklearn: a network of linear layers as a fitted estimator of scikit-learn."""

from typing import Any

import numpy as np

from .. import nn, optim
from ..engine.engine import Engine
from ..nn import Linear, Module

FUNCTION = "to_sklearn"
# scikit-learn's four activations; layers that do nothing in inference.
ACTIVATIONS = {"Identity": "identity", "Sigmoid": "logistic", "Tanh": "tanh", "ReLU": "relu"}
IDLE = ("Dropout", "GaussianNoise", "Flatten")
EXPECTED = (
    "expected nn.Linear with biases, and nn.ReLU, nn.Tanh, nn.Sigmoid or nn.Identity between all of them"
)


def to_sklearn(engine: Engine) -> Any:
    """An MLPClassifier or MLPRegressor with the network's weights."""
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ImportError as error:
        raise ImportError(
            f'{FUNCTION} needs scikit-learn ({error}): pip install "backpass[sklearn]"'
        ) from None
    engine.refresh()
    linear, activation = _read(engine.net)
    outputs, loss = linear[-1].out_features, engine.builtin_loss
    coefs = [layer.view("weight").T for layer in linear]
    biases = [layer.view("bias") for layer in linear]
    sizes = tuple(layer.out_features for layer in linear[:-1])
    settings = {"hidden_layer_sizes": sizes, "activation": activation, "alpha": 0.0, **_solver(engine)}
    if isinstance(loss, nn.CrossEntropyLoss) and outputs == 2:
        # The difference of two logits is the one logit of two classes.
        coefs[-1], biases[-1] = np.diff(coefs[-1], axis=1), np.diff(biases[-1])
        outputs = 1
    if isinstance(loss, nn.CrossEntropyLoss | nn.BCEWithLogitsLoss):
        several = isinstance(loss, nn.BCEWithLogitsLoss) and outputs > 1
        y: Any = np.eye(outputs, dtype=np.int64) if several else np.arange(max(outputs, 2))
        return _filled(MLPClassifier(**settings), y, coefs, biases, classes=np.arange(y.shape[-1]))
    if getattr(loss, "kind", "") == "poisson":
        settings["loss"] = "poisson"  # of scikit-learn 1.7 and newer
    y = np.zeros((2, outputs) if outputs > 1 else 2)
    return _filled(MLPRegressor(**settings), y, coefs, biases)


def _read(net: Module) -> tuple[list[Linear], str]:
    """The linear layers of a network, and the activation between them."""
    linear: list[Linear] = []
    # What stands behind each linear layer.
    behind: list[str] = []
    for name, layer in net.walk():
        kind = type(layer).__name__
        if isinstance(layer, nn.Sequential) or kind in IDLE:
            continue
        if type(layer) is Linear and "bias" in layer.learned:
            linear.append(layer)
            behind.append("identity")
        elif kind in ACTIVATIONS and linear and behind[-1] == "identity":
            behind[-1] = ACTIVATIONS[kind]
        else:
            raise ValueError(f"{FUNCTION}: layer {name!r} is {layer!r:.80}, {EXPECTED}")
    hidden = {*behind[:-1]} or {"identity"}
    if not linear or behind[-1] != "identity" or len(hidden) > 1:
        raise ValueError(f"{FUNCTION}: the network is {net!r:.200}, {EXPECTED}")
    return linear, hidden.pop()


def _solver(engine: Engine) -> dict[str, Any]:
    """The optimizer, where scikit-learn has it too."""
    optimizer, settings = engine.optimizer, {"learning_rate_init": engine.lr or 1e-3}
    if type(optimizer) is optim.SGD:
        names = {"momentum": "momentum", "nesterov": "nesterovs_momentum"}
        return (
            settings
            | {"solver": "sgd"}
            | {theirs: optimizer.settings[ours] for ours, theirs in names.items()}
        )
    if type(optimizer) is optim.Adam:
        (beta_1, beta_2), eps = optimizer.settings["betas"], optimizer.settings["eps"]
        settings |= {"beta_1": beta_1, "beta_2": beta_2, "epsilon": eps or 1e-8}
    return settings


def _filled(
    estimator: Any, y: np.ndarray, coefs: list[np.ndarray], biases: list[np.ndarray], **classes: Any
) -> Any:
    """The estimator as scikit-learn itself makes it, with these weights in the place of those that it has drawn."""
    estimator.partial_fit(np.zeros((len(y), len(coefs[0])), coefs[0].dtype), y, **classes)
    for own, given in zip(estimator.coefs_ + estimator.intercepts_, coefs + biases, strict=True):
        own[...] = given
    # As before the first epoch.
    del estimator._optimizer
    estimator.n_iter_ = estimator.t_ = 0
    estimator.loss_, estimator.best_loss_, estimator.loss_curve_ = np.nan, np.inf, []
    return estimator

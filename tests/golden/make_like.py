"""Writes like.json and model.keras with PyTorch, Keras and scikit-learn. How to run, from the top of the repository:

    pip install ".[test]" torch==2.13.0 keras==3.15.1 && python tests/golden/make_like.py

The values change only if a case does (or the arithmetic of a library, in the last digits).
"""

import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras
import numpy as np
import sklearn
import torch
from keras.src.backend.common import dtypes
from sklearn.neural_network import MLPClassifier

import backpass as bp
from golden.cases import rows, uniform
from golden.like_cases import CASES, EVERY, KERAS_FILE, TRAJECTORIES, Like, keras_rows, model_like, steps

Run = tuple[list[float], np.ndarray]


def with_torch(like: Like, model: bp.Model) -> Run:
    net = model.to_torch().train()
    optimizer = getattr(torch.optim, like.case.optimizer)(net.parameters(), **like.case.hyper)
    if "lr" not in like.case.hyper and like.case.optimizer == "SGD":  # the default here
        optimizer.param_groups[0]["lr"] = model.lr
    losses = []
    for factor, x, y in steps(like):
        optimizer.param_groups[0]["lr"] *= factor
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return losses, net.eval()(torch.from_numpy(rows(like.case, "float64")[0][:2])).numpy()


def in_keras() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)), layers.Dense(12, use_bias=False), layers.BatchNormalization(), layers.Activation("tanh"),
            layers.Dense(8), layers.LayerNormalization(), layers.Dense(4),
        ]
    )  # fmt: skip


def with_keras(like: Like, model: bp.Model) -> Run:
    net, state = in_keras(), model.state_dict()
    of_layers = [["0.weight"], ["1.weight", "1.bias", "1.running_mean", "1.running_var"], [], ["3.weight", "3.bias"],
                 ["4.weight", "4.bias"], ["5.weight", "5.bias"]]  # fmt: skip
    for layer, names in zip(net.layers, of_layers, strict=True):
        layer.set_weights([state[name].T for name in names])
    optimizer = getattr(keras.optimizers, like.case.optimizer)(**like.case.hyper)
    optimizer.build(net.trainable_variables)
    losses = []
    for factor, x, y in steps(like):
        optimizer.learning_rate = float(optimizer.learning_rate) * factor
        net.zero_grad()
        loss = keras.losses.MeanSquaredError()(torch.from_numpy(y), net(torch.from_numpy(x), training=True))
        loss.backward()
        with torch.no_grad():
            optimizer.apply([v.value.grad for v in net.trainable_variables], net.trainable_variables)
        losses.append(loss.item())
    return losses, net.predict(rows(like.case, "float64")[0][:2], verbose=0)


def with_sklearn(like: Like, model: bp.Model) -> Run:
    names = {"momentum": "momentum", "nesterov": "nesterovs_momentum", "lr": "learning_rate_init"}
    hyper = {names[name]: value for name, value in like.case.hyper.items()}
    estimator = MLPClassifier(
        (8,), "tanh", solver=like.case.optimizer.lower(), alpha=0.0, shuffle=False, **hyper
    )
    # It makes its arrays, which the model's weights then replace, and an optimizer that has moved nothing yet.
    estimator.partial_fit(*next(steps(like))[1:], classes=np.arange(4))
    del estimator._optimizer
    for i, (coef, bias) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        coef[...], bias[...] = (model.state_dict()[f"{2 * i}.{key}"].T for key in ("weight", "bias"))
    losses: list[float] = []
    for factor, x, y in steps(like):
        if losses:
            estimator._optimizer.learning_rate *= factor
            estimator._optimizer.learning_rate_init *= factor
        losses.append(estimator.partial_fit(x, y).loss_)
    return losses, estimator.predict_proba(rows(like.case, "float64")[0][:2])


def write_file() -> list[Any]:
    """A .keras file of a network of images and sequences, and what it predicts of `keras_rows()`."""
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((6, 5, 2)), layers.Conv2D(3, (1, 2), activation="relu"), layers.BatchNormalization(),
            layers.MaxPooling2D((1, 2)), layers.Conv2D(2, (2, 1), padding="same"), layers.TimeDistributed(layers.Dense(3)),
            layers.Flatten(), layers.Dense(4, "softmax", name="head"),
        ]
    )  # fmt: skip
    for number, weight in enumerate(net.weights):
        weight.assign(0.5 + uniform(weight.shape, number) / 2)
    with tempfile.TemporaryDirectory() as folder:
        net.save(f"{folder}/model.keras")
        with (
            zipfile.ZipFile(f"{folder}/model.keras") as loose,
            zipfile.ZipFile(KERAS_FILE, "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for name in loose.namelist():
                packed.writestr(zipfile.ZipInfo(name), loose.read(name), zipfile.ZIP_DEFLATED)
    return net.predict(keras_rows(), verbose=0).tolist()


def main() -> None:
    file = write_file()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    # Elsewhere Keras makes float32 of whatever float64 gives.
    dtypes.BIT64_TO_BIT32_DTYPE.pop("float64")
    run_with = {"torch": with_torch, "keras": with_keras, "sklearn": with_sklearn}
    made = {}
    for name, like in CASES.items():
        losses, predictions = run_with[like.library](like, model_like(like, bp.get_backend("numpy")))
        made[name] = {"losses": losses[::EVERY], "predictions": predictions.tolist()}
        print(f"{name}: loss {losses[0]:.6f} to {losses[-1]:.6f} in {like.case.steps} steps")
    made["model.keras"] = {"predictions": file}
    lines = [f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in made.items()]
    versions = f"PyTorch {torch.__version__}, Keras {keras.__version__}, scikit-learn {sklearn.__version__}"
    origin = f"float64 (the file float32) on {versions}, by tests/golden/make_like.py"
    TRAJECTORIES.write_text(f'{{\n  "made": {json.dumps(origin)},\n' + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"wrote {TRAJECTORIES}")


if __name__ == "__main__":
    print(__doc__)
    main()

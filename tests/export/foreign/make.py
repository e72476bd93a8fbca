"""Networks as other libraries write them, with rows and what onnxruntime computes: run it to make the files anew.

`pip install torch onnxscript skl2onnx onnxruntime keras`; `KERAS_BACKEND=torch python -W ignore tests/export/foreign/make.py`.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import torch
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)


def rows(*shape: int) -> np.ndarray:
    return RNG.standard_normal((4, *shape)).astype(np.float32)


class Last(nn.Module):
    """The last step of a recurrent layer."""

    def __init__(self, layer: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, head

    def forward(self, x: Any) -> Any:
        return self.head(self.layer(x)[0][:, -1])


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.gru, self.head = nn.Embedding(9, 4), nn.GRU(4, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.gru(self.table(x))[1][0])


def of_torch(name: str, net: nn.Module, x: np.ndarray, dynamo: bool) -> None:
    given = (torch.from_numpy(x),)
    path = HERE / f"{name}.onnx"
    net.eval()
    if dynamo:
        batch = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(
            net, given, path, dynamo=True, dynamic_shapes=batch, external_data=False, verbose=False
        )
    else:
        names = {
            "input_names": ["x"],
            "output_names": ["y"],
            "dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}},
        }
        torch.onnx.export(net, given, path, dynamo=False, **names)
    finished(path, x)


def of_sklearn(name: str, estimator: Any, **options: Any) -> None:
    X = RNG.standard_normal((60, 4)).astype(np.float32)
    y = X[:, 0] if "regressor" in name else (X[:, 0] > 0) + (X[:, 1] > 0).astype(int)
    path = HERE / f"{name}.onnx"
    path.write_bytes(to_onnx(estimator.fit(X, y), X[:1], **options).SerializeToString())
    finished(path, X[:4])


def of_keras(name: str, layers: list[Any], x: np.ndarray) -> None:
    net, path = keras.Sequential(layers), HERE / f"{name}.onnx"
    net(x)
    net.export(path, format="onnx", verbose=False)
    finished(path, x)


def finished(path: Path, x: np.ndarray) -> None:
    """Without where in the sources each node comes from; and the rows with their outputs, beside it."""
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    proto.graph.ClearField("value_info")
    onnx.save(proto, path)
    session = onnxruntime.InferenceSession(path)
    y = session.run([session.get_outputs()[-1].name], {session.get_inputs()[0].name: x})[0]
    np.savez(path.with_suffix(".npz"), x=x, y=y)


def main() -> None:
    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    mlp = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(1))
    cnn = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(4, 4, 3, groups=2), nn.AvgPool2d(2, padding=1),
        nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(2, 3),
    )  # fmt: skip
    lstm = Last(nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), nn.Linear(8, 2))
    for dynamo in (False, True):
        kind = "dynamo" if dynamo else "script"
        of_torch(f"torch_{kind}_mlp", mlp, rows(4), dynamo)
        of_torch(f"torch_{kind}_cnn", cnn, rows(2, 9, 9), dynamo)
        of_torch(f"torch_{kind}_lstm", lstm, rows(5, 3), dynamo)
        of_torch(f"torch_{kind}_words", Words(), RNG.integers(0, 9, (4, 6)), dynamo)
    few = {"hidden_layer_sizes": (6,), "max_iter": 20, "random_state": 0}
    of_sklearn("sklearn_classifier", MLPClassifier(**few), options={"zipmap": False})
    of_sklearn("sklearn_regressor", make_pipeline(StandardScaler(), MLPRegressor(activation="tanh", **few)))
    layers = keras.layers
    of_keras(
        "keras_mlp",
        [layers.Input((4,)), layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax")],
        rows(4),
    )
    of_keras(
        "keras_cnn",
        [
            layers.Input((8, 8, 2)), layers.Conv2D(4, 3, padding="same", strides=2), layers.BatchNormalization(), layers.ReLU(),
            layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(3),
        ],
        rows(8, 8, 2),
    )  # fmt: skip
    of_keras("keras_lstm", [layers.Input((4, 3)), layers.LSTM(5), layers.Dense(2)], rows(4, 3))


if __name__ == "__main__":
    main()

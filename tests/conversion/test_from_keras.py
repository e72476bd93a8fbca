"""Live parity with Keras: every layer that is taken over, in networks with weights at random; and what is refused by name."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass.conversion.keras_layers import batch_norm
from backpass.conversion.keras_parts import Config

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]
RNG = np.random.default_rng(0)


def keras() -> Any:
    missing = "Keras is not installed: live parity is skipped (pip install keras==3.15.1)"
    pytest.importorskip("torch", reason=missing)
    return pytest.importorskip("keras", reason=missing)


def numbers(*shape: int) -> np.ndarray:
    return RNG.standard_normal((4, *shape)).astype(np.float32)


NETS: dict[str, tuple[Callable[[Any], Sequence[Any]], Callable[[], np.ndarray]]] = {
    "activations": (
        lambda k: [
            part for name in ("relu", "sigmoid", "tanh", "elu", "gelu", "silu", "softplus", "leaky_relu", "linear")
            for part in (k.Dense(5, name), k.LeakyReLU(0.1))
        ] + [k.ReLU(), k.ELU(0.5), k.PReLU("uniform"), k.Activation("log_softmax")],
        lambda: numbers(6),
    ),
    "norms": (
        lambda k: [
            k.Dense(5, use_bias=False), k.BatchNormalization(), k.LayerNormalization(epsilon=0.1),
            k.BatchNormalization(scale=False), k.BatchNormalization(center=False, scale=False, momentum=0.9),
            k.LayerNormalization(center=False), k.Dropout(0.5), k.GaussianNoise(1.0), k.Softmax(),
        ],
        lambda: numbers(6),
    ),
    "images": (
        lambda k: [
            k.Conv2D(4, (3, 2), activation="relu"), k.BatchNormalization(), k.PReLU("uniform", shared_axes=[1, 2]),
            k.MaxPooling2D(2), k.SpatialDropout2D(0.5),
            k.DepthwiseConv2D((1, 2), depth_multiplier=2, activation="tanh"), k.Conv2D(6, 3, padding="same", dilation_rate=2),
            k.AveragePooling2D((2, 1), strides=1), k.Conv2D(4, 2, groups=2, use_bias=False), k.UpSampling2D((2, 3)), k.Flatten(),
            k.Dense(3, activation="softmax"),
        ],
        lambda: numbers(13, 12, 3),
    ),
    "features to images": (
        lambda k: [k.Dense(24), k.Reshape((2, 3, 4)), k.Conv2D(3, 2), k.Flatten(), k.Reshape((3, -1)), k.LSTM(2)],
        lambda: numbers(5),
    ),
    "images to images": (
        lambda k: [k.Conv2D(4, 3, strides=2), k.Dense(3), k.LayerNormalization(), k.Conv2D(2, 1, activation="softmax")],
        lambda: numbers(9, 8, 2),
    ),
    "pooled": (lambda k: [k.Conv2D(4, 3), k.GlobalAveragePooling2D(), k.Dense(2)], lambda: numbers(5, 6, 2)),
    "largest": (lambda k: [k.Conv2D(4, 3), k.GlobalMaxPooling2D()], lambda: numbers(5, 6, 2)),
    "signals": (
        lambda k: [
            k.Conv1D(4, 3, activation="relu"), k.BatchNormalization(), k.MaxPooling1D(2), k.SpatialDropout1D(0.2),
            k.Conv1D(6, 2, padding="same"), k.AveragePooling1D(2), k.GlobalAveragePooling1D(),
        ],
        lambda: numbers(12, 3),
    ),
    "permuted": (lambda k: [k.Permute((2, 1)), k.Conv1D(2, 2), k.GlobalMaxPooling1D()], lambda: numbers(4, 5)),
    "texts": (
        lambda k: [
            k.Embedding(9, 4), k.Conv1D(5, 3, padding="same", activation="tanh"), k.LSTM(3, return_sequences=True), k.GRU(4),
            k.Dense(2),
        ],
        lambda: RNG.integers(0, 9, (4, 7)),
    ),
    "both directions": (
        lambda k: [
            k.Bidirectional(k.LSTM(3, return_sequences=True)), k.Bidirectional(k.GRU(2, use_bias=False)), k.Dense(2)
        ],
        lambda: numbers(6, 5),
    ),
    "simple": (
        lambda k: [
            k.SimpleRNN(4, return_sequences=True, activation="relu"), k.TimeDistributed(k.Dense(3)),
            k.SimpleRNN(3, use_bias=False),
        ],
        lambda: numbers(6, 5),
    ),
}  # fmt: skip


def built(name: str, functional: bool) -> tuple[Any, np.ndarray]:
    """A model with weights at random, and rows."""
    make, rows = NETS[name]
    x = rows()
    first = keras().Input(x.shape[1:])
    model = keras().Sequential([first, *make(keras().layers)])
    if functional:
        out = first
        for layer in make(keras().layers):
            out = layer(out)
        model = keras().Model(first, out)
    for weight in model.weights:
        weight.assign(RNG.uniform(0.1, 0.6, weight.shape))
    return model, x


@pytest.mark.parametrize("name", NETS)
def test_networks(name: str, tmp_path: Path) -> None:
    """As a Sequential and as a functional model, live and from its file."""
    for functional in (False, True):
        theirs, x = built(name, functional)
        theirs.save(tmp_path / "m.keras")
        want = theirs.predict(x, verbose=0)
        for source in (theirs, tmp_path / "m.keras"):
            np.testing.assert_allclose(bp.from_keras(source).predict(x), want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", ["norms", "texts", "pooled"])
def test_training_goes_on(name: str, optimizer: str) -> None:
    """Twenty steps there and here, in float32; Adam's eps is added where Keras adds it.

    It is large: where a norm follows a norm some gradients are rounding alone, of which Adam would make whole steps.
    """
    here, there = ({"eps": 1e-3}, {"epsilon": 1e-3}) if optimizer == "Adam" else ({}, {})
    theirs, x = built(name, functional=False)
    for layer in theirs.layers:
        if type(layer).__name__ in ("Dropout", "GaussianNoise"):
            setattr(layer, "rate" if hasattr(layer, "rate") else "stddev", 0.0)
    model = bp.from_keras(theirs, optimizer=getattr(bp.optim, optimizer)(**here))
    model.lr = 0.01
    y = numbers(*theirs.output_shape[1:])
    theirs.compile(getattr(keras().optimizers, optimizer)(0.01, **there), "mse")
    theirs.fit(x, y, batch_size=4, epochs=20, verbose=0)
    model.fit(x, y, batch_size=4, epochs=20, shuffle=False)
    np.testing.assert_allclose(model.predict(x), theirs.predict(x, verbose=0), rtol=1e-3, atol=1e-4)


def test_models_within_models_and_frozen_layers() -> None:
    k = keras().layers
    inner = keras().Sequential([keras().Input((6,)), k.Dense(4, "tanh"), k.Dense(5)])
    theirs = keras().Sequential([keras().Input((6,)), inner, k.Dense(2, trainable=False)])
    model = bp.from_keras(theirs)
    x = numbers(6)
    np.testing.assert_allclose(model.predict(x), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    before = model.state_dict()
    model.fit(x, numbers(2), epochs=2)
    moved = {key for key, array in model.state_dict().items() if not np.array_equal(array, before[key])}
    assert moved == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_layers_of_one_name(tmp_path: Path) -> None:
    """In models within models names come again: each layer has the weights of its place."""
    k = keras().layers
    first = keras().Input((6,))
    inner = keras().Model(first, k.Dense(6, name="dense")(first), name="inner")
    other = keras().Sequential([keras().Input((6,)), k.Dense(6, "tanh", name="dense")], name="other")
    theirs = keras().Sequential([keras().Input((6,)), inner, other, k.Dense(6, name="dense")])
    theirs.save(tmp_path / "m.keras")
    x = numbers(6)
    for source in (theirs, tmp_path / "m.keras"):
        got = bp.from_keras(source).predict(x)
        np.testing.assert_allclose(got, theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    inner.layers[-1].kernel_regularizer = keras().regularizers.L2(0.1)
    with pytest.raises(ValueError, match=r"layer 'inner/dense', Dense, cannot .*: kernel_regularizer is"):
        bp.from_keras(theirs)


def test_a_list_of_one_output_and_its_directions() -> None:
    """What is written otherwise, and computes the same, is taken over."""
    k = keras().layers
    first = keras().Input((5, 3))
    both = k.Bidirectional(k.LSTM(2), backward_layer=k.LSTM(2, go_backwards=True, name="other"))
    theirs = keras().Model([first], [k.Dense(2)(both(first))])
    x = numbers(5, 3)
    want = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(
        bp.from_keras(theirs).predict(x), want[0] if isinstance(want, list) else want, atol=1e-5
    )


def test_float64_and_arguments() -> None:
    theirs = keras().Sequential([keras().Input((3,)), keras().layers.Dense(2, dtype="float64")])
    model = bp.from_keras(theirs, "mae", "sgd", backend="numpy", like="torch")
    assert (model.dtype, model.backend.name, model.like) == (np.float64, "numpy", "torch")
    assert repr(model.loss) == "L1Loss()"


@pytest.mark.parametrize("synchronized", [False, True])
def test_synchronized_statistics(synchronized: bool) -> None:
    """Keras itself makes such layers with TensorFlow alone."""
    config = keras().layers.BatchNormalization(scale=False, center=False).get_config()
    config = Config(config | {"axis": 1, "synchronized": synchronized})
    layer: Any = batch_norm(config, [np.zeros(3), np.ones(3)], 2).layer
    assert layer.synchronized is synchronized


def branches(k: Any) -> Any:
    first = keras().Input((3,))
    return keras().Model(first, k.Add()([k.Dense(3)(first), first]))


def inner_output(k: Any) -> Any:
    first = keras().Input((3,))
    a = k.Dense(3, name="a")(first)
    return keras().Model(first, [a, k.Dense(2, name="b")(a)])


def two_heads(k: Any) -> Any:
    first = keras().Input((3,))
    a = k.Dense(3, name="a")(first)
    return keras().Model(first, [a, k.Dense(2, name="b")(first)])


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "branches": (branches, "layer 'add.*reads 'dense.*', 'input.*', expected .* alone: a network with branches"),
    "two heads": (two_heads, "layer 'b' reads 'input.*', expected 'a' alone"),
    "an output within": (inner_output, r"output_layers of 'functional.*' are \['a', 'b'\], expected \['b'\]: a network of"),
    "unknown": (lambda k: [k.Rescaling(0.1)], "layer 'rescaling.*', Rescaling, has no counterpart"),
    "mask": (lambda k: [k.Embedding(3, 2, mask_zero=True)], "mask_zero is True, expected False: here fit and predict take"),
    "causal": (lambda k: [k.Reshape((3, 1)), k.Conv1D(2, 2, padding="causal")], "padding is 'causal', expected"),
    "slopes of pixels": (
        lambda k: [k.PReLU()], r"shared_axes is None, expected \[1\]: a slope for each channel"
    ),
    "another shape": (lambda k: [k.Reshape((3, 5))], "its input has 2 dimensions, expected 1: put a Flatten in front"),
    "dropout in time": (lambda k: [k.LSTM(2, recurrent_dropout=0.5)], "recurrent_dropout is 0.5, expected 0.0"),
    "other gates": (lambda k: [k.LSTM(2, activation="relu")], "activation is 'relu', expected 'tanh'"),
    "old gru": (lambda k: [k.GRU(2, reset_after=False)], "reset_after is False, expected True"),
    "sum": (lambda k: [k.Bidirectional(k.LSTM(2), merge_mode="sum")], "merge_mode is 'sum', expected 'concat'"),
    "flattened": (
        lambda k: [k.Flatten(data_format="channels_first")], "data_format is 'channels_first', expected 'channels_last'"
    ),
    "noise": (lambda k: [k.Dropout(0.5, noise_shape=(None, 1, 3))], "noise_shape is .*, expected None"),
    "regularizer": (lambda k: [k.Dense(2, kernel_regularizer="l2")], "kernel_regularizer is .*, expected None"),
    "constraint": (lambda k: [k.LSTM(2, bias_constraint="non_neg")], "bias_constraint is .*, expected None"),
    "of an inner layer": (
        lambda k: [k.TimeDistributed(k.Dense(2, bias_regularizer="l1"))], "bias_regularizer is .*, expected None"
    ),
    "an inner layer is frozen": (
        lambda k: [k.Bidirectional(k.GRU(2, trainable=False))], "trainable of its layer is False, expected True"
    ),
    "another way back": (
        lambda k: [k.Bidirectional(
            k.LSTM(2), backward_layer=k.LSTM(2, go_backwards=True, recurrent_activation="hard_sigmoid")
        )],
        "recurrent_activation of its backward_layer is 'hard_sigmoid', expected 'sigmoid'",
    ),
    "another layer back": (
        lambda k: [k.Bidirectional(k.LSTM(2), backward_layer=k.GRU(2, go_backwards=True))], "backward_layer is a GRU, expected"
    ),
    "frozen statistics": (lambda k: [k.BatchNormalization(trainable=False)], "trainable is False, expected True: in training"),
    "states": (lambda k: [k.LSTM(2, stateful=True)], "stateful is True, expected False"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, message = REFUSED[case]
    made = make(keras().layers)
    if isinstance(made, list):
        shape = (3,) if case in ("unknown", "mask", "causal") else (5, 3)
        made = keras().Sequential([keras().Input(shape, batch_size=4 if case == "states" else None), *made])
    with pytest.raises(ValueError, match=f"^from_keras: .*{message}"):
        bp.from_keras(made)


def test_a_model_without_a_shape() -> None:
    with pytest.raises(
        ValueError, match="from_keras: the model has no input shape, expected one that was built"
    ):
        bp.from_keras(keras().Sequential([keras().layers.Dense(2)]))

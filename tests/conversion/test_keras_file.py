"""Files of Keras without Keras: the recorded one, what is wrong with others, and that nothing outside a file is read."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from golden.like_cases import KERAS_FILE, TRAJECTORIES, keras_rows

h5py = pytest.importorskip("h5py")
WANT = np.array(json.loads(TRAJECTORIES.read_text("utf-8"))["model.keras"]["predictions"])


def changed(
    path: Path, config: Callable[[Any], Any] = lambda c: c, weights: Callable[[Any], None] = lambda h5: None
) -> Path:
    """A copy of the recorded file with another configuration or other weights."""
    with zipfile.ZipFile(KERAS_FILE) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["config.json"] = json.dumps(config(json.loads(files["config.json"]))).encode()
    data = io.BytesIO(files["model.weights.h5"])
    with h5py.File(data, "r+") as h5:
        weights(h5)
    files["model.weights.h5"] = data.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_the_recorded_file() -> None:
    model = bp.from_keras(KERAS_FILE, backend="numpy")
    np.testing.assert_allclose(model.predict(keras_rows()), WANT, rtol=1e-5, atol=1e-7)
    assert (model.dtype, model.like) == (np.float32, "keras")
    assert repr(model.optimizer) == "Adam(lr=0.001, eps=1e-07, eps_hat=True)"
    # What Keras's kernel (H, W, C, O) is here.
    assert model.state_dict()["1.weight"].shape == (3, 2, 1, 2)


def test_logits_and_training() -> None:
    model = bp.from_keras(str(KERAS_FILE), "cross_entropy", logits=True)
    np.testing.assert_allclose(model.predict_proba(keras_rows()), WANT, rtol=1e-5, atol=1e-7)
    before = model.evaluate(keras_rows(), [0, 1, 2, 3])["loss"]
    model.fit(keras_rows(), np.arange(4), epochs=30)
    assert model.evaluate(keras_rows(), [0, 1, 2, 3])["loss"] < before


@pytest.mark.parametrize("last", ["sigmoid", "softmax"])
def test_logits_of_a_convolution(last: str, tmp_path: Path) -> None:
    """What turns its channels back stays behind it."""

    def first_layers(config: Any) -> Any:
        config["config"]["layers"] = config["config"]["layers"][:2]
        layer(config, "conv2d")["activation"] = last
        return config

    path = changed(tmp_path / "m.keras", first_layers)
    shares, logits = (bp.from_keras(path, logits=given) for given in (False, True))
    assert type(logits.net[-1]) is nn.Permute
    found = 1 / (1 + np.exp(-logits.predict(keras_rows())))
    if last == "softmax":
        found = np.exp(logits.predict(keras_rows()))
        found /= found.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found, shares.predict(keras_rows()), rtol=1e-5)


def test_a_checkpoint_of_it(tmp_path: Path) -> None:
    model = bp.from_keras(KERAS_FILE)
    model.save(tmp_path / "model.safetensors")
    again = bp.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.predict(keras_rows()), model.predict(keras_rows()))


def layer(config: Any, name: str) -> Any:
    return next(one["config"] for one in config["config"]["layers"] if one["config"]["name"] == name)


def with_setting(name: str, /, **settings: Any) -> Callable[[Any], Any]:
    def change(config: Any) -> Any:
        layer(config, name).update(settings)
        return config

    return change


def renamed(config: Any) -> Any:
    config["config"]["layers"][1]["class_name"] = "Lambda"
    return config


def external(h5: Any) -> None:
    del h5["layers/conv2d/vars/0"]
    h5["layers/conv2d/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(h5: Any) -> None:
    del h5["layers/conv2d/vars"]
    h5["layers/conv2d/vars"] = h5py.SoftLink("/layers/conv2d")


def raw(h5: Any) -> None:
    del h5["layers/conv2d/vars/0"]
    h5.create_dataset("layers/conv2d/vars/0", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(h5: Any) -> None:
    del h5["layers/conv2d/vars/0"]
    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    h5.create_virtual_dataset("layers/conv2d/vars/0", layout)


def huge(h5: Any) -> None:
    del h5["layers/conv2d/vars/0"]
    h5.create_dataset("layers/conv2d/vars/0", (2**40,), "f4", chunks=(1024,))


def many(h5: Any) -> None:
    """Of which each has room in the file, and all have not; none is written."""
    for number in range(60):
        h5.create_dataset(f"layers/conv2d/vars/{number + 2}", (5000,), "f4", chunks=(5000,))


def nameless(h5: Any) -> None:
    del h5["layers/conv2d/vars"].attrs["name"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (external, "'0' in model.weights.h5 is a link"),
        (soft, "'vars' in model.weights.h5 is a link"),
        (raw, "'0' in model.weights.h5 has its data elsewhere"),
        (virtual, "'0' in model.weights.h5 has its data elsewhere"),
        (huge, r".* \(1099511627776,\), more than the file holds"),
        (many, r"'\d+' in model.weights.h5 is float32 \(5000,\), more than the file holds"),
        (nameless, "layers/conv2d has no name"),
    ],
)
def test_weights_that_lead_elsewhere(weights: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    path = changed(tmp_path / "m.keras", weights=weights)
    with pytest.raises(bp.CheckpointError, match=f"m.keras is no .keras file that can be read: {message}"):
        bp.from_keras(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (lambda c: [], "config.json holds no object"),
        (
            lambda c: {"class_name": "Mine"},
            "the model is a 'Mine', expected a Sequential or a functional model",
        ),
        (lambda c: {"class_name": "Sequential", "config": {"layers": [{}]}}, "'class_name' is missing"),
    ],
)
def test_configurations_of_no_chain(config: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(bp.CheckpointError, match=message):
        bp.from_keras(changed(tmp_path / "m.keras", config))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (renamed, "layer 'conv2d', Lambda, has no counterpart"),
        (
            with_setting("conv2d", activation="selu"),
            "'conv2d', Conv2D, cannot .*: activation is 'selu', expected one of",
        ),
        (
            with_setting("conv2d", data_format="channels_first"),
            "'conv2d', Conv2D, cannot .*: data_format is 'channels_first'",
        ),
        (
            with_setting("conv2d_1", strides=[2, 1]),
            "'conv2d_1', Conv2D, cannot .*: padding is 'same', but stride is",
        ),
        (
            with_setting("max_pooling2d", padding="same"),
            "'max_pooling2d', MaxPooling2D, cannot .*: padding is 'same'",
        ),
        (
            with_setting("head", name="tail"),
            "'tail', Dense, cannot .*: it has 0 arrays in the file, expected more, or of more dimensions",
        ),
        (
            with_setting("batch_normalization", name="other"),
            "'other', BatchNormalization, cannot .*: it has 0 arrays in the file",
        ),
        (
            with_setting("batch_normalization", axis=[]),
            r"'batch_normalization', BatchNormalization, cannot .*: axis is \[\], expected",
        ),
    ],
)
def test_layers_without_a_counterpart(config: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^from_keras: layer {message}|^from_keras: {message}"):
        bp.from_keras(changed(tmp_path / "m.keras", config))


def test_parts_that_grow_beyond_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(1 << 25))
    with pytest.raises(
        bp.CheckpointError,
        match=r"model.weights.h5 has 33,554,432 bytes once it is unpacked, expected at most",
    ):
        bp.from_keras(path)


def test_files_that_are_cut_or_none(tmp_path: Path) -> None:
    path = shutil.copy(KERAS_FILE, tmp_path / "cut.keras")
    data = path.read_bytes()
    for length in (0, 10, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:length])
        with pytest.raises(bp.CheckpointError, match=r"cut.keras is no \.keras file that can be read"):
            bp.from_keras(path)
    with pytest.raises(FileNotFoundError):
        bp.from_keras(tmp_path / "missing.keras")
    with pytest.raises(TypeError, match="from_keras: model is 3, expected a Keras model or the path"):
        bp.from_keras(3)

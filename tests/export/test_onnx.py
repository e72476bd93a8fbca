"""bp.export.onnx: every layer in onnxruntime, for batches of other sizes; names, dtypes; what is refused."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.exported import NETS, used
from helpers.registered import sample_layers

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def answers(path: Path, *inputs: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime computes."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    named = {known.name: given for known, given in zip(session.get_inputs(), inputs, strict=True)}
    answer: list[np.ndarray] = session.run(None, named)
    return answer


def as_list(answer: Any) -> list[np.ndarray]:
    return (
        [*answer.values()]
        if isinstance(answer, dict)
        else [*answer]
        if isinstance(answer, tuple)
        else [answer]
    )


def exported(model: bp.Model, folder: Path) -> Path:
    path = folder / "model.onnx"
    bp.export.onnx(model, path)
    return path


@pytest.mark.parametrize("name", NETS)
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    model, x = used(name)
    path = exported(model, tmp_path)
    for rows in (1, 2, 5):
        batch = [part[:rows] for part in (x if isinstance(x, tuple) else (x,))]
        expected = as_list(model.predict(tuple(batch) if len(batch) > 1 else batch[0]))
        for one, other in zip(answers(path, *batch), expected, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, strict=True)


@pytest.mark.parametrize("name", sample_layers())
def test_every_layer_computes_the_same(name: str, tmp_path: Path) -> None:
    sample = sample_layers()[name]
    model, data = bp.Model(sample.make(), seed=1), sample.data(4)
    expected = as_list(model.predict(data))
    given = [x.astype(np.float32 if x.dtype.kind == "f" else np.int64) for x in data.values()]
    for one, other in zip(answers(exported(model, tmp_path), *given), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, strict=True)


class Convolved(nn.Module):
    """A layer that shortens the lengths of rows, and forgets what is behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, stride=2, padding=1)

    def forward(self, x: Any) -> Any:
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [Convolved(), nn.GRU(4, 3, returns="last")],
        lambda: [nn.LSTM(3, 5, bidirectional=True, returns="last")],
        lambda: [nn.GRU(3, 5, 2)],
        lambda: [nn.Linear(3, 8), nn.TransformerEncoderLayer(8, 2, 16)],
    ],
)
def test_lengths_of_rows_are_an_input(layers: Any, tmp_path: Path) -> None:
    model = bp.Model(nn.Sequential(*layers()))
    x, lengths = (
        np.random.default_rng(0).standard_normal((4, 6, 3)).astype(np.float32),
        np.array([3, 6, 0, 1]),
    )
    expected = model.predict(x, lengths=lengths)
    (answer,) = answers(exported(model, tmp_path), x, lengths)
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def test_weights_have_the_names_and_layout_of_state_dict(tmp_path: Path) -> None:
    model, _ = used("conv2d")
    graph = onnx.load(exported(model, tmp_path)).graph
    found = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    state = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    assert {*state} <= {*found}
    for key, value in state.items():
        np.testing.assert_array_equal(found[key], value, strict=True)
    kinds = [node.op_type for node in graph.node]
    # Images have their channels last inside, which costs the graph no transposition.
    assert kinds.count("Conv") == 2
    assert "Transpose" not in kinds


def test_batches_of_a_float64_model_are_float64(tmp_path: Path) -> None:
    model = bp.Model(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 4))
    (answer,) = answers(exported(model, tmp_path), x)
    np.testing.assert_allclose(answer, model.predict(x), rtol=1e-13, strict=True)


def test_changed_weights_and_settings_count(tmp_path: Path) -> None:
    model, x = bp.Model(nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.1))), np.ones((5, 4), np.float32)
    model.fit(x, np.ones((5, 3)), epochs=2)
    model.net[1].negative_slope = 0.5
    (answer,) = answers(exported(model, tmp_path), x)
    np.testing.assert_allclose(answer, model.predict(x), rtol=1e-5, atol=1e-6)


class Centred(nn.Module):
    def forward(self, x: Any) -> Any:
        return x - x.mean(0, keepdim=True)


def test_what_depends_on_the_size_of_the_batch_is_refused(tmp_path: Path) -> None:
    model = bp.Model(nn.Sequential(nn.Linear(4, 4), Centred()))
    model.predict(np.ones((4, 4)))
    with pytest.raises(
        ValueError,
        match=r"layer '1' needs the op reduce_sum, of which scale depends on the size of the batch",
    ):
        bp.export.onnx(model, tmp_path / "m.onnx")


class Ones(nn.Module):
    def forward(self, x: Any) -> Any:
        return bp.ones(x.shape[0], x.shape[0]) @ x


def test_an_expansion_to_two_batches_is_refused(tmp_path: Path) -> None:
    model = bp.Model(Ones())
    model.predict(np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"matmul_forward, of which several dimensions depend on the size"):
        bp.export.onnx(model, tmp_path / "m.onnx")


class Names(nn.Module):
    """An input, parameters and outputs of the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.x, self.output, self.y = (nn.Parameter(np.full(3, float(n))) for n in (2, 3, 4))

    def forward(self, x: Any, output: Any) -> Any:
        return {"x": x * self.x, "y": output * self.output + self.y, "constant": x + 5}


class OutputOfOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(np.ones(3))

    def forward(self, output: Any) -> Any:
        return bp.where(output > 2, output, -1.5) * self.constant


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    x, z = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    model = bp.Model(Names())
    expected = model.predict({"x": x, "output": z})
    path = exported(model, tmp_path)
    for one, other in zip(answers(path, x, z), expected.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    graph = onnx.load(path).graph
    assert [one.name for one in graph.input] == ["x", "output"]
    assert {"x_2", "output_2", "y"} <= {one.name for one in graph.initializer}
    assert [one.name for one in graph.output] == ["x_3", "y_2", "constant"]
    model = bp.Model(OutputOfOutput())
    expected = model.predict(z)
    np.testing.assert_array_equal(answers(exported(model, tmp_path), z)[0], expected)
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert [one.name for one in graph.output] == ["output_2"]
    assert "constant" in {one.name for one in graph.initializer}


@pytest.mark.parametrize(
    "layer", [nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(3), nn.AvgPool2d(2), nn.MaxPool2d(2)]
)
def test_pooling_keeps_what_is_not_finite_in_its_windows(layer: nn.Module, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((2, 1, 6, 6)).astype(np.float32)
    x[0, 0, 1, 1], x[1, 0, 4, 4] = np.inf, -np.inf
    model = bp.Model(nn.Sequential(layer))
    expected = model.predict(x)
    (answer,) = answers(exported(model, tmp_path), x)
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)
    assert np.isfinite(answer).any()


class Far(nn.Module):
    """A constant beyond float32."""

    def forward(self, x: Any) -> Any:
        return x.masked_fill(x < 0, -1e300).softmax(1)


def test_constants_beyond_the_dtype_are_infinite(tmp_path: Path) -> None:
    x = np.array([[1, -1, 2], [3, 4, -5]], np.float32)
    model = bp.Model(Far())
    expected = model.predict(x)
    np.testing.assert_allclose(answers(exported(model, tmp_path), x)[0], expected, rtol=1e-6)


def test_an_op_without_a_counterpart_is_refused_with_its_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backpass import ops
    from backpass.export import onnx_file

    monkeypatch.delitem(onnx_file.WRITERS, ops.softmax_forward)
    model = bp.Model(nn.Sequential(nn.Linear(4, 4), nn.Softmax()))
    with pytest.raises(
        ValueError, match=r"layer '1' needs the op softmax_forward, which has no counterpart in ONNX here"
    ):
        bp.export.onnx(model, tmp_path / "m.onnx")
    assert not [*tmp_path.iterdir()]


def test_a_model_of_unknown_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing tells which shape a row of X has, .* model\.predict"):
        bp.export.onnx(bp.Model(nn.Sequential(nn.Conv2d(1, 2, 3))), tmp_path / "m.onnx")


@pytest.mark.parametrize("model", [nn.Linear(4, 3), bp.Model, None, "model"])
def test_what_is_no_model_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"bp\.export\.onnx: model is .*, expected a bp\.Model"):
        bp.export.onnx(model, tmp_path / "m.onnx")


def test_precision_is_none_of_a_file(tmp_path: Path) -> None:
    """A model of bfloat16 is written as one of float32, and so its modules and estimators compute."""
    net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
    # NumPy rounds on any machine.
    model = bp.Model(net, "mse", precision="bf16", backend="numpy")
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    rounded = model.predict(x)
    bp.export.onnx(model, tmp_path / "bf16.onnx")
    (again,) = answers(tmp_path / "bf16.onnx", x)
    estimator = model.to_sklearn()
    c_of_bf16 = c_text(model, tmp_path)
    model.precision = "float32"
    exact = model.predict(x)
    assert np.abs(rounded - exact).max() > 1e-4
    np.testing.assert_allclose(again, exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(estimator.predict(x), exact, rtol=1e-5, atol=1e-6)
    assert c_of_bf16 == c_text(model, tmp_path)


def c_text(model: bp.Model, folder: Path) -> str:
    bp.export.c(model, folder / "model.c")
    return (folder / "model.c").read_text("utf-8")


def test_paths_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    model = bp.Model(nn.Linear(4, 3))
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        bp.export.onnx(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        bp.export.onnx(model, tmp_path / "missing" / "m.onnx")
    for path, error in ((3, TypeError), (None, TypeError), ("a\0b", ValueError)):
        with pytest.raises(error, match="path is"):
            bp.export.onnx(model, path)  # type: ignore[arg-type]
    assert not [*tmp_path.iterdir()]


def test_without_onnx_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "backpass\[onnx\]"'):
        bp.export.onnx(bp.Model(nn.Linear(4, 3)), tmp_path / "m.onnx")

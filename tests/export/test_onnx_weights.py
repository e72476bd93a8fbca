"""bp.load_onnx of files that do not name their weights: what is learned, and what is a constant."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4)).astype(np.float32)
W = RNG.standard_normal((4, 3)).astype(np.float32)


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(op, inputs, [output], **attributes)


def held(name: str, values: Any) -> Any:
    return node("Constant", [], name, value=onnx.numpy_helper.from_array(np.asarray(values)))


def loaded(folder: Path, nodes: list[Any], row: tuple[int, ...] = (4,), **arrays: Any) -> bp.Model:
    return bp.load_onnx(written(folder, nodes, row, **arrays))


def written(folder: Path, nodes: list[Any], row: tuple[int, ...] = (4,), **arrays: Any) -> Path:
    values = [
        onnx.helper.make_tensor_value_info(name, 1, ["n", *sizes])
        for name, sizes in (("x", row), ("y", "ab"[: len(row)]))
    ]
    initial = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = onnx.helper.make_graph(nodes, "graph", values[:1], values[1:], initial)
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "file.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def learned(model: bp.Model) -> list[str]:
    return [name for name, _ in model.named_parameters()]


def test_weights_in_nodes(tmp_path: Path) -> None:
    """Those of a product, its bias and a normalisation; a scale that is 1 everywhere stands for none."""
    three = np.arange(3, dtype=np.float32)
    nodes = [
        held("w", W), held("b", three), held("one", np.ones(3, np.float32)), held("shift", three), held("half", three / 2),
        node("MatMul", ["x", "w"], "p"), node("Add", ["p", "b"], "s"),
        node("LayerNormalization", ["s", "one", "shift"], "n"), node("Mul", ["n", "half"], "y"),
    ]  # fmt: skip
    model = loaded(tmp_path, nodes)
    assert learned(model) == ["w", "b", "shift"]
    z = X @ W + three
    want = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5) + three
    np.testing.assert_allclose(model.predict(X), want * three / 2, rtol=1e-4, atol=1e-5)
    before = model.state_dict()
    model.fit(X, np.ones((5, 3)), epochs=2)
    assert all(not np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_statistics_in_nodes(tmp_path: Path) -> None:
    given = [held(name, np.arange(1, 5, dtype=np.float32) * k) for k, name in enumerate("sbmv", 1)]
    model = loaded(tmp_path, [*given, node("BatchNormalization", ["x", *"sbmv"], "y")])
    assert (learned(model), sorted(model.state_dict())) == (["s", "b"], ["b", "m", "s", "v"])
    k = np.arange(1, 5)
    np.testing.assert_allclose(model.predict(X), (X - 3 * k) / np.sqrt(4 * k + 1e-5) * k + 2 * k, rtol=1e-4)


def test_what_prepares_an_input_is_constant(tmp_path: Path) -> None:
    """The mean and the deviation of the data; a scale behind a product is learned."""
    four = np.arange(1, 5, dtype=np.float32)
    nodes = [
        node("Sub", ["x", "mean"], "a"), held("two", np.full(4, 2, np.float32)), node("Div", ["a", "two"], "b"),
        node("Cast", ["b"], "c", to=1), node("Mul", ["scale", "c"], "d"), node("MatMul", ["d", "w"], "e"),
        node("Mul", ["e", "gain"], "y"),
    ]  # fmt: skip
    model = loaded(tmp_path, nodes, mean=four, scale=1 / four, w=W, gain=np.array([1, 2, 3], np.float32))
    assert learned(model) == ["w", "gain"]
    want = ((X - four) / 2 / four) @ W * [1, 2, 3]
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-4, atol=1e-5)


def test_arguments_of_a_model(tmp_path: Path) -> None:
    path = written(tmp_path, [node("MatMul", ["x", "w"], "y")], w=W)
    model = bp.load_onnx(path, metrics=["mae"], precision="bf16", like="keras")
    assert (model.precision, model.like, model.metrics) == ("bf16", "keras", ["mae"])
    assert {"loss", "mae"} <= {*model.evaluate(X, np.ones((5, 3)))}
    wide = bp.load_onnx(path, dtype="float64")
    np.testing.assert_allclose(wide.predict(X), X.astype(float) @ W, rtol=1e-12)
    with pytest.raises(TypeError, match="Model has no argument 'metric'"):
        bp.load_onnx(path, metric="mae")


@pytest.mark.parametrize("fmod", [0, 1])
def test_what_division_leaves_of_constants(fmod: int, tmp_path: Path) -> None:
    nodes = [
        node("Mod", ["a", "b"], "c", fmod=fmod),
        node("Cast", ["c"], "d", to=1),
        node("Add", ["x", "d"], "y"),
    ]
    model = loaded(tmp_path, nodes, a=np.array([-7]), b=np.array([4]))
    np.testing.assert_allclose(model.predict(X), X + (-3 if fmod else 1), rtol=1e-6)


def test_a_transposed_convolution_without_padding(tmp_path: Path) -> None:
    nodes = [node("ConvTranspose", ["x", "w"], "y", auto_pad="VALID", strides=[2])]
    w, x = np.ones((2, 1, 2), np.float32), RNG.standard_normal((3, 2, 4)).astype(np.float32)
    found = loaded(tmp_path, nodes, (2, 4), w=w).predict(x)
    np.testing.assert_allclose(found, x.sum(1, keepdims=True).repeat(2, -1), rtol=1e-5, atol=1e-6)
    same = [node("ConvTranspose", ["x", "w"], "y", auto_pad="SAME_UPPER", strides=[2])]
    with pytest.raises(bp.CheckpointError, match="auto_pad is 'SAME_UPPER', expected NOTSET or VALID"):
        loaded(tmp_path, same, (2, 4), w=w)

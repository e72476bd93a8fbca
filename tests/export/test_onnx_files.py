"""bp.load_onnx and files that are not what they should be: a CheckpointError that names file and node, and nothing else read."""

import builtins
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from helpers.exported import used

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
FLOAT = 1


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return onnx.helper.make_node(op, inputs, outputs, name=f"the {op}", **attributes)


def array(name: str, values: Any) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(values), name)


def model_of(
    nodes: list[Any],
    arrays: list[Any] | None = None,
    row: Any = (4,),
    opset: int = 17,
    dtype: int = FLOAT,
) -> Any:
    """A file with the input x and the output y."""
    x = onnx.helper.make_tensor_value_info("x", dtype, ["batch", *row])
    y = onnx.helper.make_tensor_value_info("y", FLOAT, ["batch", "any"])
    graph = onnx.helper.make_graph(nodes, "graph", [x], [y], arrays or [])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)


def refused(proto: Any, folder: Path, message: str) -> None:
    path = folder / "file.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    with pytest.raises(bp.CheckpointError, match=message) as caught:
        bp.load_onnx(path)
    assert str(path) in str(caught.value)


WEIGHT = array("w", np.ones((4, 2), np.float32))


def external() -> Any:
    proto = model_of([node("MatMul", ["x", "w"], ["y"])], [WEIGHT])
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../../secret"), ("offset", "0"), ("length", "32")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return proto


def external_constant() -> Any:
    proto = model_of([node("Constant", [], ["w"], value=WEIGHT), node("MatMul", ["x", "w"], ["y"])])
    proto.graph.node[0].attribute[0].t.data_location = onnx.TensorProto.EXTERNAL
    return proto


def huge(*dims: int) -> Any:
    proto = model_of([node("MatMul", ["x", "w"], ["y"])], [WEIGHT])
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend(dims)
    return proto


def doubled() -> Any:
    """40 nodes, each twice as long as the one before."""
    nodes = [node("Concat", [f"a{k}", f"a{k}"], [f"a{k + 1}"], axis=0) for k in range(40)]
    nodes.append(node("Gather", ["x", "a40"], ["y"], axis=1))
    return model_of(nodes, [array("a0", np.zeros(1024, np.int64))])


def cyclic() -> Any:
    return model_of([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])])


def constant_of(*sizes: int) -> Any:
    nodes = [node("ConstantOfShape", ["n"], ["c"]), node("Add", ["x", "c"], ["y"])]
    return model_of(nodes, [array("n", np.array(sizes, np.int64))])


def ints(name: str, *values: int) -> Any:
    return array(name, np.array(values, np.int64))


def lstm(**attributes: Any) -> Any:
    weights = [array(k, np.ones((1, 8, n), np.float32)) for k, n in (("w", 3), ("r", 2))]
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "w", "r"], ["h", "", ""], hidden_size=2, **attributes),
        node("Squeeze", ["h", "one"], ["s"]), node("Transpose", ["s"], ["y"], perm=[1, 0, 2]),
    ]  # fmt: skip
    return model_of(nodes, [*weights, ints("one", 1)], (5, 3))


def naming(text: str) -> Any:
    proto = model_of([node("MatMul", ["x", "w"], ["y"])], [WEIGHT])
    entry = proto.metadata_props.add()
    entry.key, entry.value = "backpass.parameters", text
    return proto


FILES: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: b"", r"file\.onnx cannot be read"),
    "no protobuf": (lambda: b"\xff" * 100, r"is damaged or no ONNX file"),
    "text": (lambda: b"onnx, please", r"is damaged or no ONNX file|cannot be read"),
    "external data": (external, r"initializer 'w' has its numbers in another file"),
    "external constant": (external_constant, r"node 'the Constant' \(Constant\) has its numbers in another file"),
    "huge sizes": (lambda: huge(2**40, 2**20), r"initializer 'w' has the sizes .*, but 8 numbers"),
    "sizes below 0": (lambda: huge(-4, -2), r"initializer 'w' has the sizes \[-4, -2\]"),
    "a doubled constant": (doubled, r"node 'the Concat' \(Concat\): it makes a constant of .* numbers, expected at most"),
    "a huge constant": (lambda: constant_of(2**30, 2**30), r"node 'the ConstantOfShape' .*: it makes a constant of"),
    "a constant of negative size": (lambda: constant_of(-1), r"node 'the ConstantOfShape' .*: sizes are \[-1\]"),
    "a huge input": (lambda: model_of([node("Relu", ["x"], ["y"])], row=(2**50,)), r"file\.onnx needs more memory than there is"),
    "a huge range": (
        lambda: model_of(
            [node("Range", ["a", "b", "c"], ["r"]), node("Gather", ["x", "r"], ["y"], axis=1)],
            [array(k, np.array(v, np.int64)) for k, v in (("a", 0), ("b", 2**60), ("c", 1))],
        ),
        r"node 'the Range' .*: it makes a constant of",
    ),
    "huge padding": (
        lambda: model_of([node("Pad", ["x", "p"], ["y"])], [ints("p", 0, 0, 0, 2**50)]), r"node 'the Pad' .*: it makes a constant"
    ),
    "a huge expansion": (
        lambda: model_of([node("Unsqueeze", ["x", "a"], ["u"]), node("Expand", ["u", "s"], ["y"])],
                         [ints("a", 2), ints("s", 1, 4, 2**50)]), r"needs more memory than there is|node 'the Expand'"
    ),
    "a cycle": (cyclic, r"node 'the Add' \(Add\) reads 'b', which nothing gives before it"),
    "no such value": (lambda: model_of([node("Relu", ["z"], ["y"])]), r"node 'the Relu' \(Relu\) reads 'z', which nothing gives"),
    "no such output": (lambda: model_of([node("Relu", ["x"], ["z"])]), r"nothing gives the output 'y'"),
    "an unknown operator": (
        lambda: model_of([node("NonZero", ["x"], ["y"])]), r"node 'the NonZero' \(NonZero\) has an operator that"
    ),
    "another domain": (
        lambda: model_of([onnx.helper.make_node("Magic", ["x"], ["y"], domain="my.ops")]),
        r"\(my\.ops\.Magic\) has an operator that backpass",
    ),
    "an old opset": (lambda: model_of([node("Relu", ["x"], ["y"])], opset=9), r"it is of opset 9, expected 13 or newer"),
    "half precision": (lambda: model_of([node("Relu", ["x"], ["y"])], dtype=10), r"input 'x' is of float16"),
    "weights that do not fit": (
        lambda: model_of([node("MatMul", ["x", "w"], ["y"])], [WEIGHT], row=(5,)), r"node 'the MatMul' \(MatMul\): .*4"
    ),
    "an unknown attribute": (
        lambda: model_of([node("ArgMax", ["x"], ["a"], select_last_index=1), node("Cast", ["a"], ["y"], to=1)]),
        r"node 'the ArgMax' \(ArgMax\): select_last_index is 1, expected 0",
    ),
    "a reset gate elsewhere": (
        lambda: model_of(
            [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node("GRU", ["t", "w", "r"], ["h", ""], hidden_size=2),
             node("Squeeze", ["h", "one"], ["s"]), node("Transpose", ["s"], ["y"], perm=[1, 0, 2])],
            [array("w", np.ones((1, 6, 3), np.float32)), array("r", np.ones((1, 6, 2), np.float32)), ints("one", 1)], (5, 3)),
        r"node 'the GRU' .*linear_before_reset is 0, expected 1",
    ),
    "activations of others": (
        lambda: lstm(activations=["Tanh", "Tanh", "Tanh"]), r"node 'the LSTM' .*activations are .*, expected \['Sigmoid', 'Tanh'"
    ),
    "clipped cells": (lambda: lstm(clip=3.0), r"node 'the LSTM' .*: clip is 3\.0, which backpass does not know"),
    "a second output": (
        lambda: model_of([node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2]), node("Cast", ["i"], ["y"], to=1)], row=(2, 4)),
        r"node 'the Cast' \(Cast\) reads 'i' of node 'the MaxPool' \(MaxPool\), an output that backpass does not have",
    ),
    "a mask": (
        lambda: model_of([node("Dropout", ["x"], ["d", "y"])]), r"the network gives 'y' of node 'the Dropout' .*, an output that"
    ),
    "names without an end": (lambda: naming("[" * 200_000), r"its backpass\.parameters are \[+, expected a list of names"),
    "names that are none": (lambda: naming("3"), r"its backpass\.parameters are 3, expected a list of names"),
    "other channels": (
        lambda: model_of([node("Resize", ["x", "", "", "s"], ["y"])], [ints("s", 1, 5, 6)], (2, 3)),
        r"node 'the Resize' \(Resize\): sizes are \[1, 5, 6\], expected 2 channels as before",
    ),
    "a shape of the data": (
        lambda: model_of([node("Cast", ["x"], ["i"], to=7), node("Reshape", ["x", "i"], ["y"])]),
        r"node 'the Reshape' \(Reshape\): shape is computed of the input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    make, message = FILES[name]
    tracemalloc.start()
    refused(make(), tmp_path, message)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300e6


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.onnx does not exist"):
        bp.load_onnx(tmp_path / "missing.onnx")
    with pytest.raises(bp.CheckpointError, match=r"is no regular file, expected an ONNX file"):
        bp.load_onnx(tmp_path)
    for path, error in ((3, TypeError), (None, TypeError), ("a\0b", ValueError)):
        with pytest.raises(error, match="path is"):
            bp.load_onnx(path)  # type: ignore[arg-type]


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    model, _ = used("conv2d")
    path = tmp_path / "file.onnx"
    bp.export.onnx(model, path)
    whole = path.read_bytes()
    for size in [*range(40), *range(40, len(whole), len(whole) // 50)]:
        refused(whole[:size], tmp_path, r"file\.onnx (is damaged|cannot be read)")


@pytest.mark.parametrize("name", ["mlp", "conv2d", "lstm", "integers", "prenorm"])
def test_changed_bytes_give_a_model_or_an_error_of_ours(name: str, tmp_path: Path) -> None:
    model, _ = used(name)
    path, chance = tmp_path / "file.onnx", random.Random(name)
    bp.export.onnx(model, path)
    whole, refusals = path.read_bytes(), list[str]()
    for _ in range(60):
        changed = bytearray(whole)
        place = chance.randrange(len(changed))
        kind = chance.randrange(3)
        if kind == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del changed[place : place + chance.randrange(1, 9)]
        else:
            changed[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
        path.write_bytes(changed)
        try:
            bp.load_onnx(path)
        except bp.CheckpointError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert all(str(path) in refusal for refusal in refusals)


def test_nothing_else_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    (tmp_path / "secret").write_bytes(bytes(32))
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "file.onnx").write_bytes(external().SerializeToString())
    opened: list[str] = []
    for module in (builtins, io):
        real = module.open

        def watched(file: Any, *args: Any, real: Any = real, **options: Any) -> Any:
            opened.append(str(file))
            return real(file, *args, **options)

        monkeypatch.setattr(module, "open", watched)
    with pytest.raises(bp.CheckpointError, match="in another file"):
        bp.load_onnx(folder / "file.onnx")
    assert {*opened} == {str(folder / "file.onnx")}

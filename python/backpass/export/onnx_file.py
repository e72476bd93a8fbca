"""bp.export.onnx: a model as an ONNX file."""

import json
from os import PathLike
from typing import Any

from .._version import __version__
from ..engine import weights
from ..engine.engine import Engine, HasEngine
from ..program import InputSpec, Plan, Several, parts_of
from ..system.exclusive import computing
from .batches import DIFFERS, ROWS, check_numbers, outline
from .graph.call import Call
from .graph.graph import Graph
from .graph.nodes import FUNCTION, LEARNED
from .graph.writers import WRITERS
from .plans import engine_of, inputs_of, plan_of, refused, written

# The operators and the format that are written: onnxruntime 1.14 and newer read them.
OPSET, IR_VERSION = 17, 8


def onnx(model: HasEngine, path: str | PathLike[str]) -> None:
    """ONNX file of a model, as for inference, for batches of any size.

    Parameters are initialisers under their names in `state_dict`, in PyTorch's layout. Inputs are named after the arguments of
    the network ("x" of most), outputs "output", or after the names of several. A name that is taken gets a number: inputs keep
    theirs, then parameters.

    Args:
        model: a bp.Model that has predicted, or whose first layer knows the shape of a row.
        path: the file, written as a whole; `~` is the home folder.

    Shapes: all but the batch are those of the rows that the model was used with last. dtype: the model's, whatever its
    precision is: products are of float32 there. onnxruntime lacks some operators in float64.

    Raises:
        ImportError: onnx is missing. TypeError: model is no bp.Model, or path is none. OSError: the file cannot be written.
        ValueError: a layer that ONNX has no operator for, by name; a shape that nothing tells; an output that depends on how
            many rows there are.

    Source: opset 17 of https://onnx.ai/onnx/operators.

    Example:
        >>> bp.export.onnx(model, folder / "model.onnx")
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f'{FUNCTION} needs onnx ({error}): pip install "backpass[onnx]"') from None
    engine_of(FUNCTION, model)
    proto = _proto(model)
    onnx.checker.check_model(proto, full_check=True)
    written(path, proto.SerializeToString())


@computing
def _proto(model: HasEngine) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    engine = model.engine
    inputs = inputs_of(FUNCTION, engine)
    graph, out = _graph(engine, inputs)
    number = helper.np_dtype_to_tensor_dtype(engine.dtype)
    learned = [graph.names[name] for name, *_ in weights.learned(engine.net)]
    learned = [name for name in learned if name in graph.initialisers]
    # Parameters as in `state_dict`, then constants.
    order = [name for name in graph.names.values() if name in graph.initialisers]
    order += [name for name in graph.initialisers if name not in {*order}]
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            type(engine.net).__name__,
            [
                helper.make_tensor_value_info(
                    spec.name, number if spec.dtype.kind == "f" else TensorProto.INT64, ["batch", *spec.shape[1:]]
                )
                for spec in inputs
            ],
            [helper.make_tensor_value_info(name, number, shape) for name, shape in out.items()],
            [numpy_helper.from_array(graph.initialisers[name], name) for name in order],
        ),
        producer_name="backpass", producer_version=__version__, ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    helper.set_model_props(proto, {LEARNED: json.dumps(learned)})
    return proto


def _graph(engine: Engine, inputs: tuple[InputSpec, ...]) -> tuple[Graph, dict[str, list[Any]]]:
    """The graph of a network, and the shapes of its outputs by name."""
    few, more = (plan_of(engine, inputs, rows, apart=True) for rows in ROWS)
    if outline(few) != outline(more):
        raise ValueError(f"{FUNCTION}: {DIFFERS}")
    known = {name: (array, array) for name, array in weights.views(engine.net)}
    check_numbers(FUNCTION, (few, more), [array for array, _ in known.values()])
    given = {name: (array, more.inputs[name]) for name, array in few.inputs.items()}
    graph = Graph((few, more), known, given, _output_names(few))
    for one, other in zip(few.forward, more.forward, strict=True):
        writer = WRITERS.get(one.op)
        if writer is None:
            raise refused(FUNCTION, one, "which has no counterpart in ONNX here")
        writer(Call(graph, one, other))
    shapes: dict[str, list[Any]] = {}
    for name, one, other in zip(graph.outputs, parts_of(few.out), parts_of(more.out), strict=True):
        value = graph.read((one, other))
        graph.output(graph.expanded(value, (one, other)), name)
        shapes[name] = ["batch", *one.shape[1:]]
    graph.prune([*shapes])
    return graph, shapes


def _output_names(plan: Plan) -> list[str]:
    if not isinstance(plan.out, Several):
        return ["output"]
    return [name if plan.out.named else f"output_{name}" for name in plan.out.parts]

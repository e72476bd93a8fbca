"""What a checkpoint holds of a model besides its description: weights, moments, counters and the last run; and back, checked."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import checks
from ..backends.precision import Precision
from ..data.feed import Position
from ..data.known_categories import Labels
from ..engine import weights
from ..engine.engine import Engine
from ..engine.history import History
from ..engine.run import Run
from ..errors import CheckpointError
from ..nn import Module
from ..ops.precision import check_precision
from ..optim import Optimizer
from ..program.carried import Carried
from . import describe

# Of a counter.
LARGEST = 2**62
# Of an optimizer: written anew in every step.
WORKING = {"partials", "scale", "norm", "coefficients"}
# Dtypes of arrays of a run.
WRITTEN = ("bool", "int64", "float32", "float64")
# Of a run within an epoch: what its metrics are computed from.
OUTPUTS = "outputs."
RUN: dict[str, type] = {
    "first": int, "epochs": int, "rows": int, "batch_size": int, "shuffle": bool, "sampler": str, "stopped": bool, "data": str,
    "validation": str, "steps": int,
}  # fmt: skip

Tensors = dict[str, np.ndarray]


def tensors_of(engine: Engine) -> Tensors:
    """Weights, running statistics and the optimizer's state, under the names that they have in a file; views, no copies."""
    tensors = {f"model.{key}": array for key, array in weights.views(engine.net)}
    tensors |= {f"optimizer.{slot}.{key}": view for slot, key, view in _slots(engine)}
    for name in _kept(engine.optimizer, engine.optimizer_state):
        tensors[f"optimizer.{name}"] = engine.optimizer_state[name]
    return tensors


def _slots(engine: Engine) -> Iterator[tuple[str, str, np.ndarray]]:
    """The optimizer's moments, parameter by parameter: slot, key, view in the layout of `state_dict`."""
    for slot in engine.optimizer.slots:
        for name, layer, key in weights.learned(engine.net):
            yield slot, name, layer.view_of(key, engine.optimizer_state[slot])


def _kept(optimizer: Optimizer, state: Mapping[str, Any]) -> list[str]:
    return [name for name in state if name not in optimizer.slots and name not in WORKING]


def declared(net: Module, dtype: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of all tensors of a network that has no weights yet."""
    shapes: dict[str, tuple[tuple[int, ...], str]] = {}
    for prefix, layer in net.walk():
        lead = f"model.{prefix}." if prefix else "model."
        for key, parameter in layer.learned.items():
            shapes[lead + key] = parameter.shape, dtype
        for key, (shape, start) in layer.starts.items():
            shapes[lead + key] = shape, "int64" if isinstance(start, int) else dtype
    return shapes


def check(tensors: Tensors, declared: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Whether these tensors are there, of the right shape and dtype, and hold numbers."""
    for name, (shape, dtype) in declared.items():
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        array = tensors[name]
        if array.shape != tuple(shape) or array.dtype != dtype:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {dtype} {tuple(shape)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")
        if array.dtype.kind == "i" and array.size and array.min() < 0:
            raise ValueError(f"{name} holds {array.min()}, expected a count")


def fill(engine: Engine, tensors: Tensors) -> None:
    """Take the tensors of a model out of what a file holds."""
    for key, view in weights.views(engine.net):
        view[...] = tensors.pop(f"model.{key}")
    for slot, key, view in _slots(engine):
        moment = tensors.pop(f"optimizer.{slot}.{key}")
        if moment.shape != view.shape or moment.dtype != view.dtype:
            expected = f"expected {view.dtype} {view.shape}"
            raise ValueError(f"optimizer.{slot}.{key} is {moment.dtype} {moment.shape}, {expected}")
        if np.isnan(moment).any():  # but v may be infinite: a step of 0
            raise ValueError(f"optimizer.{slot}.{key} holds NaN")
        view[...] = moment
    for name in _kept(engine.optimizer, engine.optimizer_state):
        array = engine.optimizer_state[name]
        check(tensors, {f"optimizer.{name}": (array.shape, array.dtype.name)})
        array[...] = tensors.pop(f"optimizer.{name}")
    engine.lr = engine.lr  # checks it


def labels(categories_json: Any) -> dict[str, Labels]:
    """The labels of categories by input, checked."""
    return _lists("categories", categories_json, lambda column: column is None or _are_labels(column))


def columns(columns_json: Any) -> dict[str, list[str]]:
    """The names of the columns of categories by input, checked."""
    return _lists("category_columns", columns_json, lambda name: isinstance(name, str))


def _lists(what: str, given: Any, fits: Callable[[Any], bool]) -> dict[str, list[Any]]:
    read = describe.decode(given, describe.nothing_else)
    if not isinstance(read, dict):
        raise ValueError(f"{what} is {given!r:.80}")
    for name, values in read.items():
        if not isinstance(name, str) or not isinstance(values, list) or not all(map(fits, values)):
            raise ValueError(f"{what} of {name!r:.80} are {values!r:.80}")
    return read


def _are_labels(column: Any) -> bool:
    plain = isinstance(column, list) and all(isinstance(label, str | int | float) for label in column)
    return plain and len({*column}) == len(column)


# ---- the run ---------------------------------------------------------------------------------------------------------


def run_to_json(run: Run, tensors: Tensors) -> dict[str, Any]:
    """A run as JSON; its arrays are added to `tensors`."""
    for name, array in run.carried.arrays.items() if run.carried else ():
        tensors[f"carried.{name}"] = array
    for name, array in run.outputs.items():
        kept = array.astype(np.int64) if array.dtype.kind in "iu" else array
        # Other targets only a callable loss knows: such an epoch cannot go on with its metrics.
        if kept.dtype.name in WRITTEN:
            tensors[f"{OUTPUTS}{name}"] = kept
    tensors["history.epoch"] = np.array(run.history.epoch, np.int64)
    for name, values in run.history.history.items():
        tensors[f"history.of.{name}"] = np.array(values, np.float64)

    def keep(value: Any) -> dict[str, str]:
        if not isinstance(value, np.ndarray) or value.dtype.name not in WRITTEN:
            raise CheckpointError(
                f"the state of a callback holds {value!r:.80}, which cannot be written down"
            )
        name = f"callback.{len(tensors)}"
        tensors[name] = np.array(value, order="C")
        return {"tensor": name}

    states = [[name, describe.encode(state, keep)] for name, state in run.states]
    plain = {name: getattr(run, name) for name in RUN}
    position = describe.encode([*run.position], describe.nothing_else)
    return plain | {"at": position, "history": [*run.history.history], "callbacks": states}


def run_from_json(run_json: Any, tensors: Tensors, engine: Engine) -> Run:
    """The run, its arrays taken out of `tensors`."""
    for name, kind in RUN.items():
        if type(run_json[name]) is not kind or (kind is int and not 0 <= run_json[name] < LARGEST):
            raise ValueError(f"run: {name} is {run_json[name]!r:.80}")
    # The first version wrote no accuracy.
    rows, *sums = describe.decode(run_json["at"], describe.nothing_else)
    if len(sums) not in (2, 4):
        raise ValueError(f"run: at has {1 + len(sums)} numbers")
    if run_json["sampler"] != checks.BY_LENGTH:
        checks.sampler(run_json["sampler"] or None, run_json["shuffle"])
    run = Run(**{name: run_json[name] for name in RUN})
    run.position = Position(whole("cursor", rows, run.rows + 1), *map(float, sums))
    if (
        not 1 <= run.batch_size <= run.rows
        or (rows % run.batch_size and rows != run.rows)
        or run.first > engine.epoch
    ):
        raise ValueError("run: its numbers contradict each other")
    prefix = "carried."
    names = [name for name in tensors if name.startswith(prefix)]
    check(tensors, {name: (tensors[name].shape, engine.dtype.name) for name in names})
    if names:
        run.carried = Carried({name.removeprefix(prefix): tensors.pop(name) for name in names})
    for name in [name for name in tensors if name.startswith(OUTPUTS)]:
        kept = tensors.pop(name)
        if kept.shape[:1] != (rows,) or kept.dtype.name not in WRITTEN:
            raise ValueError(f"{name} is {kept.dtype} {kept.shape}, expected {rows} rows")
        run.outputs[name.removeprefix(OUTPUTS)] = kept
    run.history = History()
    run.history.epoch = tensors.pop("history.epoch").tolist()
    run.history.history = {name: tensors.pop(f"history.of.{name}").tolist() for name in run_json["history"]}

    def array(reference: dict[str, Any]) -> np.ndarray:
        return tensors.pop(reference["tensor"])

    run.states = [(str(name), dict(describe.decode(state, array))) for name, state in run_json["callbacks"]]
    return run


def precision_of(description: Any) -> Precision:
    """Of a model that a file describes, checked; files of float32 do not say."""
    precision: Precision = description.get("precision", "float32")
    check_precision(precision, np.dtype(dtype_of(description)))
    return precision


def dtype_of(description: Any) -> str:
    """Of a model that a file describes, checked."""
    dtype = description["dtype"]
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype is {dtype!r:.80}")
    return str(dtype)


def whole(name: str, value: Any, end: int) -> int:
    """A counter, checked."""
    if type(value) is not int or not 0 <= value < end:
        raise ValueError(f"{name} is {value!r:.80}, expected an integer from 0 to {end - 1}")
    return value

"""Data checked against an engine: inputs, targets and weights as a run or an evaluation takes them."""

from typing import Any

import numpy as np

from ..data import arrays, targets
from ..data.inputs import Inputs, Take, checked_inputs, with_targets
from ..data.sparse import SparseRows
from ..data.streams import Streams
from ..program import Rows
from ..program.limits import NO_LIMIT
from .engine import Engine

# Rows of which indices are computed at once.
MOST_ROWS = 512


def taken(engine: Engine, X: Any, take: Take) -> Inputs:
    """X as the engine's network takes it; indices are known to be in range."""
    plans = engine.plans
    engine.categories.open &= not engine.step_count[0]
    indexed = plans.indexed if plans.few > 1 else None
    inputs = checked_inputs(X, engine.net, engine.dtype, take, indexed, engine.categories)
    if set(inputs.kinds.values()) != {"number"}:
        for name, limits in plans.limits(inputs.specs(1, engine.dtype)).items():
            argument = "X" if len(inputs.sources) == 1 else f"X[{name!r}]"
            if inputs.kinds[name] == "length":
                argument = name
            arrays.check_range(argument, inputs.array(name), limits)
    if plans.few > 1:
        _check_computed(engine, inputs)
    return inputs


def _check_computed(engine: Engine, inputs: Inputs) -> None:
    """Indices that the network computes of its inputs are in range, for all rows."""
    plans, one_row = engine.plans, inputs.specs(1, engine.dtype)
    plans.output_shape(one_row)
    # Of a single row some copies are views, whose indices have limits instead.
    most = max(min(plans.rows_a_pass(one_row, MOST_ROWS), inputs.rows), plans.few)
    check = plans.index_check(one_row, most)
    if check is None:
        return
    executor, indices = check
    sources = Inputs({name: inputs.sources[name] for name in indices.inputs}, inputs.kinds)
    for start in range(0, inputs.rows, most):
        rows = min(most, inputs.rows - start)
        with np.errstate(all="ignore"):
            for name, array in sources.batch(slice(start, start + rows)).items():
                indices.inputs[name][:rows] = array
        executor.run(1, engine.threads)
        for index, size in indices.ranges:
            if size == NO_LIMIT:
                continue
            # Rows of the batch before may stand behind.
            found = index.reshape(most, -1)[:rows]
            wrong = (found < 0) | (found >= size)
            if wrong.any():
                row, element = map(int, np.argwhere(wrong)[0])
                names = " and ".join(
                    "X" if len(inputs.sources) == 1 else f"X[{name!r}]" for name in sources.sources
                )
                raise ValueError(
                    f"{names} at row {start + row} leads to the index {found[row, element]}, expected 0 to {size - 1}"
                )


def checked_data(
    engine: Engine, X: Any, y: Any, sample_weight: Any, class_weight: Any = None, take: Take = arrays.stored
) -> tuple[Inputs, Rows, np.ndarray | None]:
    """Inputs, targets and the weights of the rows; ValueError or TypeError says what does not fit.

    take: how X is checked, see data/inputs.py.
    """
    streams = X if isinstance(X, Streams) else None
    if streams is not None:
        if y is not None or sample_weight is not None:
            raise ValueError(
                "X are Streams, but y or sample_weight is given, expected targets in them: Streams(X, y)"
            )
        X, y = streams.rows(streams.X), streams.rows(streams.y)
    inputs = taken(engine, X, take)
    inputs.streams = streams.batch if streams else 0
    for source in inputs.sources.values():
        if not len(source):
            raise ValueError(f"X is empty (shape {source.shape}), expected at least one row and one feature")
    output = engine.plans.output_shape(inputs.specs(1, engine.dtype))
    if engine.loss_function:
        for name, value in (("sample_weight", sample_weight), ("class_weight", class_weight)):
            if value is not None:
                raise ValueError(f"{name} is given, but the loss is a callable: weight the rows inside it")
        if any(isinstance(source, SparseRows) for source in inputs.sources.values()):
            raise TypeError("X is a sparse matrix, but the loss is a callable; expected X.toarray()")
        return inputs, targets.own_targets(y, inputs.rows), None
    target = targets.targets(y, engine.loss, output, engine.dtype, inputs.rows)
    shape = targets.weight_shape(engine.loss, targets.target_of(target))
    classes = output[-1] if isinstance(output, tuple) and output else 0
    weight = targets.row_weights(
        sample_weight, class_weight, target, engine.dtype, classes, shape, inputs.lengths
    )
    return inputs, target, weight


def checked_validation(engine: Engine, validation_data: Any) -> tuple[Any, ...]:
    """What is evaluated after each epoch; () for nothing."""
    if validation_data is None:
        return ()
    if isinstance(validation_data, Streams):
        validation_data = validation_data, None
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3, 4):
        described = f"a {type(validation_data).__name__}" + (
            f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        )
        raise ValueError(
            f"validation_data is {described}, expected a tuple (X, y), (X, y, sample_weight) or (X, y, sample_weight, lengths),"
            " or a sequence of the first two"
        )
    X, y, weight, lengths = (*validation_data, None, None)[:4]
    try:
        if not isinstance(X, Streams):
            X, y = with_targets(X, y, lengths, engine.net)
        inputs, target, checked_weight = checked_data(engine, X, y, weight)
        check_weighed(checked_weight, weight, None)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None
    return inputs, target, checked_weight


def check_weighed(weight: np.ndarray | None, sample_weight: Any, class_weight: Any) -> None:
    """At least one row has to count; the message names the argument that leaves none."""
    if weight is None or weight.any():
        return
    if sample_weight is not None and not np.any(sample_weight):
        raise ValueError("sample_weight is 0 everywhere, expected at least one row that counts")
    raise ValueError(
        f"class_weight is {class_weight!r:.80}, so that no row of y counts; expected at least one that does"
    )

"""What an engine computes one pass at a time: forward, backward, update, a training step, predict."""

from typing import Any

import numpy as np

from ..backends import Executor
from ..data import arrays, targets
from ..data.inputs import Inputs
from ..data.order import row_order
from ..data.sparse import SparseRows
from ..described import Adjustable
from ..program import Rows, Several, as_given, on_each
from ..system.exclusive import in_a_step, in_training
from .engine import Engine
from .inputs import taken
from .nonfinite import raise_non_finite
from .own_loss import step_with_function
from .step import step, update

# The most rows that one pass of `predict` takes, and that one pass over a sparse matrix takes.
MOST_ROWS = 512
SPARSE_ROWS = 1024


def forward(engine: Engine, x: Any) -> Any:
    """The output (a dict or tuple of several) for one batch as in training (dropout, batch statistics); `backward` may follow."""
    engine.refresh()
    engine.begin()
    inputs = batch_of(engine, x)
    plan = engine.plans.own_loss(inputs.specs(inputs.rows, engine.dtype))
    engine.last_pass = engine.plans.trained = plan
    engine.to_apply = None
    for name, rows in inputs.sources.items():
        plan.inputs[name][...] = rows
    executor = engine.plans.executor(
        plan, "forward", lambda: engine.backend.compile([*plan.forward, *plan.kept])
    )
    executor.run(1, engine.threads)
    return as_given(plan.out.copy())


def backward(engine: Engine, dout: Any) -> np.ndarray | dict[str, np.ndarray]:
    """Backpropagate the gradient of the output of the last `forward`: fills the gradients of the parameters.

    Returns the gradient of x, of several inputs a dict; 0 where nothing flows back.
    """
    plan = engine.last_pass
    if plan is None:
        raise RuntimeError("backward() needs a forward(x, training=True) before it")
    plan.dout[...] = like_output("dout", dout, plan.out, engine.dtype)
    engine.plans.executor(plan, "backward", lambda: engine.backend.compile(plan.backward)).run(
        1, engine.threads
    )
    engine.to_apply = plan
    for table in plan.tables:
        table.fill()
    inputs = {name: x for name, x in plan.inputs.items() if name in engine.net.takes}
    dx = {name: plan.dx[name].copy() if name in plan.dx else np.zeros_like(x) for name, x in inputs.items()}
    return dx if len(dx) > 1 else next(iter(dx.values()))


def like_output(name: str, value: Any, out: Rows, dtype: np.dtype[Any]) -> Rows:
    """The gradient of an output that a user gives, arranged like it, in the model's dtype."""
    if isinstance(out, Several):
        several = out.like(value)
        if several is None:
            raise ValueError(
                f"{name} is a {type(value).__name__}, expected {out.kind()} like the network's output"
            )
        parts = {
            key: like_output(name + out.label(key), several.parts[key], part, dtype)
            for key, part in out.parts.items()
        }
        return Several(parts, out.named)
    array = arrays.as_array(name, value)
    if array.shape != out.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {out.shape} like the network's output")
    return arrays.quiet_cast(array, dtype)


def apply_update(engine: Engine, loss: float = 0.0) -> None:
    """One optimizer step with the gradients of the last `backward`; `loss` only serves the check for NaN."""
    if np.ndim(loss) or np.asarray(loss).dtype.kind not in "fiu":
        raise TypeError(f"loss is {loss!r}, expected one number")
    if engine.to_apply is None:
        raise RuntimeError("update() needs a backward(dout) before it")
    engine.refresh()
    # A setting may have changed since, with which the plans begin anew.
    plan = engine.to_apply if engine.flat.sparse else None
    if engine.plans.updating is None or plan is not engine.plans.updating[2]:
        loss_buffer = np.zeros(1)
        instructions = update(engine, loss_buffer, engine.counters(), plan=plan, count=np.ones(1))
        engine.plans.updating = engine.backend.compile(instructions, engine.halt), loss_buffer, plan
    executor, loss_buffer, _ = engine.plans.updating
    loss_buffer[0] = loss
    if executor.run(1, engine.threads) < 1:
        raise_non_finite(engine, engine.to_apply)
    engine.to_apply = None


def train_step(engine: Engine, x: Any, y: Any) -> float:
    """One training step on one batch; returns its loss before the update."""
    engine.refresh()
    engine.begin()
    inputs = batch_of(engine, x)
    if engine.loss_function:
        return step_with_function(engine, inputs, y)
    specs = inputs.specs(inputs.rows, engine.dtype)
    y = targets.targets(y, engine.loss, engine.plans.output_shape(specs), engine.dtype, inputs.rows)
    plan = engine.plans.training(specs, targets.target_of(y))

    def compiled() -> Executor:
        return engine.backend.compile(step(plan, engine, engine.counters()), engine.halt)

    executor = engine.plans.executor(plan, "step", compiled)
    engine.plans.trained = plan
    for name, rows in inputs.sources.items():
        plan.inputs[name][...] = rows
    plan.target[...] = y
    if executor.run(1, engine.threads) < 1:
        for name, array in plan.inputs.items():
            if array.dtype.kind == "f":
                arrays.check_finite(name, array)
        raise_non_finite(engine, plan)
    return float(plan.loss[0])


def predict(engine: Engine, X: Any) -> Any:
    """The network's output for every row of X, as for inference: (N, ...), or a dict or tuple of several."""
    usage = engine.usage
    if usage.training:
        _check_thread(engine)
    # As @computing does, but without a call, and faster than `with`.
    usage.lock.acquire()
    try:
        if usage.computing:
            raise in_a_step()
        usage.computing = True
        try:
            if engine.changes != Adjustable.changes[0]:
                engine.refresh()
            plans, threads = engine.plans, engine.threads
            out = plans.last_inference(X, threads)
            if out is None:
                out = plans.infer_known(X, threads)
            if out is not None:
                return out
            return as_given(predict_inputs(engine, taken(engine, X, rows_as_they_are)))
        finally:
            usage.computing = False
    finally:
        usage.lock.release()


def predict_inputs(engine: Engine, inputs: Inputs, lengths: dict[int, np.ndarray] | None = None) -> Rows:
    """`predict` for checked inputs, within a call that holds the engine.

    lengths: what to fill with those of rows of so many steps, each (N,), as `Plan.lengths_by_steps`.
    """
    plans, one_row = engine.plans, inputs.specs(1, engine.dtype)
    if inputs.streams:
        return _predict_streams(engine, inputs)
    shape = plans.output_shape(one_row)
    out: Rows = on_each(lambda row: np.empty((inputs.rows, *row), engine.dtype), shape)
    sparse = any(isinstance(source, SparseRows) for source in inputs.sources.values())
    most = len(out) if plans.whole_batch else plans.rows_a_pass(one_row, SPARSE_ROWS if sparse else MOST_ROWS)
    if sparse:
        return _predict_sparse(engine, inputs, out, most)
    start = 0
    while start < len(out):  # in powers of two: few programs, and no row is computed for nothing
        rows_left = len(out) - start
        rows = most if rows_left >= most else 1 << (rows_left.bit_length() - 1)
        executor, plan = plans.infer(inputs.specs(rows, engine.dtype))
        with np.errstate(all="ignore"):  # in their dtype numbers may be too large for the model's
            for name, array in inputs.batch(slice(start, start + rows)).items():
                plan.inputs[name][...] = array
        executor.run(1, engine.threads)
        out[start : start + rows] = plan.out
        if lengths is not None:
            for steps, told in plan.lengths_by_steps.items():
                of_rows = lengths.setdefault(steps, np.empty(inputs.rows, told.dtype))
                of_rows[start : start + rows] = told
        start += rows
    return out


def _predict_streams(engine: Engine, inputs: Inputs) -> Rows:
    """The output for rows that go on from batch to batch, from the start."""
    size, plans = inputs.streams, engine.plans
    shape = plans.output_shape(inputs.specs(1, engine.dtype))
    out: Rows = on_each(lambda row: np.empty((inputs.rows, *row), engine.dtype), shape)
    plan = plans.inference(inputs.specs(size, engine.dtype), plans.carried(size))
    executor = plans.executor(plan, "forward", lambda: engine.backend.compile(plan.forward))
    plans.carried(size).reset()
    for start in range(0, inputs.rows, size):
        for name, array in inputs.batch(slice(start, start + size)).items():
            plan.inputs[name][...] = array
        executor.run(1, engine.threads)
        out[start : start + size] = plan.out
    return out


def batch_of(engine: Engine, x: Any) -> Inputs:
    """The rows of one pass in the model's dtype, at least one."""
    inputs = taken(engine, x, quiet_features)
    for name, source in inputs.sources.items():
        argument = "x" if len(inputs.sources) == 1 else f"x[{name!r}]"
        if isinstance(source, SparseRows):
            raise TypeError(f"{argument} is a sparse matrix, expected a dense batch: {argument}.toarray()")
        if not len(source):
            raise ValueError(f"{argument} is empty (shape {source.shape}), expected at least one row")
    return Inputs({**inputs.batch(slice(None))}, inputs.kinds)


def quiet_features(X: Any, dtype: Any, name: str) -> np.ndarray:
    """A batch in the model's dtype, not checked for NaN: the guard of a step does that."""
    return arrays.features(X, dtype, name, check=False)


def rows_as_they_are(X: Any, dtype: Any, name: str) -> np.ndarray:
    """Rows to predict: not checked for NaN, which gives NaN."""
    return arrays.rows_of(X, name)


def _predict_sparse(engine: Engine, inputs: Inputs, out: Rows, most: int) -> Rows:
    """The output of a network that begins with a linear layer for a sparse X, which is read in place."""
    (name, rows), *_ = inputs.sources.items()
    assert isinstance(rows, SparseRows)
    size = min(len(rows), most)
    plan = engine.plans.inference(inputs.specs(size, engine.dtype))
    index, cursor = row_order(len(rows)), np.zeros(1, np.int64)
    program = engine.backend.compile(rows.read(plan.forward, plan.inputs[name], index, cursor))
    for start in range(0, len(rows), size):
        cursor[0] = start
        program.run(1, engine.threads)
        batch = out[start : start + size]
        batch[...] = plan.out[: len(batch)]
    return out


def _check_thread(engine: Engine) -> None:
    from threading import get_ident

    if engine.usage.training != get_ident():
        raise in_training()

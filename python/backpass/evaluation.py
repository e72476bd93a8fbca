"""Data checked against a model, and the loss and metric of its predictions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import data
from .program import Builder, Tensor

if TYPE_CHECKING:
    from .model import Model

Take = Callable[[Any, Any], np.ndarray]


def checked_data(
    model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any = None, take: Take = data.stored
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X, y and the weights of the rows as a run or an evaluation takes them; ValueError or TypeError says what does not fit.

    take: how X is checked: data.stored, as a run reads it; data.readable, as `predict` does; data.features, in the model's dtype.
    """
    X = take(X, model.dtype)
    if not X.size:
        raise ValueError(f"X is empty (shape {X.shape}), expected at least one row and one feature")
    output = model.programs.output_shape(X.shape[1:])
    if model.callable_loss:
        for name, given in (("sample_weight", sample_weight), ("class_weight", class_weight)):
            if given is not None:
                raise ValueError(f"{name} is given, but the loss is a callable: weight the rows inside it")
        return X, data.own_targets(y, len(X)), None
    target = data.targets(y, model.loss, output, model.dtype, len(X))
    weight = data.row_weights(sample_weight, class_weight, target, model.dtype, output[-1])
    if weight is not None and not weight.any():
        raise ValueError("sample_weight is 0 everywhere, expected at least one row that counts")
    return X, target, weight


def checked_validation(model: "Model", validation_data: Any) -> tuple[Any, ...]:
    """What `evaluate` gets after each epoch; () for nothing."""
    if validation_data is None:
        return ()
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        what = f"a {type(validation_data).__name__}" + (
            f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        )
        raise ValueError(f"validation_data is {what}, expected a tuple (X, y) or (X, y, sample_weight)")
    X, y, *weight = validation_data
    try:
        return checked_data(model, X, y, weight[0] if weight else None)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None


def evaluated(
    model: "Model", X: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None
) -> dict[str, float]:
    """Loss and metric of checked data."""
    pred = model.predict(X)
    if model.callable_loss:
        from .custom import call_loss

        return {"loss": call_loss(model, pred, target)[0]}
    builder = Builder(model.dtype, training=False)
    loss, _ = model.loss.emit(builder, Tensor(pred), target, weight)
    model.backend.compile(builder.instructions).run(1, model.threads)
    logs = {"loss": float(loss.array[0])}
    if model.loss.metric:
        correct = model.loss.correct(pred, target)
        counts = np.ones(len(pred)) if weight is None else weight.reshape(len(pred), -1)[:, 0]
        each = np.broadcast_to(counts.reshape(-1, *[1] * (correct.ndim - 1)), correct.shape)
        if target.dtype == np.int64:  # what the loss ignores does not count here either
            each = each * ((target >= 0) & (target < pred.shape[-1]))
        logs[model.loss.metric] = float(np.average(correct, weights=each)) if each.any() else 0.0
    return logs

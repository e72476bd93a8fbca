"""The metrics of what a model has given for some rows, in training as in evaluation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engine.engine import Engine
from ..losses import Loss
from ..losses.base import ClassLoss
from ..program import Builder, InputSpec, Rows, Tensor, as_given, on_each

if TYPE_CHECKING:
    from ..metrics import Metrics


class Seen(NamedTuple):
    """Outputs and checked targets of rows, their weights, None where all are 1, and their lengths by the steps of the outputs."""

    pred: Rows
    target: Rows
    weight: np.ndarray | None
    lengths: dict[int, np.ndarray]

    def ordered(self, order: np.ndarray) -> "Seen":
        """The rows in another order."""
        return Seen(
            on_each(lambda array: array[order], self.pred),
            on_each(lambda array: array[order], self.target),
            None if self.weight is None else self.weight[order],
            {steps: lengths[order] for steps, lengths in self.lengths.items()},
        )

    @classmethod
    def joined(cls, several: Sequence["Seen"]) -> "Seen":
        """The rows of several data sets of one shape, one behind the other; where one has lengths, all steps of others count."""
        weights: Any = None
        if any(seen.weight is not None for seen in several):
            shape = next(seen.weight.shape[1:] for seen in several if seen.weight is not None)
            weights = np.concatenate(
                [
                    np.ones((len(seen.target), *shape)) if seen.weight is None else seen.weight
                    for seen in several
                ]
            )
        lengths = {
            steps: np.concatenate(
                [seen.lengths.get(steps, np.full(len(seen.target), steps)) for seen in several]
            )
            for steps in dict.fromkeys(steps for seen in several for steps in seen.lengths)
        }
        return cls(
            on_each(lambda *arrays: np.concatenate(arrays), *(seen.pred for seen in several)),
            on_each(lambda *arrays: np.concatenate(arrays), *(seen.target for seen in several)),
            weights,
            lengths,
        )


def tensors(engine: Engine, inputs: tuple[InputSpec, ...], seen: Seen) -> Any:
    """The outputs as a loss takes them: each knows the dimension along which its steps lie. inputs: of a single row."""
    tensor = on_each(Tensor, seen.pred)
    if seen.lengths:
        on_each(_mark, tensor, engine.plans.along(inputs))
    return tensor


def _mark(pred: Tensor, along: int) -> None:
    pred.along = along


def measured(
    engine: Engine, metrics: "Metrics", inputs: tuple[InputSpec, ...], seen: Seen
) -> dict[str, float]:
    """Each metric by its name in the logs. inputs: of a single row."""
    from ..metrics.pairs import outputs_last  # here: `import backpass` is to be quick

    tensor, along = tensors(engine, inputs, seen), engine.plans.outputs_along(inputs)
    padded = bool(seen.lengths)
    found: dict[str, float] = {}
    for prefix, name, loss, chosen in metrics.outputs:
        values: tuple[Any, ...] = tensor, seen.target, along
        pred, target, at = (value.parts[name] if name else value for value in values)
        arrays = as_given(on_each(lambda one: one.array, pred)), as_given(target)
        weight = weighed(engine, loss, pred, target, seen) if chosen else None
        for metric in chosen:
            # A function gets steps that count as rows of outputs, all else as it is.
            turns = metric.apart or (metric.own and padded and not isinstance(loss, ClassLoss))
            own, y, weights = outputs_last(*arrays, weight, at) if turns else (*arrays, weight)
            found[prefix + metric.name] = metric.compute(loss, own, y, weights, padded)
    return found


def weighed(engine: Engine, loss: Loss | None, pred: Any, target: Any, seen: Seen) -> np.ndarray | None:
    """The weights of the targets as the loss weighs them: 0 behind the end of a row."""
    if loss is None or (seen.weight is None and not seen.lengths):
        return seen.weight
    weight = None if seen.weight is None else seen.weight.astype(engine.dtype, copy=False)
    told = {steps: Tensor(array) for steps, array in seen.lengths.items()}
    builder = Builder(engine.dtype, training=False, lengths_by_steps=told)
    weight = loss.weigh(builder, pred, target, weight)
    if builder.instructions:
        engine.backend.compile(builder.instructions).run(1, engine.threads)
    return weight

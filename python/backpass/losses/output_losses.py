"""OutputLosses: a loss for each of several outputs, and the weighted sum of them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..checks import real
from ..ops import expression, sum_losses
from ..program import Builder, Several, Tensor
from .base import Loss


class OutputLosses(Loss):
    """Losses of several outputs: Σ weight · loss(output, its target); what a list or a dict of losses becomes in bp.Model.

    Args:
        losses: for each output a loss object, a list for a tuple of outputs, a dict for a dict of them.
        weights: for each output a number of at least 0, arranged alike; default None: 1 for each. A dict may leave some out.

    Shapes: those of the losses; y is a tuple or a dict of targets, arranged like the outputs.

    Raises:
        ValueError: no losses, a weight out of range or of no output. TypeError: a loss that is none.

    Example:
        >>> bp.losses.OutputLosses([nn.MSELoss(), nn.CrossEntropyLoss()], weights=[1, 0.5])
        OutputLosses([MSELoss(), CrossEntropyLoss()], weights=[1, 0.5])
    """

    weighs_rows = True

    def __init__(
        self,
        losses: Sequence[Loss] | Mapping[str, Loss],
        weights: Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(losses, Mapping | list | tuple):
            raise TypeError(
                f"OutputLosses: losses is {losses!r:.80}, expected a list or a dict with a loss for each output"
            )
        self.losses = Several.of(losses)
        if not self.losses.parts:
            raise ValueError("OutputLosses: losses is empty, expected a loss for each output")
        for name, loss in self.losses.parts.items():
            if not isinstance(loss, Loss) or isinstance(loss, OutputLosses):
                raise TypeError(
                    f"OutputLosses: losses{self.losses.label(name)} is {loss!r:.80}, expected a loss object"
                )
        self._weights = self._checked_weights(weights)

    def _checked_weights(self, given: Any) -> dict[str, float]:
        if given is None:
            return dict.fromkeys(self.losses.parts, 1.0)
        arranged = Several.of(given) if isinstance(given, Mapping | list | tuple) else None
        names = {*self.losses.parts}
        if (
            arranged is None
            or {*arranged.parts} - names
            or (not arranged.named and {*arranged.parts} != names)
        ):
            raise ValueError(
                f"OutputLosses: weights is {given!r:.80}, expected a number for each of {self.losses}"
            )
        for name, weight in arranged.parts.items():
            if not 0 <= real(weight) < np.inf:
                raise ValueError(
                    f"OutputLosses: weights{arranged.label(name)} is {weight!r}, expected a finite number of at least 0"
                )
        return {name: float(arranged.parts.get(name, 1.0)) for name in self.losses.parts}

    @property
    def weights(self) -> Mapping[str, float]:
        """What each loss counts, by the name of its output; to change them, assign all: loss.weights = {...}."""
        return MappingProxyType(self._weights)

    @property
    def version(self) -> int:  # type: ignore[override]
        own: int = self.__dict__.get("version", 0)
        return own + sum(int(loss.version) for loss in self.losses.parts.values())

    def parts(self, y: Any, output: Any) -> Several:
        self._fits(output)
        given = Several.of(y) if isinstance(y, Mapping | list | tuple) else None
        if given is None or {*given.parts} != {*self.losses.parts}:
            held = [*given.parts] if given is not None and given.named else f"a {type(y).__name__}"
            raise ValueError(f"y is {held}, expected {self.losses.kind()}: the targets of each output")
        parts = {
            name: (loss, given.parts[name], output.parts[name]) for name, loss in self.losses.parts.items()
        }
        return Several(parts, self.losses.named)

    def of_outputs(self) -> list[tuple[str, str, Loss]]:
        named = self.losses.named
        return [(name if named else f"output_{name}", name, loss) for name, loss in self.losses.parts.items()]

    def _fits(self, output: Any) -> None:
        if not self.losses.fits(output):
            outputs = output.kind() + " of outputs" if isinstance(output, Several) else "one output"
            raise ValueError(
                f"the network has {outputs}, but loss is {self.losses.kind()}, expected a loss for each"
            )

    def emit(
        self, builder: Builder, pred: Any, target: Any, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        self._fits(pred)
        total = count = None
        for name, loss in self.losses.parts.items():
            weight = self.weights[name]
            value, count_of_one = loss.emit(
                builder,
                _weighed(builder, pred.parts[name], weight),
                target.parts[name],
                loss.weigh(builder, pred.parts[name], target.parts[name], sample_weight),
            )
            total = builder.run(sum_losses, part=value, before=total, weight=weight)
            # A batch counts in the mean of an epoch by what its outputs count.
            count = builder.run(sum_losses, part=count_of_one, before=count)
        assert total is not None
        assert count is not None
        return total, count


def _weighed(builder: Builder, pred: Tensor, weight: float) -> Tensor:
    """pred, whose gradient is multiplied by a weight on its way back."""
    if weight == 1:
        return pred
    twin = Tensor(pred.array, pred.requires_grad)

    def backward(dy: Tensor) -> None:
        builder.add_gradient(pred, builder.run(expression, a=dy, steps=f"y = mul a {weight!r}"))

    return builder.record(twin, backward)

"""bp.loss_surface: the loss around a model's weights, along two directions."""

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from ..checks import real, whole
from ..checks import seed as checked_seed
from ..drawing.surface import contours
from ..engine.weights import frozen
from ..model import Model
from .critical_points import critical_points
from .directions import given_directions, random_direction

Directions = Sequence[Mapping[str, Any]]


class LossSurface:
    """What `bp.loss_surface` found: the loss on a grid, where (0, 0) are the model's weights.

    Attributes:
        steps: (P,) how far the grid goes along each direction.
        loss: (P, P), by rows the steps along the second direction, by columns those along the first.
        directions: two dicts of arrays, by the names of `named_parameters`.
        minima, saddles: points (a, b) of the grid, a along the first direction, at which the paraboloid that is nearest to the
            point and its eight neighbours is level. It curves up from a minimum, from a saddle also down. The floor of a valley
            is neither.

    Example:
        >>> surface = bp.loss_surface(model, X, y, points=5)
        >>> figure = surface.plot()
    """

    def __init__(self, steps: np.ndarray, loss: np.ndarray, directions: list[dict[str, np.ndarray]]) -> None:
        self.steps, self.loss, self.directions = steps, loss, directions
        self.minima, self.saddles = critical_points(steps, loss)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Lines of equal loss, the model's weights, and the minima and saddles of the grid.

        Args:
            path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

        Returns the matplotlib figure. Raises ImportError where matplotlib is missing.
        """
        return contours(self.steps, self.loss, self.minima, self.saddles, path)

    def __repr__(self) -> str:
        low, high = np.nanmin(self.loss), np.nanmax(self.loss)
        points = len(self.steps)
        return (
            f"LossSurface({points} x {points} points, loss {low:.4g} to {high:.4g}, minima {len(self.minima)}, saddles"
            f" {len(self.saddles)})"
        )


def loss_surface(
    model: Model,
    X: Any,
    y: Any = None,
    *,
    points: int = 25,
    span: float = 1.0,
    directions: Directions | None = None,
    seed: int = 0,
    sample_weight: Any = None,
    lengths: Any = None,
) -> LossSurface:
    """Loss(w + a d1 + b d2) for a and b from -span to span: a slice through the surface that training goes down.

    d1 and d2 are random, each filter scaled to the norm of the model's own: ‖d_i‖ = ‖w_i‖ for row i of each weight; biases and
    vectors such as those of normalisations stay as they are (Li et al. 2018). Frozen parameters stay, too. A copy of the model
    computes the losses, as `evaluate` does; the model stays as it is.

    Args:
        model: a bp.Model.
        X, y: as in `Model.evaluate`; it is called for each point, so that some hundred rows serve.
        points: along each direction, an odd number of at least 3, default 25: points² losses in all.
        span: how far the grid goes, above 0, default 1: as far as the weights are from 0.
        directions: two dicts of arrays by names of `named_parameters`, in their shapes, taken as they are, in the place of random
            ones; parameters that are not named stay. Default None.
        seed: of the random directions, default 0.
        sample_weight, lengths: as in `Model.evaluate`, default None.

    Returns a LossSurface: `loss`, `steps`, `minima`, `saddles`, `plot()`.

    Raises:
        TypeError, ValueError: name the argument, what was given and what was expected.

    Example:
        >>> bp.loss_surface(model, X, y, points=5).loss.shape
        (5, 5)
    """
    if not isinstance(model, Model):
        raise TypeError(f"model is {model!r:.80}, expected a bp.Model")
    count, reach = whole("points", points, 3, 1001), real(span)
    if count % 2 == 0:
        raise ValueError(f"points is {points!r}, expected an odd number, so that the model is among them")
    if not 0 < reach < np.inf:
        raise ValueError(f"span is {span!r:.80}, expected a finite number above 0")
    copy = deepcopy(model)
    named = dict(copy.named_parameters())
    weights = {name: array.astype(np.float64) for name, array in named.items()}
    generator = np.random.default_rng(checked_seed(seed))
    if directions is None:
        still = {*frozen(copy.net)}
        drawn = [random_direction(weights, still, generator) for _ in range(2)]
    else:
        drawn = given_directions(directions, weights)
    steps = np.linspace(-reach, reach, count)
    loss = np.empty((count, count))
    for row, b in enumerate(steps):
        for column, a in enumerate(steps):
            for name, array in named.items():
                array[...] = weights[name] + a * drawn[0][name] + b * drawn[1][name]
            loss[row, column] = copy.evaluate(X, y, sample_weight, lengths, metrics=[])["loss"]
    return LossSurface(steps, loss, drawn)

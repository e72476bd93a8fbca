"""Gradients by brute force: central finite differences in float64."""

from collections.abc import Callable

import numpy as np

import backpass as bp

STEP = 1e-6


def numeric(f: Callable[[], float], x: np.ndarray) -> np.ndarray:
    """∂f/∂x."""
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        keep = x[i]
        x[i] = keep + STEP
        up = f()
        x[i] = keep - STEP
        out[i] = (up - f()) / (2 * STEP)
        x[i] = keep
    return out


def check_gradients(model: bp.Model, x: dict[str, np.ndarray]) -> None:
    """All parameters and inputs of a float64 model, by its training forward pass: of Σ R · out for a random R."""
    weight = np.random.default_rng(3).standard_normal(model.forward(x, training=True).shape)

    def value() -> float:
        return float((model.forward(x, training=True) * weight).sum())

    value()
    dx = model.backward(weight)
    dx = dx if isinstance(dx, dict) else dict(zip(x, [dx], strict=True))
    numbers = {name: array for name, array in x.items() if array.dtype.kind == "f"}
    arrays = [*model.named_parameters(), *numbers.items()]
    gradients = [g.copy() for g in (*model.gradients(), *(dx[name] for name in numbers))]
    for (name, array), gradient in zip(arrays, gradients, strict=True):
        want = numeric(value, array)
        worst = np.abs(gradient - want) / np.maximum(1, np.abs(want))
        assert worst.max(initial=0) <= 1e-6, f"{name}: {gradient} against {want}"

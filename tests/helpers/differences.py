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


def check_gradients(model: bp.Model, x: np.ndarray) -> None:
    """All parameters and the input of a float64 model, by its training forward pass, for a random R: of Σ R · out."""
    weight = np.random.default_rng(3).standard_normal(model.forward(x, training=True).shape)

    def value() -> float:
        return float((model.forward(x, training=True) * weight).sum())

    value()
    dx = model.backward(weight)
    gradients = [g.copy() for g in (*model.gradients(), dx)]
    names = [*(name for name, _ in model.named_parameters()), "x"]
    for name, array, gradient in zip(names, [*model.parameters(), x], gradients, strict=True):
        want = numeric(value, array)
        worst = np.abs(gradient - want) / np.maximum(1, np.abs(want))
        assert worst.max(initial=0) <= 1e-6, f"{name}: {gradient} against {want}"

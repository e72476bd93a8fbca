"""Activations and pointwise losses: value and slope as pure functions, element by element.

The mathematics of `csrc/kernels/formulas.hpp`, written for people: NumPy evaluates these functions on arrays, Numba compiles
the same functions for scalars, and in float64 they are the oracle of every test.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# A float or an array of them: every formula works on both.
Value = Any
# Beyond it softplus(z) equals z to the last bit that matters (PyTorch's default).
SOFTPLUS_THRESHOLD = 20.0

# NumPy has none; Numba and C++ bring their own.
erf = np.vectorize(math.erf, otypes=[np.float64])


class Activation(NamedTuple):
    """One activation: y = value(z, alpha); slope(s, alpha) = dy/dz, where s is y, or z if `stores_slope`.

    Where the slope cannot be had from y (GELU, SiLU), the forward pass stores the slope itself for the backward pass.

    idle: how a unit stops learning: "dead" where y is 0 for every row, "saturated" near the ends of its range; "" for neither.
    """

    value: Callable[[Value, float], Value]
    slope: Callable[[Value, float], Value]
    stores_slope: bool = False
    idle: str = ""
    range: tuple[float, float] = (-math.inf, math.inf)


class Pointwise(NamedTuple):
    """One pointwise loss: value(p, t, alpha) for prediction p and target t, and its slope with respect to p."""

    value: Callable[[Value, Value, float], Value]
    slope: Callable[[Value, Value, float], Value]


def sigmoid(z: Value) -> Value:
    """1 / (1 + e^-z), without overflow for any z."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def log1p_exp(z: Value) -> Value:
    """log(1 + e^z), without overflow for any z."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def identity(z: Value, alpha: float) -> Value:
    return z


def identity_slope(y: Value, alpha: float) -> Value:
    return y * 0 + 1


def relu(z: Value, alpha: float) -> Value:
    return np.where(z < 0, 0 * alpha, z)  # not maximum(): a NaN passes through on every backend


def relu_slope(y: Value, alpha: float) -> Value:
    return y > 0


def leaky_relu(z: Value, alpha: float) -> Value:
    return np.where(z < 0, alpha * z, z)


def leaky_relu_slope(y: Value, alpha: float) -> Value:
    return np.where(y > 0, 1.0, alpha)


def tanh(z: Value, alpha: float) -> Value:
    return np.tanh(z)


def tanh_slope(y: Value, alpha: float) -> Value:
    return 1 - y * y


def logistic(z: Value, alpha: float) -> Value:
    return sigmoid(z)


def logistic_slope(y: Value, alpha: float) -> Value:
    return y * (1 - y)


def elu(z: Value, alpha: float) -> Value:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_slope(y: Value, alpha: float) -> Value:
    return np.where(y > 0, 1.0, y + alpha)


def softplus(z: Value, alpha: float) -> Value:
    return np.where(alpha * z > SOFTPLUS_THRESHOLD, z, log1p_exp(alpha * z) / alpha)


def softplus_slope(y: Value, alpha: float) -> Value:
    return np.where(alpha * y > SOFTPLUS_THRESHOLD, 1.0, -np.expm1(-alpha * y))


def gelu(z: Value, alpha: float) -> Value:
    return 0.5 * z * (1 + erf(z * math.sqrt(0.5)))


def gelu_slope(z: Value, alpha: float) -> Value:
    return 0.5 * (1 + erf(z * math.sqrt(0.5))) + z * np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


def gelu_tanh(z: Value, alpha: float) -> Value:
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)))


def gelu_tanh_slope(z: Value, alpha: float) -> Value:
    t = np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)


def silu(z: Value, alpha: float) -> Value:
    return z * sigmoid(z)


def silu_slope(z: Value, alpha: float) -> Value:
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(identity, identity_slope),
    "relu": Activation(relu, relu_slope, idle="dead", range=(0, math.inf)),
    "leaky_relu": Activation(leaky_relu, leaky_relu_slope),
    "tanh": Activation(tanh, tanh_slope, idle="saturated", range=(-1, 1)),
    "sigmoid": Activation(logistic, logistic_slope, idle="saturated", range=(0, 1)),
    "elu": Activation(elu, elu_slope),
    "softplus": Activation(softplus, softplus_slope),
    "gelu": Activation(gelu, gelu_slope, stores_slope=True),
    "gelu_tanh": Activation(gelu_tanh, gelu_tanh_slope, stores_slope=True),
    "silu": Activation(silu, silu_slope, stores_slope=True),
}


def mse(p: Value, t: Value, alpha: float) -> Value:
    return (p - t) * (p - t)


def mse_slope(p: Value, t: Value, alpha: float) -> Value:
    return 2 * (p - t)


def half_mse(p: Value, t: Value, alpha: float) -> Value:
    return 0.5 * (p - t) * (p - t)


def half_mse_slope(p: Value, t: Value, alpha: float) -> Value:
    return p - t


def l1(p: Value, t: Value, alpha: float) -> Value:
    return np.abs(p - t)


def l1_slope(p: Value, t: Value, alpha: float) -> Value:
    return np.sign(p - t)


def huber(p: Value, t: Value, alpha: float) -> Value:
    d = np.abs(p - t)
    return np.where(d <= alpha, 0.5 * d * d, alpha * (d - 0.5 * alpha))


def huber_slope(p: Value, t: Value, alpha: float) -> Value:
    return np.minimum(np.maximum(p - t, -alpha), alpha)


def smooth_l1(p: Value, t: Value, alpha: float) -> Value:
    d = np.abs(p - t)
    return np.where(d < alpha, 0.5 * d * d / alpha, d - 0.5 * alpha)


def smooth_l1_slope(p: Value, t: Value, alpha: float) -> Value:
    return np.minimum(np.maximum((p - t) / alpha, -1.0), 1.0)


def bce_with_logits(p: Value, t: Value, alpha: float) -> Value:
    """Binary cross entropy of sigmoid(p); alpha weighs the positive class (PyTorch's pos_weight)."""
    return (1 - t) * p + (1 + (alpha - 1) * t) * log1p_exp(-p)


def bce_with_logits_slope(p: Value, t: Value, alpha: float) -> Value:
    return (1 - t) - (1 + (alpha - 1) * t) * sigmoid(-p)


def poisson(p: Value, t: Value, alpha: float) -> Value:
    """Negative log likelihood of a Poisson variable with rate e^p, without the term log t!."""
    return np.exp(p) - t * p


def poisson_slope(p: Value, t: Value, alpha: float) -> Value:
    return np.exp(p) - t


def poisson_rate(p: Value, t: Value, alpha: float) -> Value:
    """The same with rate p; alpha keeps the logarithm finite (PyTorch's eps)."""
    return p - t * np.log(p + alpha)


def poisson_rate_slope(p: Value, t: Value, alpha: float) -> Value:
    return 1 - t / (p + alpha)


def quantile(p: Value, t: Value, alpha: float) -> Value:
    """The pinball loss of quantile alpha (Koenker and Bassett 1978)."""
    return np.maximum(alpha * (t - p), (alpha - 1) * (t - p))


def quantile_slope(p: Value, t: Value, alpha: float) -> Value:
    return np.where(p < t, -alpha, np.where(p > t, 1 - alpha, 0.0))


def hinge(p: Value, t: Value, alpha: float) -> Value:
    """max(0, alpha - t p) for targets -1 and 1; alpha is the margin."""
    return np.maximum(alpha - t * p, 0)


def hinge_slope(p: Value, t: Value, alpha: float) -> Value:
    return np.where(t * p < alpha, -t, 0.0)


def focal(p: Value, t: Value, alpha: float) -> Value:
    """Binary cross entropy of s = sigmoid(p), where (1 - s)^alpha weighs the positives, s^alpha the others (Lin et al. 2017)."""
    a, b = log1p_exp(-p), log1p_exp(p)  # -log s, -log(1 - s)
    return t * np.exp(-alpha * b) * a + (1 - t) * np.exp(-alpha * a) * b


def focal_slope(p: Value, t: Value, alpha: float) -> Value:
    a, b, s, r = log1p_exp(-p), log1p_exp(p), sigmoid(p), sigmoid(-p)
    return (1 - t) * np.exp(-alpha * a) * (alpha * r * b + s) - t * np.exp(-alpha * b) * (alpha * s * a + r)


def soft_nll(p: Value, t: Value, alpha: float) -> Value:
    """-t p for the probability t of a class and its logarithm p in the network's view; 0 where t is, p = -inf included."""
    return np.where(t == 0, 0.0, -t * p)


def soft_nll_slope(p: Value, t: Value, alpha: float) -> Value:
    return -t


POINTWISE: dict[str, Pointwise] = {
    "mse": Pointwise(mse, mse_slope),
    "half_mse": Pointwise(half_mse, half_mse_slope),
    "l1": Pointwise(l1, l1_slope),
    "huber": Pointwise(huber, huber_slope),
    "smooth_l1": Pointwise(smooth_l1, smooth_l1_slope),
    "bce_with_logits": Pointwise(bce_with_logits, bce_with_logits_slope),
    "poisson": Pointwise(poisson, poisson_slope),
    "poisson_rate": Pointwise(poisson_rate, poisson_rate_slope),
    "quantile": Pointwise(quantile, quantile_slope),
    "hinge": Pointwise(hinge, hinge_slope),
    "focal": Pointwise(focal, focal_slope),
    "soft_nll": Pointwise(soft_nll, soft_nll_slope),
}

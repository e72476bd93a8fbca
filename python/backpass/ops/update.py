"""One step of each optimizer: a fused pass over all parameters."""

import math

import numpy as np

from .contract import constant, op, positive

HYPER = {
    "lr": constant(0.1),
    "scale": constant(0.5),
    "step": lambda rng, shape, dims: [3],
    "clip_value": [0.3, math.inf],
    "weight_decay": [0.1],
}


BETAS = {"beta1": [0.9], "beta2": [0.99], "eps": [1e-8]}


def clipped(grads: np.ndarray, scale: np.ndarray, clip_value: float) -> np.ndarray:
    """The gradient that every update starts from: scaled to the norm limit, then limited by value; itself where none applies."""
    g = grads if scale[0] == 1 else grads * grads.dtype.type(scale[0])
    return np.clip(g, -clip_value, clip_value) if clip_value < math.inf else g


def decayed(g: np.ndarray, weight_decay: float, params: np.ndarray) -> np.ndarray:
    """g + λ p; g itself without decay."""
    return g + weight_decay * params if weight_decay else g


@op(
    "params[N] grads[N] velocity[N]? lr[1]:float64 scale[1]:float64 step[1]:int64 -> params velocity",
    samples=HYPER
    | {"momentum": [0.9], "dampening": [0.1], "nesterov": [False, True], "lr_in_velocity": [False, True]},
)
def sgd_step(
    params,
    grads,
    velocity,
    lr,
    scale,
    step,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    lr_in_velocity: bool = False,
    clip_value: float = math.inf,
):
    """g += λ p; v = μ v + (1 - dampening) g (v = g at the first step); p -= lr v, or lr (g + μ v) with Nesterov; no v: lr g.

    lr_in_velocity: lr g takes the place of g, and p -= v, or lr g + μ v.
    """
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    rate = lr.astype(params.dtype)[0]
    if velocity is not None:
        if lr_in_velocity:
            g, rate = rate * g, params.dtype.type(1)
        velocity *= momentum
        velocity += g if step[0] == 0 else (1 - dampening) * g
        g = g + momentum * velocity if nesterov else velocity
    params -= rate * g


def update_moments(params, g, m, v, rate, beta1, beta2, weight_decay, decoupled):
    """What Adam and NAdam share: the decay, then m and v; returns the gradient that went into them."""
    if decoupled:
        params *= 1 - rate * weight_decay
    else:
        g = decayed(g, weight_decay, params)
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    return g


@op(
    "params[N] grads[N] m[N] v[N] max_v[N]? lr[1]:float64 scale[1]:float64 step[1]:int64 -> params m v max_v",
    samples=HYPER
    | BETAS
    | {"v": positive, "max_v": positive, "decoupled": [False, True], "eps_hat": [False, True]},
)
def adam_step(
    params,
    grads,
    m,
    v,
    max_v,
    lr,
    scale,
    step,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    eps_hat: bool = False,
    clip_value: float = math.inf,
):
    """m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²; p -= lr/(1-β1ᵗ) m / (√(v/(1-β2ᵗ)) + eps), t = step + 1.

    L2 decay adds λ p to g; decoupled decay takes lr λ p off p first. max_v, if given, is the largest v so far (AMSGrad).
    eps_hat: eps is added to √v before the correction of its bias, that is, eps/√(1-β2ᵗ) after it.
    """
    rate, t = float(lr[0]), float(step[0] + 1)
    update_moments(
        params, clipped(grads, scale, clip_value), m, v, rate, beta1, beta2, weight_decay, decoupled
    )
    if max_v is not None:
        np.maximum(max_v, v, out=max_v)
    unbias = 1 / math.sqrt(1 - beta2**t)
    root = np.sqrt(v if max_v is None else max_v) * unbias + (eps * unbias if eps_hat else eps)
    params -= rate / (1 - beta1**t) * (m / root)


@op(
    "step[1]:int64 mu_product[1]:float64 -> mu_product coefficients[2]:float64",
    samples={"step": constant(3), "mu_product": positive, "beta1": [0.9], "momentum_decay": [4e-3]},
)
def nadam_momentum(step, mu_product, coefficients, beta1: float = 0.9, momentum_decay: float = 4e-3):
    """μ(t) = β1 (1 - ½ 0.96^(t decay)), t = step + 1; mu_product *= μ(t);

    coefficients = (1 - μ(t)) / (1 - mu_product) of g, and μ(t+1) / (1 - mu_product μ(t+1)) of m.
    """
    t = float(step[0] + 1)
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    following = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    mu_product *= mu
    coefficients[0] = (1 - mu) / (1 - mu_product[0])
    coefficients[1] = following / (1 - mu_product[0] * following)


@op(
    "params[N] grads[N] m[N] v[N] coefficients[2]:float64 lr[1]:float64 scale[1]:float64 step[1]:int64 -> params m v",
    samples=HYPER | BETAS | {"v": positive, "coefficients": positive, "decoupled": [False, True]},
)
def nadam_step(
    params,
    grads,
    m,
    v,
    coefficients,
    lr,
    scale,
    step,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    clip_value: float = math.inf,
):
    """m, v as Adam's; p -= lr (c0 g + c1 m) / (√(v/(1-β2ᵗ)) + eps), t = step + 1, c the coefficients of this step."""
    rate, t = float(lr[0]), float(step[0] + 1)
    g = clipped(grads, scale, clip_value)
    g = update_moments(params, g, m, v, rate, beta1, beta2, weight_decay, decoupled)
    root = np.sqrt(v) * (1 / math.sqrt(1 - beta2**t)) + eps
    params -= (rate * float(coefficients[0]) * g + rate * float(coefficients[1]) * m) / root


@op(
    "params[N] grads[N] v[N] grad_avg[N]? velocity[N]? lr[1]:float64 scale[1]:float64 -> params v grad_avg velocity",
    samples=HYPER
    | {"v": positive, "grad_avg": constant(0.05), "alpha": [0.9], "eps": [1e-8], "momentum": [0.5]}
    | {"eps_inside": [False, True], "lr_in_velocity": [False, True]},
)
def rmsprop_step(
    params,
    grads,
    v,
    grad_avg,
    velocity,
    lr,
    scale,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    eps_inside: bool = False,
    lr_in_velocity: bool = False,
    clip_value: float = math.inf,
):
    """g += λ p; v = α v + (1-α) g²; u = g / (√v + eps); p -= lr u, or lr b with b = μ b + u if there is a velocity.

    With grad_avg (centered): ḡ = α ḡ + (1-α) g, and √max(v - ḡ², 0) in place of √v. eps_inside: u = g / √(v + eps).
    lr_in_velocity: b = μ b + lr u; p -= b.
    """
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    v *= alpha
    v += (1 - alpha) * g * g
    spread = v
    if grad_avg is not None:
        grad_avg += (1 - alpha) * (g - grad_avg)
        spread = np.maximum(v - grad_avg * grad_avg, 0)  # rounding may take a constant gradient's below 0
    u = g / (np.sqrt(spread + eps) if eps_inside else np.sqrt(spread) + eps)
    rate = lr.astype(params.dtype)[0]
    if velocity is not None:
        velocity *= momentum
        velocity += rate * u if lr_in_velocity else u
        u, rate = velocity, params.dtype.type(1) if lr_in_velocity else rate
    params -= rate * u


@op(
    "params[N] grads[N] total[N] lr[1]:float64 scale[1]:float64 step[1]:int64 -> params total",
    samples=HYPER | {"total": positive, "lr_decay": [0.1], "eps": [1e-10]},
)
def adagrad_step(
    params,
    grads,
    total,
    lr,
    scale,
    step,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    clip_value: float = math.inf,
):
    """g += λ p; total += g²; p -= lr / (1 + step lr_decay) · g / (√total + eps)."""
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    total += g * g
    params -= float(lr[0]) / (1 + float(step[0]) * lr_decay) * (g / (np.sqrt(total) + eps))


@op(
    "params[N] grads[N] v[N] delta[N] lr[1]:float64 scale[1]:float64 -> params v delta",
    samples=HYPER | {"v": positive, "delta": positive, "rho": [0.9], "eps": [1e-6]},
)
def adadelta_step(
    params,
    grads,
    v,
    delta,
    lr,
    scale,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    clip_value: float = math.inf,
):
    """g += λ p; v = ρ v + (1-ρ) g²; u = √(delta + eps) / √(v + eps) g; delta = ρ delta + (1-ρ) u²; p -= lr u."""
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    v *= rho
    v += (1 - rho) * g * g
    u = np.sqrt(delta + eps) / np.sqrt(v + eps) * g
    delta *= rho
    delta += (1 - rho) * u * u
    params -= lr.astype(params.dtype)[0] * u


@op(
    "params[N] grads[N] m[N] lr[1]:float64 scale[1]:float64 -> params m",
    samples=HYPER | {"beta1": [0.9], "beta2": [0.99]},
)
def lion_step(
    params,
    grads,
    m,
    lr,
    scale,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    clip_value: float = math.inf,
):
    """p -= lr λ p; p -= lr sign(β1 m + (1-β1) g); m = β2 m + (1-β2) g."""
    rate = float(lr[0])
    g = clipped(grads, scale, clip_value)
    params *= 1 - rate * weight_decay
    params -= rate * np.sign(beta1 * m + (1 - beta1) * g)
    m *= beta2
    m += (1 - beta2) * g

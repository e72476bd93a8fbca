"""Optimizer steps: one fused loop each over the flat parameters, in their own precision."""

import math

import numpy as np

from .compiler import direct, jit


@jit
def _clipped(g, scale, limit):
    """A NaN passes through."""
    g *= scale
    g = -limit if g < -limit else g
    return limit if g > limit else g


@direct
@jit
def sgd_step(
    params,
    grads,
    velocity,
    lr,
    scale,
    step,
    momentum,
    dampening,
    weight_decay,
    nesterov,
    lr_in_velocity,
    clip_value,
):
    dtype = params.dtype.type
    rate, factor, limit, decay = dtype(lr[0]), dtype(scale[0]), dtype(clip_value), dtype(weight_decay)
    inside = lr_in_velocity and velocity is not None
    early, late = rate if inside else dtype(1), dtype(1) if inside else rate
    mu, new = dtype(momentum), dtype(1.0 if step[0] == 0 else 1 - dampening)
    for i in range(params.size):
        p = params[i]
        g = _clipped(grads[i], factor, limit) + decay * p
        if velocity is not None:
            g = early * g
            u = mu * velocity[i] + new * g
            velocity[i] = u
            g = g + mu * u if nesterov else u
        params[i] = p - late * g


@jit
def _moments(m, v, i, g, new1, old2, new2):
    """m and v of one parameter after its gradient."""
    a = m[i] + new1 * (g - m[i])
    b = old2 * v[i] + new2 * g * g
    m[i] = a
    v[i] = b
    return a, b


@direct
@jit
def adam_step(
    params,
    grads,
    m,
    v,
    max_v,
    lr,
    scale,
    step,
    beta1,
    beta2,
    eps,
    weight_decay,
    decoupled,
    eps_hat,
    clip_value,
):
    dtype = params.dtype.type
    t = step[0] + 1.0
    rate, root = dtype(lr[0] / (1 - beta1**t)), dtype(1 / math.sqrt(1 - beta2**t))
    factor, limit, e = dtype(scale[0]), dtype(clip_value), dtype(eps) * (root if eps_hat else dtype(1))
    keep = dtype(1 - lr[0] * weight_decay if decoupled else 1.0)
    decay = dtype(0.0 if decoupled else weight_decay)
    new1, old2, new2 = dtype(1 - beta1), dtype(beta2), dtype(1 - beta2)
    for i in range(params.size):
        p = params[i]
        g = _clipped(grads[i], factor, limit) + decay * p
        a, b = _moments(m, v, i, g, new1, old2, new2)
        if max_v is not None:
            b = np.maximum(max_v[i], b)
            max_v[i] = b
        params[i] = keep * p - rate * (a / (np.sqrt(b) * root + e))


@direct
@jit
def nadam_step(
    params, grads, m, v, coefficients, lr, scale, step, beta1, beta2, eps, weight_decay, decoupled, clip_value
):
    dtype = params.dtype.type
    factor, limit, e = dtype(scale[0]), dtype(clip_value), dtype(eps)
    of_g, of_m = dtype(lr[0] * coefficients[0]), dtype(lr[0] * coefficients[1])
    root = dtype(1 / math.sqrt(1 - beta2 ** (step[0] + 1.0)))
    keep = dtype(1 - lr[0] * weight_decay if decoupled else 1.0)
    decay = dtype(0.0 if decoupled else weight_decay)
    new1, old2, new2 = dtype(1 - beta1), dtype(beta2), dtype(1 - beta2)
    for i in range(params.size):
        p = params[i]
        g = _clipped(grads[i], factor, limit) + decay * p
        a, b = _moments(m, v, i, g, new1, old2, new2)
        params[i] = keep * p - (of_g * g + of_m * a) / (np.sqrt(b) * root + e)


@direct
@jit
def rmsprop_step(
    params,
    grads,
    v,
    grad_avg,
    velocity,
    lr,
    scale,
    alpha,
    eps,
    weight_decay,
    momentum,
    eps_inside,
    lr_in_velocity,
    clip_value,
):
    dtype = params.dtype.type
    rate, factor, limit, decay = dtype(lr[0]), dtype(scale[0]), dtype(clip_value), dtype(weight_decay)
    old, new, mu = dtype(alpha), dtype(1 - alpha), dtype(momentum)
    inner, outer = dtype(eps if eps_inside else 0.0), dtype(0.0 if eps_inside else eps)
    inside = lr_in_velocity and velocity is not None
    early, late = rate if inside else dtype(1), dtype(1) if inside else rate
    for i in range(params.size):
        p = params[i]
        g = _clipped(grads[i], factor, limit) + decay * p
        spread = old * v[i] + new * g * g
        v[i] = spread
        if grad_avg is not None:
            a = grad_avg[i] + new * (g - grad_avg[i])
            grad_avg[i] = a
            spread = np.maximum(spread - a * a, dtype(0))
        u = early * (g / (np.sqrt(spread + inner) + outer))
        if velocity is not None:
            u += mu * velocity[i]
            velocity[i] = u
        params[i] = p - late * u


@direct
@jit
def adagrad_step(params, grads, total, lr, scale, step, lr_decay, eps, weight_decay, clip_value):
    dtype = params.dtype.type
    factor, limit, decay, e = dtype(scale[0]), dtype(clip_value), dtype(weight_decay), dtype(eps)
    rate = dtype(lr[0] / (1 + step[0] * lr_decay))
    for i in range(params.size):
        p = params[i]
        g = _clipped(grads[i], factor, limit) + decay * p
        s = total[i] + g * g
        total[i] = s
        params[i] = p - rate * (g / (np.sqrt(s) + e))


@direct
@jit
def adadelta_step(params, grads, v, delta, lr, scale, rho, eps, weight_decay, clip_value):
    dtype = params.dtype.type
    rate, factor, limit, decay = dtype(lr[0]), dtype(scale[0]), dtype(clip_value), dtype(weight_decay)
    old, new, e = dtype(rho), dtype(1 - rho), dtype(eps)
    for i in range(params.size):
        p = params[i]
        g = _clipped(grads[i], factor, limit) + decay * p
        s = old * v[i] + new * g * g
        v[i] = s
        u = np.sqrt(delta[i] + e) / np.sqrt(s + e) * g
        delta[i] = old * delta[i] + new * u * u
        params[i] = p - rate * u


@direct
@jit
def lion_step(params, grads, m, lr, scale, beta1, beta2, weight_decay, clip_value):
    dtype = params.dtype.type
    rate, factor, limit = dtype(lr[0]), dtype(scale[0]), dtype(clip_value)
    keep = dtype(1 - lr[0] * weight_decay)
    old1, new1, old2, new2 = dtype(beta1), dtype(1 - beta1), dtype(beta2), dtype(1 - beta2)
    for i in range(params.size):
        g = _clipped(grads[i], factor, limit)
        params[i] = keep * params[i] - rate * np.sign(old1 * m[i] + new1 * g)
        m[i] = old2 * m[i] + new2 * g

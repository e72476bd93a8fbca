"""Chains: instructions that go together through blocks of rows give what they give one after another, to the bit."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops import REGISTRY
from helpers.backends import needs_native

pytestmark = needs_native
rng = np.random.default_rng(0)
SAME = {"top": 1, "left": 1, "bottom": 1, "right": 1}


def array(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def call(name: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return name, REGISTRY[name].complete(fields)


def network() -> list[tuple[str, dict[str, Any]]]:
    """Forwards and backwards through convolutions and pooling: two chains, as the second adds up over the images."""
    B = 150
    x, w1, w2, bias = array(B, 20, 20, 3), array(3, 3, 3, 16), array(3, 3, 16, 32), array(32)
    y1, p1, y2 = array(B, 20, 20, 16), array(B, 10, 10, 16), array(B, 10, 10, 32)
    index, p2 = np.zeros(p1.shape, np.uint8), array(B, 5, 5, 32)
    dp2, dy2, dp1, dy1 = array(*p2.shape), array(*y2.shape), array(*p1.shape), array(*y1.shape)
    half = {"kernel_h": 2, "kernel_w": 2, "stride_h": 2, "stride_w": 2}
    return [
        call("conv2d_forward", x=x, weight=w1, y=y1, activation="relu", **SAME),
        call("max_pool2d_forward", x=y1, y=p1, index=index, **half),
        call("conv2d_forward", x=p1, weight=w2, bias=bias, y=y2, activation="relu", **SAME),
        call("avg_pool2d_forward", x=y2, y=p2, **half),
        call("avg_pool2d_backward", x=y2, dy=dp2, dx=dy2, activation="relu", **half),
        call(
            "conv2d_backward",
            x=p1,
            weight=w2,
            dy=dy2,
            dx=dp1,
            dweight=array(3, 3, 16, 32),
            dbias=array(32),
            **SAME,
        ),
        call("max_pool2d_backward", x=y1, y=p1, index=index, dy=dp1, dx=dy1, activation="relu", **half),
        call("conv2d_backward", x=x, weight=w1, dy=dy1, dweight=array(3, 3, 3, 16), dbias=array(16), **SAME),
    ]


def overlapping() -> list[tuple[str, dict[str, Any]]]:
    """The second writes where the first still reads: three images further on."""
    memory = array(203, 12, 12, 16)
    w, y = array(3, 3, 16, 16), array(200, 12, 12, 16)
    return [
        call("conv2d_forward", x=memory[:-3], weight=w, y=y, **SAME),
        call("conv2d_forward", x=y, weight=w, y=memory[3:], **SAME),
    ]


def shared_gradient() -> list[tuple[str, dict[str, Any]]]:
    """The second reads as weights what the first adds up."""
    x, dy, w = array(200, 12, 12, 16), array(200, 12, 12, 16), array(3, 3, 16, 16)
    dw, y = array(3, 3, 16, 16), array(200, 12, 12, 16)
    return [
        call("conv2d_backward", x=x, weight=w, dy=dy, dweight=dw, **SAME),
        call("conv2d_forward", x=x, weight=dw, y=y, **SAME),
    ]


def residual() -> list[tuple[str, dict[str, Any]]]:
    """Element-wise ops between convolutions, forwards and backwards: a branch, a sum, and a copy in another order of memory."""
    B = 150
    x, w1, w2 = array(B, 16, 16, 16), array(3, 3, 16, 16), array(3, 3, 16, 16)
    y1, a1, y2, s, r, dr, ds, dy2, da1, dy1 = (array(B, 16, 16, 16) for _ in range(10))
    flat, dflat, scale = array(B, 16, 16, 16), array(B, 16, 16, 16), array(1, 1, 1, 16)
    return [
        call("conv2d_forward", x=x, weight=w1, y=y1, **SAME),
        call("activation_forward", x=y1, y=a1, activation="tanh"),
        call("conv2d_forward", x=a1, weight=w2, y=y2, **SAME),
        call("add", a=y2, b=a1, y=s),
        call("expression", a=s, b=np.broadcast_to(scale, s.shape), y=r, steps="t0 = mul a b; y = relu t0"),
        call("expression", a=r.transpose(0, 3, 1, 2), y=flat, steps="y = copy a"),
        call("expression", a=dflat, y=dr.transpose(0, 3, 1, 2), steps="y = copy a"),
        call("activation_backward", y=r, dy=dr, dx=ds, activation="relu"),
        call(
            "conv2d_backward", x=a1, weight=w2, dy=ds, dx=dy2, dweight=array(3, 3, 16, 16), dbias=array(16), **SAME
        ),
        call("add", a=dy2, b=ds, y=da1),
        call("activation_backward", y=a1, dy=da1, dx=dy1, activation="tanh"),
        call("conv2d_backward", x=x, weight=w1, dy=dy1, dweight=array(3, 3, 16, 16), **SAME),
    ]  # fmt: skip


def other_rows() -> list[tuple[str, dict[str, Any]]]:
    """Each reads other images than the one before has written in that block: from the last, or by another first dimension."""
    B = 200
    x, w, y1, y2, y3, y4 = (
        array(B, 12, 12, 16),
        array(3, 3, 16, 16),
        *(array(B, 12, 12, 16) for _ in range(4)),
    )
    return [
        call("conv2d_forward", x=x, weight=w, y=y1, **SAME),
        call("expression", a=y1[::-1], y=y2, steps="y = neg a"),
        call("activation_forward", x=y2, y=y3.reshape(-1, 16), activation="relu"),
        call("conv2d_forward", x=y3, weight=w, y=y4, **SAME),
        call("expression", a=np.broadcast_to(y4[-1:], x.shape), b=x, y=y2, steps="y = add a b"),
    ]


def one_tile() -> list[tuple[str, dict[str, Any]]]:
    """Gradients of weights whose taps are the rows of one tile: several threads share its columns."""
    return [
        call(
            "conv2d_backward", x=array(150, 20, 20, 1), weight=array(3, 3, 1, O), dy=array(150, 18, 18, O),
            dweight=array(3, 3, 1, O), dbias=array(O),
        )
        for O in (32, 20, 7)
    ]  # fmt: skip


def transformer() -> list[tuple[str, dict[str, Any]]]:
    """Rows of samples, of tokens and of numbers; heads cut from one product, forwards and backwards."""
    B, T, H, D = 130, 19, 4, 12
    C = H * D
    x, a, r, s, h = (array(B, T, C) for _ in range(5))
    qkv, dqkv, wide, dwide = (array(B, T, 3 * C) for _ in range(4))
    w1, w2, w3, w4 = array(C, 3 * C), array(C, C), array(C, 3 * C), array(3 * C, C)
    y, dy = array(B, T, H, D), array(B, T, H, D)
    mean, inv_std, P = array(B, T), array(B, T), array(B, H, T, T)
    dout, dh, da, dx = (array(B, T, C) for _ in range(4))
    lengths = rng.integers(0, T + 1, B)

    def heads(whole: np.ndarray) -> dict[str, np.ndarray]:
        parts = whole.reshape(B, T, 3, H, D)
        return {name: parts[:, :, number] for number, name in enumerate("qkv")}

    return [
        call("layer_norm_forward", x=x, y=a, mean=mean, inv_std=inv_std),
        call("linear_forward", x=a, weight=w1, bias=array(3 * C), y=qkv),
        call("attention_forward", **heads(qkv), lengths=lengths, y=y, probabilities=P, scale=0.3),
        call("linear_forward", x=y.reshape(B, T, C), weight=w2, y=r),
        call("expression", a=r.reshape(-1), b=x.reshape(-1), y=s.reshape(-1), steps="y = add a b"),
        call("linear_forward", x=s.reshape(B * T, C), weight=w3, y=wide.reshape(B * T, 3 * C), activation="relu"),
        call("linear_forward", x=wide, weight=w4, y=h),
        call("linear_backward", x=wide, weight=w4, dy=dout, dx=dwide, dweight=array(3 * C, C), dbias=array(C), activation="relu"),
        call("linear_backward", x=s, weight=w3, dy=dwide, dx=dh, dweight=array(C, 3 * C), dbias=array(3 * C)),
        call("add", a=dh.reshape(-1), b=dout.reshape(-1), y=da.reshape(-1)),
        call(
            "linear_backward", x=y.reshape(B * T, C), weight=w2, dy=da.reshape(B * T, C), dx=dy.reshape(B * T, C),
            dweight=array(C, C),
        ),
        call(
            "attention_backward", **heads(qkv), lengths=lengths, probabilities=P, dy=dy, scale=0.3,
            **{f"d{name}": part for name, part in heads(dqkv).items()},
        ),
        call("linear_backward", x=a, weight=w1, dy=dqkv, dx=dx, dweight=array(C, 3 * C), dbias=array(3 * C)),
    ]  # fmt: skip


def wide_rows() -> list[tuple[str, dict[str, Any]]]:
    """Tokens that are read a place further on than they were written, and rows with padding between them."""
    B, T, C = 600, 8, 40
    memory, w = array(B * T + 1, C), array(C, C)
    padded = np.zeros((B * T, C + 16), np.float32)[:, :C]
    y = array(B * T, C)
    return [
        call("linear_forward", x=array(B * T, C), weight=w, y=memory[:-1]),
        call("linear_forward", x=memory[1:], weight=w, y=padded, activation="gelu"),
        call("linear_forward", x=padded, weight=w, y=y),
        call("linear_backward", x=padded, weight=w, dy=y, dx=memory[:-1], dweight=array(C, C), dbias=array(C)),
        call("layer_norm_forward", x=memory[:-1].reshape(B, T, C), y=y.reshape(B, T, C), mean=array(B, T), inv_std=array(B, T)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "make", [network, overlapping, shared_gradient, residual, other_rows, one_tile, transformer, wide_rows]
)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_as_one_after_another(native: Backend, make: Any, threads: int) -> None:
    from backpass import _core

    calls = make()
    first = [
        {k: v.copy() for k, v in fields.items() if isinstance(v, np.ndarray) and v.flags.writeable}
        for _, fields in calls
    ]
    program = _core.Program(calls, native.isa)  # type: ignore[attr-defined]
    assert program.run(1, threads) == 1
    together = [
        {k: v.tobytes() for k, v in fields.items() if isinstance(v, np.ndarray)} for _, fields in calls
    ]
    for (_, fields), values in zip(calls, first, strict=True):
        for name, value in values.items():
            fields[name][...] = value
    for one in calls:
        _core.Program([one], native.isa).run(1, 1)  # type: ignore[attr-defined]
    for (name, fields), bits in zip(calls, together, strict=True):
        for key, value in bits.items():
            assert fields[key].tobytes() == value, f"{name}: {key}"

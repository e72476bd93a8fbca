"""Random windows over random images: convolutions and pooling of any geometry, on every backend against NumPy in float64."""

import random
from typing import Any

import numpy as np

from backpass.backends.numpy import NumPyBackend
from backpass.ops import REGISTRY, Op
from helpers import samples
from helpers.backends import BACKENDS

REFERENCE = NumPyBackend()
CHANNELS = (1, 2, 3, 5, 6, 15, 16, 17, 31, 33, 64)
IMAGES, SIZES, KERNELS = (0, 1, 2, 3, 7, 9), (1, 2, 3, 5, 7, 8, 13, 17, 28), (1, 1, 2, 3, 3, 4, 5, 7)
KINDS = (
    "conv2d",
    "conv2d",
    "conv2d",
    "conv_transpose2d",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
)
# Products of a case, which bound its time.
MOST = 2_000_000
LIMIT = {"float32": 2e-5, "float64": 1e-12}


def drawn(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A kind of op, with sizes and scalars that may or may not fit together."""
    kind, one = chance.choice(KINDS), chance.choice
    dims: dict[str, Any] = {"B": one(IMAGES), "H": one(SIZES), "W": one(SIZES), "C": one(CHANNELS)}
    if chance.random() < 0.2:
        dims["H"] = 1
    if kind.startswith("adaptive"):
        return kind, dims | {"output_h": one(SIZES), "output_w": one(SIZES)}
    kernel = (one(KERNELS) if dims["H"] > 1 else 1), one(KERNELS)
    steps = {f"{name}_{d}": one((1, 1, 1, 2, 3)) for name in ("stride", "dilation") for d in "hw"}
    if kind.endswith("pool2d"):
        padding = {f"padding_{d}": chance.randint(0, k // 2) for d, k in zip("hw", kernel, strict=True)}
        dims |= (
            steps
            | padding
            | {"kernel_h": kernel[0], "kernel_w": kernel[1], "ceil_mode": chance.random() < 0.3}
        )
        if kind == "avg_pool2d":
            del dims["dilation_h"], dims["dilation_w"]
            dims["count_include_pad"] = chance.random() < 0.5
        return kind, dims
    groups = one((1, 1, 1, 2, dims["C"]))
    margins = {side: one((0, 0, 1, 2, 4)) for side in ("top", "left", "bottom", "right")}
    dims |= steps | margins | {"KH": kernel[0], "KW": kernel[1], "groups": groups}
    if kind == "conv2d":
        dims |= {
            "D": max(dims["C"] // groups, 1),
            "O": groups * one((1, 1, 2, 3, 16)) if groups > 1 else one(CHANNELS),
        }
    else:
        extra = {
            f"extra_{d}": chance.randint(0, max(steps[f"stride_{d}"], steps[f"dilation_{d}"]) - 1)
            for d in "hw"
        }
        dims |= {"D": one((1, 2, 5, 17)), **extra}
    return kind, dims


def called(op: Op, dims: dict[str, Any], dtype: str, seed: int, known: dict[str, Any]) -> dict[str, Any]:
    """The fields of a call, drawn; those that are known as they are."""
    scalars = {name: value for name, value in dims.items() if name in op.scalars}
    letters = {name: value for name, value in dims.items() if name not in op.scalars}
    if "y" in known:  # an op without `sizes` is told those of the output
        letters |= {"P": known["y"].shape[1], "Q": known["y"].shape[2]}
    fields = samples.call(op, letters | scalars, dtype, {"slope"}, scalars, seed)
    return fields | {name: known[name].astype(fields[name].dtype) for name in op.inputs if name in known}


def judge(seed: int, backends: list[str]) -> bool:
    """Both passes of a random case against NumPy in float64; False where the sizes do not fit, which the contract refuses."""
    chance = random.Random(seed)
    kind, dims = drawn(chance)
    dtype, known = chance.choice(["float32", "float64"]), {}
    for name in (f"{kind}_forward", f"{kind}_backward"):
        op = REGISTRY[name]
        try:
            fields = called(op, dims, dtype, seed, known)
        except ValueError:
            return False
        if sum(v.size for v in fields.values() if isinstance(v, np.ndarray)) * dims.get("KH", 1) > MOST:
            return False
        exact = samples.in_float64(op, fields)
        REFERENCE.call(name, **exact)
        for backend in backends:
            got = samples.copied(fields)
            BACKENDS[backend].call(name, **got)
            for output in op.outputs:
                if got.get(output) is not None:
                    compare(
                        f"seed {seed}, {backend}: {name} {output} {dims} {dtype}",
                        got[output],
                        exact[output],
                        fields,
                    )
        # The backward pass reads what the forward pass read and found.
        known = {k: v for k, v in exact.items() if isinstance(v, np.ndarray)}
    return True


def compare(what: str, got: np.ndarray, exact: np.ndarray, fields: dict[str, Any]) -> None:
    """Raise AssertionError where they differ by more than rounding."""
    if got.dtype.kind in "iu":
        assert np.array_equal(got, exact), what
        return
    terms = max(
        (v.size // max(v.shape[-1], 1) for v in fields.values() if isinstance(v, np.ndarray) and v.ndim),
        default=1,
    )
    # The largest of a window of nothing but padding is -inf.
    limit, finite = LIMIT[str(got.dtype)], np.isfinite(exact)
    assert np.array_equal(got[~finite], exact[~finite], equal_nan=True), what
    got, exact = got[finite], exact[finite]
    scale = max(float(np.abs(exact).max(initial=0)), 1.0) * max(np.sqrt(terms) / 8, 1)
    worst = float(np.abs(got - exact).max(initial=0))
    assert worst <= limit * scale, f"{what}: off by {worst:.3g}, of {scale:.3g}"

"""Precision: products of float32 through bfloat16, of which a float32 is the sum of up to three: x = x₀ + x₁ + x₂."""

import numpy as np

# precision -> which parts of a and b are multiplied. The smallest products come first.
PRECISIONS: dict[str, tuple[tuple[int, int], ...]] = {
    "float32": (),
    "bf16x6": ((2, 0), (0, 2), (1, 1), (1, 0), (0, 1), (0, 0)),
    "bf16x3": ((1, 0), (0, 1), (0, 0)),
    "bf16": ((0, 0),),
}
# Bits of the smallest number that rounds to inf, and of the smallest that is no denormal.
TOO_LARGE, NORMAL = 0x7F7F8000, 0x00800000


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray, precision: str) -> None:
    """out = a b, the matrix product with operands as `precision` reads them; sums are float32.

    In sums of two or three parts, a row of a or a column of b with inf, NaN or what rounds to inf is computed in float32.
    """
    check_precision(precision, out.dtype)
    parts = PRECISIONS[precision]
    if not parts:
        np.matmul(a, b, out=out)
        return
    most = 1 + max(i for i, _ in parts)
    with np.errstate(over="ignore", invalid="ignore"):
        of_a, of_b = split(a, most), split(b, most)
        total = sum(np.matmul(of_a[i], of_b[j]) for i, j in parts)
        if most > 1:
            parted = np.logical_and(
                _has_parts(a).all(-1, keepdims=True), _has_parts(b).all(-2, keepdims=True)
            )
            if not parted.all():
                total = np.where(parted, total, np.matmul(a, b))
    out[...] = total


def check_precision(precision: str, dtype: np.dtype) -> None:
    """ValueError where it is no precision, or none of this dtype."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r:.80}, expected one of {[*PRECISIONS]}")
    if precision != "float32" and dtype != np.float32:
        raise ValueError(f"precision is {precision!r}, expected 'float32' with {dtype}")


def split(x: np.ndarray, parts: int) -> list[np.ndarray]:
    """The parts of x, largest first: each is what those before leave, rounded to bfloat16."""
    found = [to_bf16(x)]
    for _ in range(parts - 1):
        x = x - found[-1]
        found.append(to_bf16(x))
    return found


def to_bf16(x: np.ndarray) -> np.ndarray:
    """x rounded to bfloat16, as float32: to nearest, ties to even. Denormals become 0; what is from 3.3962e38 on becomes inf."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    magnitude = bits & np.uint32(0x7FFFFFFF)
    nearest = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    number = np.where(magnitude > 0x7F800000, bits | np.uint32(0x400000), nearest)
    rounded = np.where(magnitude < NORMAL, bits & np.uint32(0x80000000), number) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def _has_parts(x: np.ndarray) -> np.ndarray:
    return (np.ascontiguousarray(x).view(np.uint32) & np.uint32(0x7FFFFFFF)) < TOO_LARGE

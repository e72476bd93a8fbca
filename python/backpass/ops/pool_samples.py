"""Sample calls of pooling for the generated tests: sizes and scalars that fit."""

from typing import Any

from .contract import Dims
from .formulas import ACTIVATIONS

# Sizes and scalars for tests: every option, tails of vectors, places in the padding alone, windows as large as the image.
KEYS = ("B", "H", "W", "C", "kernel_h", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w")
DILATED = (*KEYS, "dilation_h", "dilation_w", "ceil_mode")
CASES: list[Dims] = [
    dict(zip(DILATED, case, strict=True))
    for case in [
        (3, 4, 6, 3, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (2, 5, 7, 2, 3, 3, 2, 2, 1, 1, 1, 1, False),
        (1, 5, 6, 4, 2, 3, 2, 2, 0, 1, 1, 1, True),
        (2, 7, 6, 2, 3, 2, 1, 2, 1, 1, 2, 3, False),
        (2, 1, 9, 3, 1, 4, 1, 3, 0, 2, 1, 1, True),
        (2, 6, 7, 1, 2, 1, 3, 4, 0, 0, 1, 1, False),
        (2, 5, 4, 3, 5, 4, 1, 1, 0, 0, 1, 1, False),
        (1, 3, 4, 2, 1, 1, 1, 2, 0, 0, 1, 1, False),
        (2, 2, 3, 2, 2, 2, 1, 1, 1, 1, 3, 1, False),
        (0, 4, 4, 5, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (3, 5, 5, 0, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (5, 9, 7, 17, 3, 3, 2, 2, 1, 1, 1, 1, False),
        (3, 8, 6, 70, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (2, 7, 9, 33, 3, 3, 3, 3, 1, 1, 1, 1, True),
        (2, 17, 18, 15, 15, 17, 1, 1, 0, 0, 1, 1, False),
        (2, 3, 2, 31, 2, 2, 5, 5, 0, 0, 1, 1, True),
        (9, 1, 65, 129, 1, 2, 1, 2, 0, 0, 1, 1, False),
    ]
]
LARGE = dict(zip(DILATED, (70, 15, 14, 21, 3, 2, 2, 2, 1, 1, 1, 1, False), strict=True))
ADAPTIVE_KEYS = ("B", "H", "W", "C", "output_h", "output_w")
ADAPTIVE_CASES: list[Dims] = [
    dict(zip(ADAPTIVE_KEYS, case, strict=True))
    for case in [
        (3, 4, 6, 3, 2, 3), (2, 5, 7, 2, 3, 4), (1, 5, 5, 4, 1, 1), (2, 3, 2, 2, 5, 3), (2, 1, 9, 3, 1, 4), (2, 6, 5, 1, 6, 5),
        (2, 1, 1, 3, 1, 1), (2, 4, 3, 2, 1, 3), (0, 4, 4, 5, 2, 2), (3, 5, 5, 0, 2, 2), (5, 7, 7, 17, 7, 3),
        (3, 8, 6, 70, 1, 1), (2, 17, 18, 33, 5, 7), (9, 1, 65, 129, 1, 4),
    ]
]  # fmt: skip
ADAPTIVE_LARGE = dict(zip(ADAPTIVE_KEYS, (70, 15, 14, 21, 4, 5), strict=True))
for _case in [*ADAPTIVE_CASES, ADAPTIVE_LARGE]:
    _case |= {"P": _case["output_h"], "Q": _case["output_w"]}


ACTIVATED: dict[str, Any] = {"activation": [*ACTIVATIONS], "alpha": [0.7]}


def max_samples(cases: list[Dims], large: Dims, taps: Any) -> dict[str, Any]:
    def index(rng: Any, shape: tuple[int, ...], dims: Dims) -> Any:
        return rng.integers(0, taps(dims), shape)

    return {"cases": cases, "large": large, "index": index, **ACTIVATED}

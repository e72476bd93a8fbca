"""Sizes and scalars of convolutions for the generated tests: they have to fit together."""

from typing import Any

from .contract import Dims
from .formulas import ACTIVATIONS

# Every option, tails of vectors, one image and several, kernels as large as the image.
KEYS = ("B", "H", "W", "C", "KH", "KW", "O", "groups", "stride_h", "stride_w", "dilation_h", "dilation_w")
CASES: list[Dims] = [
    dict(zip((*KEYS, "top", "left", "bottom", "right"), case, strict=True))
    for case in [
        (2, 5, 4, 3, 3, 2, 4, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (2, 4, 5, 2, 3, 3, 3, 1, 2, 1, 1, 1, 1, 1, 1, 1),
        (1, 5, 5, 4, 3, 2, 6, 2, 1, 2, 1, 2, 2, 0, 1, 2),
        (2, 1, 9, 3, 1, 4, 2, 1, 1, 3, 1, 2, 0, 3, 0, 2),
        (2, 5, 4, 4, 2, 3, 4, 4, 1, 1, 1, 1, 1, 1, 0, 1),
        (1, 6, 6, 3, 2, 2, 6, 3, 3, 3, 1, 1, 0, 0, 0, 0),
        (3, 4, 4, 5, 1, 1, 7, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (1, 7, 6, 2, 3, 3, 2, 1, 2, 3, 2, 2, 2, 2, 2, 2),
        (0, 5, 5, 3, 3, 3, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        (3, 9, 17, 1, 5, 5, 6, 1, 1, 1, 1, 1, 2, 2, 2, 2),
        (2, 8, 33, 16, 3, 3, 33, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        (9, 7, 15, 31, 3, 3, 16, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (2, 16, 16, 17, 3, 3, 31, 1, 2, 2, 1, 1, 1, 1, 1, 1),
        (2, 1, 65, 33, 1, 5, 64, 1, 1, 1, 1, 1, 0, 2, 0, 2),
        (2, 6, 7, 34, 3, 3, 34, 34, 1, 1, 1, 1, 1, 1, 1, 1),
        (2, 9, 9, 34, 3, 3, 68, 34, 2, 2, 1, 1, 1, 1, 1, 1),
        (2, 9, 9, 40, 3, 3, 70, 2, 2, 1, 1, 2, 2, 3, 1, 0),
        (2, 5, 6, 300, 2, 2, 20, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (3, 8, 8, 64, 1, 1, 129, 1, 2, 2, 1, 1, 0, 0, 0, 0),
        (2, 5, 3, 3, 5, 3, 65, 1, 1, 1, 1, 1, 0, 0, 0, 0),
    ]
]  # fmt: skip
LARGE = dict(
    zip(
        (*KEYS, "top", "left", "bottom", "right"),
        (40, 9, 30, 12, 3, 3, 40, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        strict=True,
    )
)
for case in [*CASES, LARGE]:
    case["D"] = case["C"] // case["groups"]
SAMPLES: dict[str, Any] = {"cases": CASES, "large": LARGE, "activation": [*ACTIVATIONS], "alpha": [0.7]}
# The same of transposed convolutions, with the channels of a group and the extra rows and columns.
TRANSPOSED_KEYS = (*KEYS[:6], "D", *KEYS[7:], "top", "left", "bottom", "right", "extra_h", "extra_w")
TRANSPOSED_CASES: list[Dims] = [
    dict(zip(TRANSPOSED_KEYS, case, strict=True))
    for case in [
        (2, 3, 4, 3, 3, 2, 4, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0),
        (2, 4, 3, 2, 3, 3, 3, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1),
        (1, 3, 3, 4, 2, 3, 3, 2, 2, 1, 1, 2, 0, 1, 1, 0, 0, 1),
        (2, 1, 5, 2, 1, 4, 3, 1, 1, 3, 1, 2, 0, 2, 0, 1, 0, 2),
        (1, 3, 3, 4, 2, 2, 1, 4, 3, 3, 1, 1, 0, 0, 0, 0, 2, 0),
        (0, 3, 3, 4, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0),
        (2, 4, 4, 3, 1, 1, 5, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0),
        (1, 4, 3, 2, 3, 3, 2, 1, 1, 2, 3, 2, 2, 2, 1, 2, 2, 1),
        (3, 7, 7, 33, 4, 4, 17, 1, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0),
        (2, 5, 9, 16, 3, 3, 40, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
        (2, 5, 5, 40, 3, 3, 3, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1),
    ]
]  # fmt: skip
TRANSPOSED_LARGE = dict(
    zip(TRANSPOSED_KEYS, (40, 9, 20, 33, 3, 3, 20, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1), strict=True)
)
TRANSPOSED_SAMPLES: dict[str, Any] = {"cases": TRANSPOSED_CASES, "large": TRANSPOSED_LARGE}

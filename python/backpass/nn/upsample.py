"""Upsample: images and sequences in another size."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

from ..checks import flag, is_name, is_whole, real
from ..ops import resize_forward
from ..program import Builder, Tensor
from ..program.channels import channels_first, channels_last
from .module import Module

Mode = Literal["nearest", "linear", "bilinear"]
# The largest size of a dimension: larger ones are slips.
LARGEST = 1 << 24
# How many dimensions follow (batch, C) in each mode.
DIMS = {"nearest": (1, 2), "linear": (1,), "bilinear": (2,)}


def each(value: Any) -> tuple[Any, ...]:
    """A number or a sequence of numbers as a tuple."""
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def check(who: str, size: Any, scale_factor: Any, mode: Any, align_corners: Any) -> None:
    """ValueError for arguments that say no size, two sizes or a mode that is not there."""
    if not is_name(mode, get_args(Mode)):
        raise ValueError(f"{who}: mode is {mode!r}, expected one of {sorted(get_args(Mode))}")
    if (size is None) == (scale_factor is None):
        given = "both are given" if size is not None else "none is given"
        raise ValueError(f"{who}: expected size or scale_factor, but {given}")
    if size is not None and not all(is_whole(s) and 1 <= s <= LARGEST for s in each(size)):
        raise ValueError(
            f"{who}: size is {size!r}, expected an integer in [1, {LARGEST}], or one for each dimension"
        )
    if scale_factor is not None and not all(0 < real(s) < math.inf for s in each(scale_factor)):
        raise ValueError(
            f"{who}: scale_factor is {scale_factor!r}, expected a positive number, or one for each dimension"
        )
    if align_corners is not None and mode == "nearest":
        raise ValueError(
            f"{who}: align_corners is {align_corners!r:.80}, expected None where mode is 'nearest'"
        )
    if align_corners is not None:
        flag(f"{who}: align_corners", align_corners)


def resized(
    builder: Builder, x: Tensor, who: str, size: Any, scale_factor: Any, mode: str, align_corners: Any
) -> Tensor:
    """(B, C, L) or (B, C, H, W) in another size; the arguments have been checked."""
    rest = x.shape[2:]
    given = each(scale_factor if size is None else size)
    if len(rest) not in DIMS[mode] or len(given) not in (1, len(rest)) or 0 in rest:
        taken = " or ".join(
            ("(batch, channels, length)", "(batch, channels, height, width)")[d - 1] for d in DIMS[mode]
        )
        raise ValueError(
            f"{who}: the input has shape (batch, {', '.join(map(str, x.shape[1:]))}), but mode is {mode!r} and"
            f" {'scale_factor' if size is None else 'size'} {scale_factor if size is None else size!r}, expected {taken}"
        )
    given = given if len(given) == len(rest) else given * len(rest)
    sizes = [
        int(n) if size is not None else math.floor(old * float(n)) for n, old in zip(given, rest, strict=True)
    ]
    if min(sizes) < 1 or max(sizes) > LARGEST:
        raise ValueError(
            f"{who}: scale_factor is {scale_factor!r}, which makes {tuple(sizes)} of {rest}, expected sizes in [1, {LARGEST}]"
        )
    scales = [0.0 if size is not None else float(n) for n in given]
    y = builder.emit(
        resize_forward,
        x=channels_last(builder, x),
        height=sizes[0] if len(rest) == 2 else 1,
        width=sizes[-1],
        linear=mode != "nearest",
        align_corners=bool(align_corners),
        scale_h=scales[0] if len(rest) == 2 else 0.0,
        scale_w=scales[-1],
    )
    return channels_first(builder, y, len(x.shape))


class Upsample(Module):
    """Images and sequences in another size, larger or smaller (PyTorch's `nn.Upsample`).

    "nearest" takes the pixel at ⌊i · old / new⌋. "linear" and "bilinear" mix the two or four pixels around
    (i + ½) · old / new - ½, or with align_corners around i · (old - 1) / (new - 1).

    Args:
        size: the new length, or (height, width); an integer stands for both; default None.
        scale_factor: how many times as large, instead of size; default None.
        mode: "nearest" (default), "linear" for (N, C, L), "bilinear" for (N, C, H, W).
        align_corners: whether the outermost pixels keep their places, default None, which is False.

    Shapes: input (N, C, L) or (N, C, H, W); output the same with the new size, ⌊old · scale_factor⌋.

    Raises:
        ValueError: neither size nor scale_factor, or both; an argument out of range; an input of another shape.

    Example:
        >>> nn.Upsample(scale_factor=2, mode="bilinear")
        Upsample(scale_factor=2, mode='bilinear')
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: Mode = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        check("Upsample", size, scale_factor, mode, align_corners)
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return resized(builder, x, repr(self), self.size, self.scale_factor, self.mode, self.align_corners)

"""What stands around an image: zeros, or its own numbers again."""

from collections.abc import Sequence

from ..program import Builder, Tensor
from ..program.views import cat, part

PADDING_MODES = ("zeros", "circular", "reflect", "replicate")


def padded_images(
    builder: Builder, x: Tensor, margins: Sequence[tuple[int, int]], mode: str, layer: str
) -> Tensor:
    """x (B, H, W, C) with margins before and behind H and W: from the other end, mirrored, or the last number again. layer: for
    messages."""
    for axis, (before, behind) in enumerate(margins, 1):
        if before or behind:
            places = padded_places(f"{layer}: padding", x.shape[axis], before, behind, mode)
            x = cat(builder, [part(builder, x, _along(axis, run)) for run in _runs(places)], axis)
    return x


def padded_places(argument: str, size: int, before: int, behind: int, mode: str) -> list[int]:
    """The place in a dimension of so many elements that stands at each place of the padded one."""
    limit = {"circular": size, "reflect": size - 1, "replicate": max(before, behind)}[mode]
    if not 0 <= min(before, behind) <= max(before, behind) <= limit or not size:
        raise ValueError(
            f"{argument} is {max(before, behind)}, expected at most {limit} in mode {mode!r} for a size of {size}"
        )
    return [_piece(i, size, mode) for i in range(-before, size + behind)]


def _piece(i: int, size: int, mode: str) -> int:
    """The place in an image that stands at place i of the padded one, which may lie outside."""
    if mode == "circular":
        return i % size
    if mode == "replicate":
        return min(max(i, 0), size - 1)
    return abs(i) if i < size else 2 * (size - 1) - i


def _runs(places: Sequence[int]) -> list[slice]:
    """Slices that show these places in turn."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [slice(run[0], run[-1] + 1) for run in runs]


def _along(axis: int, places: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (places,)

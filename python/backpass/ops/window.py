"""Windows over an image: how many places there are, and what each one covers. Shared by convolutions and pooling."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple


def places(
    name: str,
    size: int,
    kernel: int,
    stride: int,
    before: int,
    after: int,
    dilation: int = 1,
    ceil: bool = False,
) -> int:
    """⌊(size + before + after - dilation (kernel - 1) - 1) / stride⌋ + 1; ValueError where not even one window fits.

    name: of the dimension, for the message. ceil: rounded up, but every window begins within the input or in front of it.
    """
    padded, extent = size + before + after, dilation * (kernel - 1) + 1
    count = (padded - extent + (stride - 1 if ceil else 0)) // stride + 1
    if count < 1 or size == 0:
        padding = f" with a padding of {before} and {after}" if before or after else ""
        spread = f", spread over {extent} by the dilation" if dilation > 1 else ""
        raise ValueError(f"kernel_size is {kernel}{spread}, but the input has {name} {size}{padding}")
    if ceil and (count - 1) * stride >= size + before:
        count -= 1
    return count


def name_across(height: int, kernel_h: int) -> str:
    """What messages call the second dimension: a sequence is an image of height 1."""
    return "length" if height == kernel_h == 1 else "width"


class Span(NamedTuple):
    """What a window covers along one dimension: of its taps those from `first` to `last` - 1 lie within the input.

    Tap i is at origin + i · dilation. length: of the window within the padded input.
    """

    origin: int
    dilation: int
    first: int
    last: int
    length: int

    @property
    def inside(self) -> slice:
        """The places of the input."""
        at = self.origin + self.first * self.dilation
        return slice(at, at + max(self.last - self.first, 0) * self.dilation, self.dilation)


def sliding(size: int, count: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> list[Span]:
    """The spans of a window that slides, `stride` further each time."""
    spans = []
    for place in range(count):
        origin = place * stride - padding
        first, last = max(-(origin // dilation), 0), min(kernel, -((origin - size) // dilation))
        length = min(origin + dilation * (kernel - 1) + 1, size + padding) - origin
        spans.append(Span(origin, dilation, first, max(first, last), length))
    return spans


def adaptive(size: int, count: int) -> list[Span]:
    """The spans of windows from ⌊place · size / count⌋ to ⌈(place + 1) size / count⌉."""
    begins = [place * size // count for place in range(count)]
    ends = [-(-(place + 1) * size // count) for place in range(count)]
    return [Span(b, 1, 0, e - b, e - b) for b, e in zip(begins, ends, strict=True)]


def pooled_sizes(dims: Mapping[str, int], scalars: Mapping[str, Any]) -> dict[str, int]:
    """The height and width of what a sliding window pools; ValueError where it does not fit."""
    out = {}
    for letter, name, h in (("H", "height", "h"), ("W", name_across(dims["H"], scalars["kernel_h"]), "w")):
        for scalar, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            if scalars.get(f"{scalar}_{h}", least) < least:
                raise ValueError(f"{scalar}_{h} is {scalars[f'{scalar}_{h}']}, expected at least {least}")
        padding = scalars[f"padding_{h}"]
        out["P" if h == "h" else "Q"] = places(
            name, dims[letter], scalars[f"kernel_{h}"], scalars[f"stride_{h}"], padding, padding,
            scalars.get(f"dilation_{h}", 1), scalars["ceil_mode"],
        )  # fmt: skip
    return out


def adaptive_sizes(dims: Mapping[str, int], scalars: Mapping[str, Any]) -> dict[str, int]:
    """The height and width that adaptive pooling is asked for."""
    if min(scalars["output_h"], scalars["output_w"]) < 1 or min(dims["H"], dims["W"]) < 1:
        raise ValueError(
            f"output_size is {scalars['output_h'], scalars['output_w']} for an image of {dims['H'], dims['W']}, expected"
            " at least 1 each"
        )
    return {"P": scalars["output_h"], "Q": scalars["output_w"]}


def windows(
    down: Sequence[Span], across: Sequence[Span]
) -> Iterator[tuple[tuple[slice, int, int], tuple[slice, slice, slice], Span, Span]]:
    """For each window the index of its output (B, P, Q, C), that of its input (B, H, W, C), and its spans."""
    everything = slice(None)
    for (p, rows), (q, cols) in product(enumerate(down), enumerate(across)):
        yield (everything, p, q), (everything, rows.inside, cols.inside), rows, cols

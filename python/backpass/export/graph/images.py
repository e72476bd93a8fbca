"""What layers of augmentation do to images outside training."""

import numpy as np

from .call import Call


def crop(call: Call) -> None:
    """Slice, and Pad with 0 where the crop is beyond the image."""
    if call["down"] * call["right"] > 1:
        raise call.graph.refuse("at a random place")
    y, pads = call.read("x"), np.zeros((2, 5), np.int64)
    for axis, start, count in ((2, call["top"], call["height"]), (3, call["left"], call["width"])):
        first, last = max(start, 0), min(start + count, call["x"].shape[axis])
        y = call.graph.slice(y, axis, first, last)
        pads[:, axis] = first - start, start + count - last
    call.write("y", call.node("Pad", [y, call.graph.constant(pads.reshape(-1))]) if pads.any() else y)

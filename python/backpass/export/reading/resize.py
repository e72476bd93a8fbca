"""Other sizes of sequences and images."""

from math import prod
from typing import Any

from ...nn import functional as F
from .call import Call
from .constants import limited
from .windows import spatial_of


def resize(call: Call) -> Any:
    """Another size of sequences or images: the nearest pixel, or a mixture."""
    spatial, x = spatial_of(call), call.tensor(0)
    call.expect(antialias=0, exclude_outside=0, keep_aspect_ratio_policy="stretch")
    for unused, value in (("cubic_coeff_a", -0.75), ("extrapolation_value", 0.0)):
        call.attribute(unused, value)
    axes = call.attribute("axes", [*range(x.ndim)])
    scales, sizes = call.known(2, "scales"), call.numbers(3, "sizes")
    given = (
        [float(scale) for scale in scales.reshape(-1)] if scales is not None and scales.size else sizes or []
    )
    by_axis = dict(zip([axis % x.ndim for axis in axes], given, strict=True))
    if sizes is None and any(by_axis.get(axis, 1) != 1 for axis in (0, 1)):
        raise ValueError(f"scales are {given}, expected 1 for rows and channels")
    if sizes is not None and by_axis.get(1, x.shape[1]) != x.shape[1]:
        raise ValueError(f"sizes are {given}, expected {x.shape[1]} channels as before")
    wanted = tuple(by_axis.get(axis, x.shape[axis] if sizes else 1.0) for axis in range(2, x.ndim))
    mode, where = (
        call.attribute("mode", "nearest"),
        call.attribute("coordinate_transformation_mode", "half_pixel"),
    )
    nearest = call.attribute("nearest_mode", "round_prefer_floor")
    steps = [wanted[k] / x.shape[2 + k] if sizes else wanted[k] for k in range(spatial)]
    # Of whole multiples both ways lead to the same pixels.
    whole = (
        where.endswith("half_pixel")
        and nearest == "round_prefer_floor"
        and all(s == int(s) > 0 for s in steps)
    )
    if mode == "nearest" and ((where, nearest) == ("asymmetric", "floor") or whole):
        aligned, kind = None, "nearest"
    elif mode == "linear" and where in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        aligned, kind = where == "align_corners", "linear" if spatial == 1 else "bilinear"
    else:
        raise ValueError(f"mode {mode!r:.40} with {where!r:.40} and {nearest!r:.40} is not available")
    if min(steps) <= 0:
        raise ValueError(f"sizes are {wanted}, expected numbers above 0")
    limited(prod(x.shape[1:]) * prod(steps))
    return F.interpolate(
        x, wanted if sizes else None, None if sizes else wanted, mode=kind, align_corners=aligned
    )

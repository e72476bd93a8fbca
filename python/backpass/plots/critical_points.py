"""Minima and saddles of a surface that is known on a grid."""

import numpy as np

# The least share of one curvature in the other: along the floor of a valley one is about 0.
CURVED = 0.05
# How far from a point of the grid a minimum or saddle is at most, in its steps.
NEAR = 0.5

Points = list[tuple[float, float]]


def critical_points(steps: np.ndarray, loss: np.ndarray) -> tuple[Points, Points]:
    """Minima and saddles of a grid, without its edge."""
    found: dict[str, Points] = {"minimum": [], "saddle": [], "": []}
    for row in range(1, len(steps) - 1):
        for column in range(1, len(steps) - 1):
            patch = loss[row - 1 : row + 2, column - 1 : column + 2]
            if np.isfinite(patch).all():
                found[kind_of(patch)].append((float(steps[column]), float(steps[row])))
    return found["minimum"], found["saddle"]


def kind_of(patch: np.ndarray) -> str:
    """What the paraboloid nearest to 3 x 3 values has at the middle one: "minimum", "saddle" or ""."""
    slope = np.array([(patch[:, 2] - patch[:, 0]).sum(), (patch[2] - patch[0]).sum()]) / 6
    across = (patch[2, 2] - patch[2, 0] - patch[0, 2] + patch[0, 0]) / 4
    along = [(p[2] - 2 * p[1] + p[0]).sum() / 3 for p in (patch.T, patch)]
    hessian = np.array([[along[0], across], [across, along[1]]])
    low, high = np.linalg.eigvalsh(hessian)
    if high <= 0 or not CURVED <= abs(low) / high <= 1 / CURVED:
        return ""
    if (np.abs(np.linalg.solve(hessian, slope)) > NEAR).any():
        return ""
    return "saddle" if low < 0 else "minimum"

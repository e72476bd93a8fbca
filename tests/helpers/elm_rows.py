"""The rows that the tests of the extreme learning machines share."""

from typing import Any

import numpy as np

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
Y = np.stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] * X[:, 3]], axis=1) + 0.1 * rng.standard_normal((60, 2))
LABELS = np.array(["no", "perhaps", "yes"])[np.digitize(Y[:, 0], [-0.5, 0.5])]
WEIGHT = rng.uniform(0.1, 3, 60)


def close(a: Any, b: Any, tolerance: float = 1e-8) -> None:
    """Equal but for rounding."""
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

"""Addition: the join of a residual branch, and of gradients that meet."""

import numpy as np

from ..contract import op


@op("a[*] b[*] -> y[*]", alias_gradient={"a": "y", "b": "y"})
def add(a, b, y):
    """y = a + b. The gradient of both is dy itself."""
    np.add(a, b, out=y)

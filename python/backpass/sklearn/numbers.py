"""Check of parameters that should be numbers, beyond scikit-learn's constraints."""

from typing import Any

import numpy as np

from ..checks import is_whole, real

# Where an optimizer or a model refuses a bool, which scikit-learn takes for a number.
NO_BOOL = ("learning_rate_init", "beta_1", "beta_2", "epsilon", "n_threads")


def check_number(name: str, value: Any) -> None:
    """Refuse a value on which scikit-learn's constraints fail, or which they take for a number although it is none."""
    if (
        isinstance(value, np.timedelta64)
        or (is_whole(value) and np.isinf(real(value)))
        or (name in NO_BOOL and isinstance(value, bool | np.bool_))
    ):
        raise ValueError(f"{name} is {value!r:.80}, expected a number that a float can hold")

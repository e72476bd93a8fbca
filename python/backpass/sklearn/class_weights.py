"""The parameter class_weight of the classifiers, where a row has one class: a weight for each row."""

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from ..checks import real


def weights_of_classes(class_weight: Any, classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N,) for "balanced" or {class: weight}; a class of `classes` that a dict does not name weighs 1, in `y` or not.

    As in scikit-learn a dict may name classes that do not occur (in a fold, say) if it leaves out none that does.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        return np.asarray(compute_sample_weight(class_weight, y))
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight is {class_weight!r:.200}, expected None, 'balanced' or {{class: weight}}"
        )
    known = classes.tolist()
    if (unknown := set(class_weight) - set(known)) and not set(known) <= set(class_weight):
        raise ValueError(f"class_weight names {sorted(unknown, key=str)}, expected classes of {known}")
    if not all(0 <= real(weight) < np.inf for weight in class_weight.values()):
        raise ValueError(f"class_weight is {class_weight!r:.200}, expected numbers of at least 0")
    of_class = np.array([class_weight.get(c, 1.0) for c in known], np.float64)
    return np.asarray(of_class[np.searchsorted(classes, y)])

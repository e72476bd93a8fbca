"""What a constructor of an estimator does, and all that it does: scikit-learn wants every parameter kept as it was given."""

from typing import Any


def keep_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Each parameter of the constructor becomes the attribute of its name; given: the constructor's `locals()`."""
    for name in estimator._get_param_names():
        setattr(estimator, name, given[name])

"""The NumPy backend: the reference ops as they are."""

from .base import Backend


class NumPyBackend(Backend):
    """Runs everywhere, and defines what the others compute."""

    name = "numpy"

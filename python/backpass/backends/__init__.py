"""Who runs a program: the native backend, Numba, NumPy, and the choice between them."""

from .base import Backend, Executor, Inference
from .choice import KNOWN, available_backends, get_backend, set_backend, use_backend, why_missing
from .precision import get_precision, set_precision
from .threads import get_num_threads, set_num_threads

__all__ = [
    "KNOWN", "Backend", "Executor", "Inference", "available_backends", "get_backend", "get_num_threads",
    "get_precision", "set_backend", "set_num_threads", "set_precision", "use_backend", "why_missing",
]  # fmt: skip

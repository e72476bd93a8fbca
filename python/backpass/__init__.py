"""backpass: the fastest way to train small and medium neural networks on a CPU, from Python."""

from typing import TYPE_CHECKING, Any

from . import callbacks, losses, nn, optim
from .backends import available_backends, get_backend, set_backend, use_backend
from .callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from .config import show_config
from .errors import CheckpointError, NonFiniteError
from .gradcheck import gradcheck
from .history import History
from .model import Model
from .threadpools import register
from .threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from .checkpoint import load

__version__ = "0.1.0"
register()  # with threadpoolctl, where that came first

__all__ = [
    "CSVLogger", "Callback", "CheckpointError", "EarlyStopping", "GradientMonitor", "History", "Model", "ModelCheckpoint",
    "NonFiniteError", "ProgressBar", "ReduceLROnPlateau", "TerminateOnNaN", "available_backends", "callbacks", "get_backend",
    "get_num_threads", "gradcheck", "load", "losses", "nn", "optim", "set_backend", "set_num_threads", "show_config",
    "use_backend",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """`load` on first use: what reads files would make every import slower."""
    if name == "load":
        from .checkpoint import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

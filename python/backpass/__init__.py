"""backpass: the fastest way to train small and medium neural networks on a CPU, from Python."""

from . import callbacks, losses, nn, optim
from ._version import __version__
from .backends import (
    available_backends,
    get_backend,
    get_num_threads,
    set_backend,
    set_num_threads,
    use_backend,
)
from .backends.threads import register
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
from .diagnostics.config import show_config
from .diagnostics.gradcheck import gradcheck
from .engine.history import History
from .errors import CheckpointError, NonFiniteError, did_you_mean
from .model import Model, load

register()  # with threadpoolctl, where that came first

__all__ = [
    "CSVLogger", "Callback", "CheckpointError", "EarlyStopping", "GradientMonitor", "History", "Model", "ModelCheckpoint",
    "NonFiniteError", "ProgressBar", "ReduceLROnPlateau", "TerminateOnNaN", "__version__", "available_backends", "callbacks",
    "get_backend", "get_num_threads", "gradcheck", "load", "losses", "nn", "optim", "set_backend", "set_num_threads",
    "show_config", "use_backend",
]  # fmt: skip
# What other libraries have at the top.
ELSEWHERE = {
    "Sequential": "nn.Sequential", "Linear": "nn.Linear", "Dense": "nn.Linear", "Adam": "optim.Adam", "SGD": "optim.SGD",
    "MLPClassifier": "sklearn.MLPClassifier (import backpass.sklearn)", "save": "Model.save",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """A rarely used package, or an error that names the right name."""
    if name == "sklearn":  # `import backpass` does not import scikit-learn
        from importlib import import_module

        return import_module(".sklearn", __name__)
    near = f"; here it is bp.{ELSEWHERE[name]}" if name in ELSEWHERE else did_you_mean(name, __all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{near}")


def __dir__() -> list[str]:
    return [*__all__]

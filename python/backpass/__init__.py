"""backpass: the fastest way to train small and medium neural networks on a CPU, from Python."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import callbacks, losses, nn, optim
from ._version import __version__
from .backends import (
    available_backends,
    get_backend,
    get_num_threads,
    get_precision,
    set_backend,
    set_num_threads,
    set_precision,
    use_backend,
)
from .backends.threads import register
from .callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from .data.images import Images
from .data.streams import Streams
from .engine.history import History
from .errors import CheckpointError, NonFiniteError, late, missing
from .model import Model, load, load_onnx

if TYPE_CHECKING:
    from .callbacks import GradientMonitor, ModelCheckpoint, OptunaPruning, TensorBoard
    from .conversion.from_keras import from_keras
    from .conversion.from_sklearn import from_sklearn
    from .conversion.from_torch import from_torch
    from .diagnostics.activations import activations
    from .diagnostics.config import show_config
    from .diagnostics.explain import explain
    from .diagnostics.gradcheck import gradcheck
    from .diagnostics.gradients import gradients
    from .many.by_key import ModelsByKey
    from .many.ensemble import Ensemble
    from .many.fit_each import fit_each
    from .many.fit_many import fit_many
    from .many.search import search
    from .plots.find_lr import find_lr
    from .plots.loss_surface import loss_surface

register()  # with threadpoolctl, where that came first

__all__ = [
    "CSVLogger", "Callback", "CheckpointError", "EarlyStopping", "Ensemble", "GradientMonitor", "History", "Images",
    "Model", "ModelCheckpoint", "ModelsByKey", "NonFiniteError", "OptunaPruning", "ProgressBar", "ReduceLROnPlateau",
    "Streams", "TensorBoard", "TerminateOnNaN", "__version__", "activations", "available_backends", "callbacks",
    "explain", "find_lr", "fit_each", "fit_many", "from_keras", "from_sklearn", "from_torch", "get_backend",
    "get_num_threads", "get_precision", "gradcheck", "gradients", "load", "load_onnx", "loss_surface", "losses", "nn",
    "optim", "search", "set_backend", "set_num_threads", "set_precision", "show_config", "use_backend",
]  # fmt: skip
# Imported when they are asked for, because `import backpass` is to be quick, and is not to import scikit-learn.
LATE = {
    "GradientMonitor": "callbacks", "ModelCheckpoint": "callbacks", "OptunaPruning": "callbacks",
    "TensorBoard": "callbacks", "show_config": "diagnostics.config", "activations": "diagnostics.activations",
    "explain": "diagnostics.explain", "gradcheck": "diagnostics.gradcheck", "gradients": "diagnostics.gradients",
    "fit_many": "many.fit_many", "fit_each": "many.fit_each", "search": "many.search", "Ensemble": "many.ensemble",
    "ModelsByKey": "many.by_key", "find_lr": "plots.find_lr", "loss_surface": "plots.loss_surface",
    "from_torch": "conversion.from_torch", "from_keras": "conversion.from_keras",
    "from_sklearn": "conversion.from_sklearn",
}  # fmt: skip
# What other libraries have at the top.
ELSEWHERE = {
    "Sequential": "bp.nn.Sequential", "Linear": "bp.nn.Linear", "Dense": "bp.nn.Linear", "Adam": "bp.optim.Adam",
    "SGD": "bp.optim.SGD", "MLPClassifier": "bp.sklearn.MLPClassifier (import backpass.sklearn)", "save": "model.save(path)",
    "load_model": "bp.load(path)", "set_seed": "bp.Model(net, seed=0)", "manual_seed": "bp.Model(net, seed=0)",
    "seed": "bp.Model(net, seed=0)", "no_grad": "model.predict, which keeps no gradients",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """A late name, or an error that names the right one."""
    if name in ("sklearn", "plots", "export"):
        return import_module(f".{name}", __name__)
    if name in LATE:
        return late(__name__, name, f".{LATE[name]}")
    # Functions of the tensors of `forward`, so that `import backpass as torch` reads well.
    if name in import_module(".program.functions", __name__).NAMES:
        return late(__name__, name, ".program.functions")
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]

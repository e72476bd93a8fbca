"""Callbacks: what happens around a training run, under Keras's names."""

from typing import TYPE_CHECKING, Any

from ..errors import late, missing
from .base import Callback, Logs, Monitor
from .reports import CSVLogger, ProgressBar
from .stopping import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN

if TYPE_CHECKING:
    from .checkpoint import ModelCheckpoint
    from .gradients import GradientMonitor
    from .pruning import OptunaPruning
    from .tensorboard import TensorBoard

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "GradientMonitor", "Logs", "ModelCheckpoint", "Monitor", "OptunaPruning",
    "ProgressBar", "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip
# What other libraries call these callbacks.
ELSEWHERE = {
    "BackupAndRestore": "bp.ModelCheckpoint, with fit(resume=True)", "ProgbarLogger": "fit(progress=True)",
    "LearningRateScheduler": "a schedule, as in optim.Adam(lr=optim.schedules.cosine(1e-3, total_steps=1000))",
}  # fmt: skip


# Imported when they are asked for.
LATE = {
    "GradientMonitor": ".gradients", "ModelCheckpoint": ".checkpoint", "OptunaPruning": ".pruning",
    "TensorBoard": ".tensorboard",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in LATE:
        return late(__name__, name, LATE[name])
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]

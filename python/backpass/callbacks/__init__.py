"""Callbacks: what happens around a training run, under Keras's names."""

from typing import TYPE_CHECKING, Any

from ..errors import missing
from .base import Callback, Logs, Monitor
from .checkpoint import ModelCheckpoint
from .reports import CSVLogger, ProgressBar
from .stopping import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN

if TYPE_CHECKING:
    from .gradients import GradientMonitor

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "GradientMonitor", "Logs", "ModelCheckpoint", "Monitor", "ProgressBar",
    "ReduceLROnPlateau", "TerminateOnNaN",
]  # fmt: skip
# What other libraries call these callbacks.
ELSEWHERE = {
    "BackupAndRestore": "bp.ModelCheckpoint, with fit(resume=True)", "ProgbarLogger": "fit(progress=True)",
    "LearningRateScheduler": "a schedule, as in optim.Adam(lr=optim.schedules.cosine(1e-3, total_steps=1000))",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if (
        name == "GradientMonitor"
    ):  # late: it brings the diagnostics along, and `import backpass` is to be quick
        from .gradients import GradientMonitor

        globals()[name] = GradientMonitor
        return GradientMonitor
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]

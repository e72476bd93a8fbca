"""Callbacks: what happens around a training run, under Keras's names."""

from .base import Callback, Logs, Monitor
from .checkpoint import ModelCheckpoint
from .gradients import GradientMonitor
from .reports import CSVLogger, ProgressBar
from .stopping import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "GradientMonitor", "Logs", "ModelCheckpoint", "Monitor", "ProgressBar",
    "ReduceLROnPlateau", "TerminateOnNaN",
]  # fmt: skip

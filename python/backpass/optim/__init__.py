"""Optimizers: PyTorch's class names and defaults, and the strings that `bp.Model(optimizer=...)` takes."""

from typing import Any, Literal

from ..errors import did_you_mean, missing
from . import schedules
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .groups import ParameterGroups
from .lion import Lion
from .nadam import NAdam
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "NAdam",
    "Optimizer",
    "ParameterGroups",
    "RMSprop",
    "by_name",
    "schedules",
]

NAMES: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, NAdam, Lion)
}
OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam", "lion"]


def by_name(optimizer: Any) -> Optimizer:
    """An optimizer object for an optimizer object or a name."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer in NAMES:
        make: Any = NAMES[optimizer]
        instance: Optimizer = make()
        return instance
    near = did_you_mean(optimizer, NAMES) if isinstance(optimizer, str) else ""
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        near = f"; did you mean {optimizer.__name__}()?"
    raise ValueError(
        f"optimizer is {optimizer!r:.80}, expected one of {sorted(NAMES)} or an object from backpass.optim{near}"
    )


# What other libraries have here.
ELSEWHERE = {
    "lr_scheduler": "optim.schedules, as in optim.Adam(lr=optim.schedules.cosine(1e-3, total_steps=1000))",
    "RMSProp": "optim.RMSprop", "Momentum": "optim.SGD(lr=0.01, momentum=0.9)",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]

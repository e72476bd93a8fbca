"""Losses: PyTorch's class names, and the strings that `bp.Model(loss=...)` takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from ..errors import did_you_mean, late, missing
from .base import Loss
from .cross_entropy import CrossEntropyLoss
from .gaussian_nll import GaussianNLLLoss
from .nll import NLLLoss
from .pointwise import (
    BCEWithLogitsLoss,
    FocalLoss,
    HingeLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    PoissonNLLLoss,
    QuantileLoss,
    SmoothL1Loss,
)

if TYPE_CHECKING:
    from .output_losses import OutputLosses
    from .traced_loss import TracedLoss, traced

__all__ = [
    "BCEWithLogitsLoss", "CrossEntropyLoss", "FocalLoss", "GaussianNLLLoss", "HingeLoss", "HuberLoss", "L1Loss", "Loss",
    "MSELoss", "NLLLoss", "OutputLosses", "PoissonNLLLoss", "QuantileLoss", "SmoothL1Loss", "TracedLoss", "by_name", "traced",
]  # fmt: skip

NAMES: dict[str, Callable[[], Loss]] = {
    "cross_entropy": CrossEntropyLoss,
    "mse": MSELoss,
    "mae": L1Loss,
    "l1": L1Loss,
    "huber": HuberLoss,
    "smooth_l1": SmoothL1Loss,
    "bce_with_logits": BCEWithLogitsLoss,
    "nll": NLLLoss,
    "poisson": PoissonNLLLoss,
    "gaussian_nll": GaussianNLLLoss,
    "quantile": QuantileLoss,
    "hinge": HingeLoss,
    "focal": FocalLoss,
}
LossName = Literal[
    "cross_entropy", "mse", "mae", "l1", "huber", "smooth_l1", "bce_with_logits", "nll", "poisson", "gaussian_nll",
    "quantile", "hinge", "focal",
]  # fmt: skip
# What other libraries call these losses, and what is different here.
ELSEWHERE = {
    "binary_crossentropy": "'bce_with_logits', whose network ends without a sigmoid",
    "binary_cross_entropy": "'bce_with_logits', whose network ends without a sigmoid",
    "bce": "'bce_with_logits', whose network ends without a sigmoid",
    "categorical_crossentropy": "'cross_entropy', whose network ends without a softmax",
    "sparse_categorical_crossentropy": "'cross_entropy', whose network ends without a softmax",
    "log_loss": "'cross_entropy' (classes) or 'bce_with_logits' (one output)",
    "mean_squared_error": "'mse'",
    "squared_error": "'mse'",
    "mean_absolute_error": "'mae'",
}


def by_name(loss: Any, weights: Any = None) -> Loss:
    """A loss object for a loss object or a name; for several outputs of a list or a dict of such, with their weights."""
    if isinstance(loss, list | tuple | dict):
        from .output_losses import OutputLosses  # here: `import backpass` is to be quick

        if isinstance(loss, dict):
            return OutputLosses({name: _of_output(name, one) for name, one in loss.items()}, weights)
        return OutputLosses([_of_output(number, one) for number, one in enumerate(loss)], weights)
    if weights is not None:
        raise ValueError(
            f"loss_weights is {weights!r:.80}, but loss is {loss!r:.80}, expected a loss for each output"
        )
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in NAMES:
        return NAMES[loss]()
    near = ""
    if isinstance(loss, str):
        elsewhere = ELSEWHERE.get(loss.lower())
        near = f"; did you mean {elsewhere}?" if elsewhere else did_you_mean(loss, NAMES)
    raise ValueError(
        f"loss is {loss!r:.80}, expected one of {sorted(NAMES)}, a loss object, or a callable (pred, y) -> (value, grad){near}"
    )


def _of_output(name: Any, loss: Any) -> Loss:
    """The loss object of one of several outputs."""
    if isinstance(loss, Loss) or (isinstance(loss, str) and loss in NAMES):
        return by_name(loss)
    near = (
        did_you_mean(loss, NAMES)
        if isinstance(loss, str)
        else "; one callable of all outputs may be loss itself"
    )
    raise ValueError(
        f"loss[{name!r}] is {loss!r:.80}, expected one of {sorted(NAMES)}, or a loss object{near}"
    )


def __getattr__(name: str) -> Any:
    if name in ("TracedLoss", "traced"):
        return late(__name__, name, ".traced_loss")
    if name == "OutputLosses":
        return late(__name__, name, ".output_losses")
    raise missing(__name__, name, __all__, {"BCELoss": "losses.BCEWithLogitsLoss()"})


def __dir__() -> list[str]:
    return [*__all__]

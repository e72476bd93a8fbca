"""Layers under PyTorch's names. The losses stand here too, where PyTorch's users look for them."""

from typing import Any

from ..errors import did_you_mean
from ..losses import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    FocalLoss,
    GaussianNLLLoss,
    HingeLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    PoissonNLLLoss,
    QuantileLoss,
    SmoothL1Loss,
)
from .activation import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .batch_norm import BatchNorm1d
from .containers import Flatten, Residual, Sequential
from .dropout import Dropout
from .gaussian_noise import GaussianNoise
from .image_augmentation import Cutout, RandomHorizontalFlip, RandomShift
from .layer import Layer
from .layer_norm import LayerNorm
from .linear import Linear
from .mixup import MixUp
from .softmax import LogSoftmax, Softmax

__all__ = [
    "ELU", "GELU", "BCEWithLogitsLoss", "BatchNorm1d", "CrossEntropyLoss", "Cutout", "Dropout", "Flatten", "FocalLoss",
    "GaussianNLLLoss", "GaussianNoise", "HingeLoss", "HuberLoss", "Identity", "L1Loss", "Layer", "LayerNorm", "LeakyReLU",
    "Linear", "LogSoftmax", "MSELoss", "MixUp", "NLLLoss", "PoissonNLLLoss", "QuantileLoss", "RandomHorizontalFlip",
    "RandomShift", "ReLU", "Residual", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Tanh",
]  # fmt: skip
# What other libraries call these layers.
ELSEWHERE = {
    "Dense": "Linear(in_features, out_features)", "BatchNormalization": "BatchNorm1d(num_features)",
    "LayerNormalization": "LayerNorm(normalized_shape)", "Swish": "SiLU()", "BCELoss": "BCEWithLogitsLoss()",
    "Add": "Residual(...)", "Input": "no layer for it: the first one names in_features",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    near = f"; here it is nn.{ELSEWHERE[name]}" if name in ELSEWHERE else did_you_mean(name, __all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{near}")


def __dir__() -> list[str]:
    return [*__all__]

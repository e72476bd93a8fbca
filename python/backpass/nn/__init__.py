"""Layers under PyTorch's names. The losses stand here too, where PyTorch's users look for them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import late, missing
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
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module
from .parameter import Parameter
from .softmax import LogSoftmax, Softmax

if TYPE_CHECKING:
    from ..losses import traced
    from .collections import ModuleDict, ModuleList
    from .gaussian_noise import GaussianNoise
    from .image_augmentation import Cutout, RandomHorizontalFlip, RandomShift
    from .image_transforms import ColorJitter, RandomCrop, RandomRotation
    from .mixup import MixUp

__all__ = [
    "ELU",
    "GELU",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "ColorJitter",
    "CrossEntropyLoss",
    "Cutout",
    "Dropout",
    "Flatten",
    "FocalLoss",
    "GaussianNLLLoss",
    "GaussianNoise",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MixUp",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "PoissonNLLLoss",
    "QuantileLoss",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomShift",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "traced",
]  # fmt: skip
# Imported when they are asked for.
LATE = {
    "Cutout": ".image_augmentation", "GaussianNoise": ".gaussian_noise", "MixUp": ".mixup", "ModuleDict": ".collections",
    "ModuleList": ".collections", "RandomHorizontalFlip": ".image_augmentation", "RandomShift": ".image_augmentation",
    "traced": "..losses", "ColorJitter": ".image_transforms", "RandomCrop": ".image_transforms",
    "RandomRotation": ".image_transforms",
}  # fmt: skip
# What other libraries call these layers.
ELSEWHERE = {
    "Dense": "nn.Linear(in_features, out_features)", "BatchNormalization": "nn.BatchNorm1d(num_features)",
    "LayerNormalization": "nn.LayerNorm(normalized_shape)", "Swish": "nn.SiLU()", "BCELoss": "nn.BCEWithLogitsLoss()",
    "Add": "nn.Residual(...)", "Input": "no layer: the first one names in_features",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "functional":
        return import_module(".functional", __name__)
    if name in LATE:
        return late(__name__, name, LATE[name])
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]

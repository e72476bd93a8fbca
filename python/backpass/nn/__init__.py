"""Layers under PyTorch's names. The losses stand here too, where PyTorch's users look for them."""

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
from . import add
from . import sparse_linear as sparse_linear  # whose ops register
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
    "Linear", "LogSoftmax",
    "MSELoss", "MixUp", "NLLLoss", "PoissonNLLLoss", "QuantileLoss", "RandomHorizontalFlip", "RandomShift", "ReLU", "Residual",
    "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Tanh", "add",
]  # fmt: skip

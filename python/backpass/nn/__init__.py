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
from .batch_norm import BatchNorm1d, BatchNorm2d, SyncBatchNorm
from .containers import Flatten, Residual, Sequential
from .dropout import Dropout
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module
from .parameter import Parameter
from .softmax import LogSoftmax, Softmax

if TYPE_CHECKING:
    from ..losses import traced
    from .adaptive_pool import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d
    from .attention import MultiheadAttention
    from .avg_pool import AvgPool1d, AvgPool2d
    from .channel_dropout import Dropout1d, Dropout2d
    from .collections import ModuleDict, ModuleList, ParameterList
    from .conv import Conv1d, Conv2d
    from .conv_transpose import ConvTranspose1d, ConvTranspose2d
    from .embedding import Embedding
    from .embedding_bag import EmbeddingBag
    from .expression_activation import (
        CELU,
        SELU,
        Hardsigmoid,
        Hardswish,
        Hardtanh,
        LogSigmoid,
        Mish,
        ReLU6,
        Softsign,
    )
    from .feature_tokenizer import FeatureTokenizer
    from .gated import GLU
    from .gaussian_noise import GaussianNoise
    from .global_pool import GlobalAvgPool, GlobalMaxPool
    from .group_norm import GroupNorm, InstanceNorm1d, InstanceNorm2d
    from .image_augmentation import Cutout, RandomHorizontalFlip, RandomShift
    from .image_transforms import ColorJitter, RandomCrop, RandomRotation
    from .max_pool import MaxPool1d, MaxPool2d
    from .mixup import MixUp
    from .permute import Permute
    from .positions import PositionalEmbedding, RotaryPositions, SinusoidalPositions
    from .prelu import PReLU
    from .recurrent import GRU, LSTM, RNN
    from .recurrent_cells import GRUCell, LSTMCell, RNNCell
    from .rms_norm import RMSNorm
    from .transformer_decoder import TransformerDecoderLayer
    from .transformer_encoder import TransformerEncoder, TransformerEncoderLayer
    from .unflatten import Unflatten
    from .upsample import Upsample

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "ColorJitter",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Cutout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Embedding",
    "EmbeddingBag",
    "FeatureTokenizer",
    "Flatten",
    "FocalLoss",
    "GRUCell",
    "GaussianNLLLoss",
    "GaussianNoise",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "MixUp",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterList",
    "Permute",
    "PoissonNLLLoss",
    "PositionalEmbedding",
    "QuantileLoss",
    "RMSNorm",
    "RNNCell",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomShift",
    "ReLU",
    "ReLU6",
    "Residual",
    "RotaryPositions",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "SyncBatchNorm",
    "Tanh",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "Upsample",
    "traced",
]  # fmt: skip
# Imported when they are asked for.
LATE = {
    "CELU": ".expression_activation", "Hardsigmoid": ".expression_activation", "Hardswish": ".expression_activation",
    "Hardtanh": ".expression_activation", "LogSigmoid": ".expression_activation", "Mish": ".expression_activation",
    "ReLU6": ".expression_activation", "SELU": ".expression_activation", "Softsign": ".expression_activation",
    "Conv1d": ".conv", "Conv2d": ".conv", "ConvTranspose1d": ".conv_transpose",
    "ConvTranspose2d": ".conv_transpose", "Cutout": ".image_augmentation",
    "GaussianNoise": ".gaussian_noise", "MixUp": ".mixup", "ModuleDict": ".collections", "ParameterList": ".collections",
    "ModuleList": ".collections", "RandomHorizontalFlip": ".image_augmentation", "RandomShift": ".image_augmentation",
    "AdaptiveAvgPool1d": ".adaptive_pool", "AdaptiveAvgPool2d": ".adaptive_pool", "AdaptiveMaxPool1d": ".adaptive_pool",
    "RNN": ".recurrent", "LSTM": ".recurrent", "GRU": ".recurrent",
    "RNNCell": ".recurrent_cells", "LSTMCell": ".recurrent_cells", "GRUCell": ".recurrent_cells",
    "AdaptiveMaxPool2d": ".adaptive_pool", "AvgPool1d": ".avg_pool", "AvgPool2d": ".avg_pool", "GlobalAvgPool": ".global_pool",
    "GlobalMaxPool": ".global_pool", "MaxPool1d": ".max_pool", "MaxPool2d": ".max_pool",
    "Dropout1d": ".channel_dropout", "Dropout2d": ".channel_dropout", "GroupNorm": ".group_norm", "InstanceNorm1d": ".group_norm",
    "InstanceNorm2d": ".group_norm", "Upsample": ".upsample",
    "Embedding": ".embedding", "EmbeddingBag": ".embedding_bag", "FeatureTokenizer": ".feature_tokenizer",
    "Permute": ".permute", "PositionalEmbedding": ".positions", "RotaryPositions": ".positions",
    "SinusoidalPositions": ".positions",
    "traced": "..losses", "ColorJitter": ".image_transforms", "RandomCrop": ".image_transforms",
    "RandomRotation": ".image_transforms",
    "PReLU": ".prelu", "Unflatten": ".unflatten",
    "GLU": ".gated", "MultiheadAttention": ".attention", "RMSNorm": ".rms_norm",
    "TransformerDecoderLayer": ".transformer_decoder", "TransformerEncoder": ".transformer_encoder",
    "TransformerEncoderLayer": ".transformer_encoder",
}  # fmt: skip
# What other libraries call these layers.
ELSEWHERE = {
    "Dense": "nn.Linear(in_features, out_features)", "BatchNormalization": "nn.BatchNorm1d or BatchNorm2d(num_features)",
    "LayerNormalization": "nn.LayerNorm(normalized_shape)", "Swish": "nn.SiLU()", "BCELoss": "nn.BCEWithLogitsLoss()",
    "MaxPooling1D": "nn.MaxPool1d(kernel_size)", "MaxPooling2D": "nn.MaxPool2d(kernel_size)",
    "AveragePooling1D": "nn.AvgPool1d(kernel_size)", "AveragePooling2D": "nn.AvgPool2d(kernel_size)",
    "GlobalAveragePooling1D": "nn.GlobalAvgPool()", "GlobalAveragePooling2D": "nn.GlobalAvgPool()",
    "GlobalMaxPooling1D": "nn.GlobalMaxPool()", "GlobalMaxPooling2D": "nn.GlobalMaxPool()",
    "Bilinear": "bp.einsum('bi,oij,bj->bo', a, self.weight, b) in the forward of an nn.Module",
    "Add": "nn.Residual(...)", "Input": "no layer: the first one names in_features",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("functional", "init"):
        return import_module(f".{name}", __name__)
    if name in LATE:
        return late(__name__, name, LATE[name])
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]

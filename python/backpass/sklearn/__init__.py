"""Estimators for scikit-learn 1.6 and newer: `pip install backpass[sklearn]`. `import backpass` does not import them."""

from typing import Any

from ..errors import did_you_mean

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ModuleNotFoundError(
        "backpass.sklearn needs scikit-learn 1.6 or newer: pip install 'backpass[sklearn]'", name="sklearn"
    ) from error

from .cnn.classifier import CNNClassifier
from .elm.classifier import ELMClassifier
from .elm.regressor import ELMRegressor
from .mlp.classifier import MLPClassifier
from .mlp.regressor import MLPRegressor
from .rnn.classifier import RNNClassifier
from .rnn.regressor import RNNRegressor

__all__ = [
    "CNNClassifier",
    "ELMClassifier",
    "ELMRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "RNNClassifier",
    "RNNRegressor",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    return [*__all__]

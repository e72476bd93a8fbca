"""Estimators for scikit-learn 1.6 and newer: `pip install backpass[sklearn]`. `import backpass` does not import them."""

from .elm_classifier import ELMClassifier
from .elm_regressor import ELMRegressor
from .mlp_classifier import MLPClassifier
from .mlp_regressor import MLPRegressor

__all__ = ["ELMClassifier", "ELMRegressor", "MLPClassifier", "MLPRegressor"]

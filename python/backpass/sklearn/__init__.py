"""Estimators for scikit-learn; needs scikit-learn 1.6 or newer, which `import backpass` does not import."""

from .elm_classifier import ELMClassifier
from .elm_regressor import ELMRegressor

__all__ = ["ELMClassifier", "ELMRegressor"]

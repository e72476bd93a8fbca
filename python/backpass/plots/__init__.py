"""Pictures of a model with matplotlib, `pip install "backpass[plot]"`: what its convolutions look for, and what they find."""

from typing import Any

from ..drawing.curves import gradient_norms, learning_curves
from ..errors import missing
from .feature_maps import feature_maps
from .filters import filters

__all__ = ["feature_maps", "filters", "gradient_norms", "learning_curves"]


def __getattr__(name: str) -> Any:
    raise missing(
        __name__, name, __all__, {"kernels": "bp.plots.filters", "activations": "bp.plots.feature_maps"}
    )


def __dir__() -> list[str]:
    return [*__all__]

"""Reading of X as images."""

from typing import Any

from ...data.arrays import as_array
from ...data.images import Images

EXPECTED = "expected images (N, C, H, W), or (N, H, W) of one channel"


def as_images(X: Any) -> Images:
    """X as bp.Images, which keep the pixels as they are; uint8 is scaled to 0 ... 1."""
    if isinstance(X, Images):
        return X
    if isinstance(X, list | tuple) and X and all(hasattr(image, "shape") for image in X):
        shapes = {tuple(image.shape) for image in X}
        if len(shapes) > 1:
            raise ValueError(f"X holds images of shapes {sorted(shapes)!r:.80}, expected one shape")
    array = as_array("X", X)
    if array.ndim == 2:
        raise ValueError(
            f"X has shape {array.shape}, {EXPECTED}: a table goes to MLPClassifier; flattened images become images again by"
            " X.reshape(-1, height, width)"
        )
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise ValueError(f"X has shape {array.shape}, {EXPECTED}, at least one image")
    return Images(array[:, None] if array.ndim == 3 else array)

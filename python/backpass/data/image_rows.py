"""Images as a source of rows: scaled and normalised in the model's dtype while a batch is gathered."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ops import gather_images
from ..program import Instruction, call


@dataclass(eq=False, repr=False)
class ImageRows:
    """(pixels · scale - mean) / std in one dtype; pixels are (N, H, W, C) where `channels_last`, else (N, C, H, W)."""

    pixels: np.ndarray
    channels_last: bool
    scale: float
    # (C,)
    mean: np.ndarray
    std: np.ndarray
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self._first(self.pixels).shape

    @property
    def settings(self) -> np.ndarray:
        """What a fingerprint knows besides the pixels."""
        return np.concatenate([[self.scale], self.mean, self.std])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> "ImageRows":
        return replace(self, pixels=self.pixels[rows])

    def numbers(self, rows: Any) -> np.ndarray:
        """Some rows as the network sees them, (rows, C, H, W)."""
        axes = (-1,) if self.channels_last else (-1, 1, 1)
        number = self.dtype.type
        with np.errstate(all="ignore"):  # in their dtype numbers may be too large for the model's
            out: np.ndarray = self.pixels[rows].astype(self.dtype)
            out *= number(self.scale)
            out -= self.mean.astype(number).reshape(axes)
            out /= self.std.astype(number).reshape(axes)
        return self._first(out)

    def gather(self, out: np.ndarray, index: np.ndarray, cursor: np.ndarray) -> Instruction:
        """What fills a batch (B, C, H, W), which lies in memory as the images do."""
        batch = self._planes(out.transpose(0, 2, 3, 1) if self.channels_last else out)
        mean, std = (numbers.astype(self.dtype) for numbers in (self.mean, self.std))
        return call(
            gather_images, source=self._planes(self.pixels), index=index, cursor=cursor, mean=mean, std=std, out=batch,
            scale=self.scale,
        )  # fmt: skip

    def _first(self, images: np.ndarray) -> np.ndarray:
        return images.transpose(0, 3, 1, 2) if self.channels_last else images

    def _planes(self, images: np.ndarray) -> np.ndarray:
        """(N, A, C, P) as `gather_images` takes it."""
        _, channels, height, width = self.shape
        planes = (height * width, channels, 1) if self.channels_last else (1, channels, height * width)
        return images.reshape(len(images), *planes)

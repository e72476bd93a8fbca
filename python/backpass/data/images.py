"""Images as data: pixels stay as they are in memory, and are scaled and normalised while a batch is gathered."""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ..checks import is_name, real
from ..ops import NUMBERS
from . import arrays
from .image_rows import ImageRows

if TYPE_CHECKING:
    from .image_folder import ImageFolder

LAYOUTS = ("NCHW", "NHWC")
EXPECTED = "expected images (N, C, H, W), or (N, H, W, C) with layout='NHWC'"


class Images:
    """Images as X of a model: the network sees (X · scale - mean) / std, of shape (N, C, H, W).

    X is kept as it is, such as uint8 or a memory map; batches are converted while they are gathered. The result has the bits of
    an X that was computed by this formula in the model's dtype, one operation after the other. With mean and std it is what
    torchvision's `ToTensor` and `Normalize(mean, std)` give: mean and std belong to pixels from 0 to 1.

    Args:
        X: an array of numbers or a memory map, in the order of `layout`.
        layout: "NCHW" for (N, C, H, W), the default, or "NHWC" for (N, H, W, C), which is trained on with the channels last in
            memory.
        mean: subtracted after scaling: a number, or one for each channel; default None, 0.
        std: divided by: a positive number, or one for each channel; default None, 1.
        scale: multiplied first; default None, 1/255 for uint8 and 1 for all other dtypes.

    Shapes: `images.shape` is (N, C, H, W) for both layouts. `images[10:20]`, `images[mask]` and `images[indices]` are Images;
        `np.asarray(images)` are the numbers that a network sees, in float32.

    Raises:
        ValueError: an X of other than four dimensions; a layout, mean, std or scale that does not fit.
        TypeError: an X that holds no numbers.

    Example:
        >>> images = bp.Images(np.zeros((8, 4, 4, 3), np.uint8), layout="NHWC", mean=0.5, std=0.25)
        >>> images.shape, float(np.asarray(images)[0, 0, 0, 0])
        ((8, 3, 4, 4), -2.0)
    """

    def __init__(
        self,
        X: Any,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        scale: float | None = None,
    ) -> None:
        _check_layout(layout)
        array = arrays.as_array("X", X)
        if array.ndim != 4 or 0 in array.shape[1:]:
            hint = "; grey images need an axis for their one channel, X[:, None]" if array.ndim == 3 else ""
            raise ValueError(f"Images: X has shape {array.shape}, {EXPECTED}{hint}")
        self.scale = _scale(scale, array.dtype)
        if array.dtype == bool:
            array = array.view(np.uint8)
        # In the order of its memory: a transposed view needs no copy.
        first = array.transpose(0, 3, 1, 2) if layout == "NHWC" else array
        last = first.transpose(0, 2, 3, 1)
        self.channels_last = bool(
            last.flags.c_contiguous
            if layout == "NCHW" and not first.flags.c_contiguous
            else layout == "NHWC" and (last.flags.c_contiguous or not first.flags.c_contiguous)
        )
        self.pixels = _readable(last if self.channels_last else first)
        self.mean = _per_channel("mean", 0.0 if mean is None else mean, first.shape[1])
        self.std = _per_channel("std", 1.0 if std is None else std, first.shape[1])

    @staticmethod
    def from_folder(
        path: str | PathLike[str],
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        scale: float | None = None,
        chunk_size: int = 1024,
        seed: int = 0,
        threads: int | None = None,
        y: Any = None,
    ) -> "ImageFolder":
        """Read a folder with one subfolder for each class, as a sequence of chunks (Images, labels) for `fit` and `evaluate`.

        A file is a PNG or JPEG, which Pillow decodes (`pip install 'backpass[images]'`), or a .npy file of one image or a stack
        of images. Threads read the next chunk while the model trains on the present one.

        Args:
            size: height and width that PNG and JPEG are resized to, bilinear; an integer for both; default None: as they are.
            channels: of PNG and JPEG: 3, the default, or 1 for grey.
            layout: of the images in .npy files.
            mean, std, scale: as of `Images`.
            chunk_size: images in a chunk, default 1024.
            seed: of the order of the images, default 0.
            threads: that read, default None: one for each core, at most 8.
            y: of a folder without subfolders: targets (N, ...) of the images of its files, sorted by name.

        Returns:
            A sequence with the attributes `classes`, `labels` and `paths`.

        Raises:
            ImportError: there are PNG or JPEG files, but no Pillow.
            FileNotFoundError: the path is no folder.
            ValueError: an argument out of range; no images; a file that cannot be read, or whose image has another shape.

        Example:
            >>> data = bp.Images.from_folder("flowers", size=64, mean=0.5, std=0.25)  # doctest: +SKIP
            >>> model.fit(data, epochs=10)  # doctest: +SKIP
        """
        from .image_folder import ImageFolder  # here: `import backpass` is to be quick

        make = partial(Images, mean=mean, std=std, scale=scale)
        _check_layout(layout)
        return ImageFolder(path, size, channels, layout, chunk_size, seed, threads, y, make)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self.rows(np.dtype(np.float32)).shape

    @property
    def ndim(self) -> int:
        return 4

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the pixels in memory."""
        return self.pixels.dtype

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Any) -> Self:
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is ...:  # as scikit-learn writes it
            rows = rows[0]
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.ndim != 1 or rows.dtype.kind not in "iub":
                raise TypeError(
                    f"Images: the index is {rows.tolist()!r:.80}, expected a slice, a mask or an array of integers"
                )
        return self.of(self.pixels[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        numbers = self.rows(np.dtype(np.float32)).numbers(slice(None))
        return numbers if dtype is None else numbers.astype(dtype)

    def __repr__(self) -> str:
        order = "NHWC" if self.channels_last else "NCHW"
        return f"Images({self.shape}, {self.dtype}, in memory {order})"

    def of(self, pixels: np.ndarray) -> Self:
        """Other pixels, scaled and normalised in the same way."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__ | {"pixels": _readable(pixels)})
        return new

    def rows(self, dtype: np.dtype[Any]) -> ImageRows:
        """What a model of this dtype reads."""
        return ImageRows(self.pixels, self.channels_last, self.scale, self.mean, self.std, dtype)


def _check_layout(layout: Any) -> None:
    if not is_name(layout, LAYOUTS):
        raise ValueError(f"Images: layout is {layout!r}, expected one of {list(LAYOUTS)}")


def _readable(pixels: np.ndarray) -> np.ndarray:
    """Pixels as `gather_images` reads them: contiguous, of a dtype that it knows."""
    if pixels.dtype not in NUMBERS:
        wider = np.result_type(pixels.dtype, np.float32) if pixels.dtype.kind == "f" else np.int64
        pixels = arrays.cast("X", pixels, wider if wider in NUMBERS else np.float64)
    return arrays.plain(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("=")))


def _scale(scale: Any, dtype: np.dtype[Any]) -> float:
    if scale is None:
        return 1 / 255 if dtype == np.uint8 else 1.0
    number = real(scale)
    if not 1e-30 <= abs(number) <= 1e30:
        raise ValueError(f"Images: scale is {scale!r}, expected None or a number other than 0")
    return number


def _per_channel(name: str, value: Any, channels: int) -> np.ndarray:
    """A number for each channel."""
    numbers = arrays.as_array(f"Images: {name}", value).astype(np.float64)
    if numbers.shape not in ((), (1,), (channels,)):
        raise ValueError(
            f"Images: {name} has shape {numbers.shape}, expected a number or one for each of {channels} channels"
        )
    low = 1e-30 if name == "std" else -1e30
    if not ((numbers >= low) & (numbers <= 1e30)).all():
        kind = "positive numbers" if name == "std" else "finite numbers"
        raise ValueError(f"Images: {name} is {value!r:.80}, expected {kind}")
    return np.ascontiguousarray(np.broadcast_to(numbers, channels))

"""Folders of images as chunks: files are read and decoded by threads, while the model trains on the chunk before."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..checks import as_path, is_whole, seed, whole
from . import arrays

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

PICTURES = (".png", ".jpg", ".jpeg")
MODES = {1: "L", 3: "RGB"}


class Header(NamedTuple):
    """Where the numbers of a .npy file begin, and what they are."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]


class Item(NamedTuple):
    """One image: its file, the row of a stack of images (-1 for a file of one), the number of its class."""

    path: Path
    row: int
    label: int
    # Of a .npy file.
    header: Header | None = None


class ImageFolder:
    """A sequence of chunks (Images, labels): what `bp.Images.from_folder` gives, and `fit` and `evaluate` take.

    The images are in a random order, the same for the same seed, so that a chunk has images of all classes.

    Attributes:
        classes: the names of the subfolders, sorted.
        labels: (N,) the class of each image, or y, in the order of the chunks.
        paths: the file of each image, in this order.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: int | tuple[int, int] | None,
        channels: int,
        layout: str,
        chunk_size: int,
        seed_of_order: int,
        threads: int | None,
        y: Any,
        make: Callable[[np.ndarray, str], Any],
    ) -> None:
        """make: Images of pixels and their layout."""
        if not is_whole(channels) or channels not in MODES:
            raise ValueError(f"from_folder: channels is {channels!r}, expected 3 or 1")
        self.size, self.channels, self.layout, self.make = _size(size), int(channels), layout, make
        self.chunk_size = whole("from_folder: chunk_size", chunk_size, 1)
        self.threads = min(os.cpu_count() or 1, 8)
        if threads is not None:
            self.threads = whole("from_folder: threads", threads, 1, 256)
        self.classes, items = _items(Path(as_path("path", path)), y is not None)
        order = np.random.default_rng(seed(seed_of_order)).permutation(len(items))
        self._items = [items[place] for place in order]
        self.labels = np.array([item.label for item in self._items], np.int64)
        if y is not None:
            targets = arrays.as_array("y", y)
            if len(np.atleast_1d(targets)) != len(items):
                raise ValueError(
                    f"from_folder: y has shape {targets.shape}, but there are {len(items)} images"
                )
            self.labels = targets[order]
        self.paths = [item.path for item in self._items]
        if any(item.path.suffix.lower() in PICTURES for item in self._items):
            _pillow()
            # Pillow decodes (H, W, C).
            self.order = "NHWC"
        else:
            self.order = layout
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0
        self._ahead: dict[int, list[Future[np.ndarray]]] = {}
        self._shape = self._read(self._items[0]).shape

    def __len__(self) -> int:
        return -(-len(self._items) // self.chunk_size)

    def __getitem__(self, number: int) -> tuple[Any, np.ndarray]:
        if not is_whole(number):
            raise TypeError(f"ImageFolder: the index is {number!r:.80}, expected the number of a chunk")
        if not -len(self) <= number < len(self):
            raise IndexError(f"ImageFolder: the index is {number}, but there are {len(self)} chunks")
        number = int(number) % len(self)
        self.prefetch(number)
        images = [future.result() for future in self._ahead.pop(number)]
        for item, image in zip(self._of(number), images, strict=True):
            if image.shape != self._shape:
                raise ValueError(
                    f"{item.path} has an image of shape {image.shape}, but {self._items[0].path} of {self._shape}:"
                    " size=(height, width) resizes PNG and JPEG"
                )
        rows = slice(number * self.chunk_size, (number + 1) * self.chunk_size)
        return self.make(np.stack(images), self.order), self.labels[rows]

    def __repr__(self) -> str:
        return f"ImageFolder({len(self._items)} images of {len(self.classes)} classes in {len(self)} chunks)"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None, "_ahead": {}}

    def prefetch(self, number: int) -> None:
        """Begin to read a chunk, which `fit` will ask for next."""
        if self._pool is None or self._process != os.getpid():  # a forked process has no threads
            from concurrent.futures import ThreadPoolExecutor  # here: `import backpass` is to be quick

            self._pool, self._process, self._ahead = ThreadPoolExecutor(self.threads), os.getpid(), {}
        if number not in self._ahead:
            for other in [*self._ahead][:-1]:  # at most two chunks are in memory
                for future in self._ahead.pop(other):
                    future.cancel()
            self._ahead[number] = [self._pool.submit(self._read, item) for item in self._of(number)]

    def _of(self, number: int) -> list[Item]:
        return self._items[number * self.chunk_size : (number + 1) * self.chunk_size]

    def _read(self, item: Item) -> np.ndarray:
        """One image, as it lies in a chunk."""
        if item.path.suffix.lower() in PICTURES:
            return self._decoded(item.path)
        assert item.header is not None
        stored = _mapped(item.path, item.header)
        image = stored if item.row < 0 else stored[item.row]
        return np.asarray(image.transpose(1, 2, 0) if self.order != self.layout else image)

    def _decoded(self, path: Path) -> np.ndarray:
        pillow = _pillow()
        try:
            with pillow.open(path) as opened:
                image = opened.convert(MODES[self.channels])
                if self.size is not None and image.size != self.size[::-1]:
                    image = image.resize(self.size[::-1], pillow.Resampling.BILINEAR)
                array = np.asarray(image)
        except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
            raise ValueError(f"{path} cannot be read as an image: {error}") from None
        return array[:, :, None] if array.ndim == 2 else array


def _size(size: Any) -> tuple[int, int] | None:
    pair = size if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if size is None:
        return None
    if len(pair) != 2 or not all(is_whole(one) and 1 <= one <= 2**15 for one in pair):
        raise ValueError(
            f"from_folder: size is {size!r}, expected (height, width), an integer for both or None"
        )
    return int(pair[0]), int(pair[1])


def _items(path: Path, flat: bool) -> tuple[list[str], list[Item]]:
    """The names of the classes, and all images, sorted; flat: whether all of them lie in one folder, of no class."""
    if not path.is_dir():
        raise FileNotFoundError(f"from_folder: path is {str(path)!r}, which is no folder")
    if flat:
        return [], _of_folder(path, 0)
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and folder.name[0] != ".")
    if not folders:
        raise ValueError(f"from_folder: {str(path)!r} has no subfolders, expected one for each class, or y")
    items = [item for label, folder in enumerate(folders) for item in _of_folder(folder, label)]
    return [folder.name for folder in folders], items


def _of_folder(folder: Path, label: int) -> list[Item]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name[0] != ".")
    items = [item for file in files for item in _of_file(file, label)]
    if not items:
        raise ValueError(f"from_folder: {str(folder)!r} holds no images, expected .npy, .png, .jpg or .jpeg")
    return items


def _of_file(path: Path, label: int) -> list[Item]:
    if path.suffix.lower() in PICTURES:
        return [Item(path, -1, label)]
    if path.suffix.lower() != ".npy":
        return []
    header = _header(path)
    if len(header.shape) not in (3, 4):
        raise ValueError(
            f"{path} holds an array of shape {header.shape}, expected an image or a stack of images"
        )
    rows = (-1,) if len(header.shape) == 3 else range(header.shape[0])
    return [Item(path, row, label, header) for row in rows]


def _header(path: Path) -> Header:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as an array: {error}") from None
    return Header(array.offset, array.dtype, array.shape, "C" if array.flags.c_contiguous else "F")


def _mapped(path: Path, header: Header) -> np.ndarray:
    """A .npy file by what is known of it: np.load parses the header by `ast`, which Python 3.11 cannot do in two threads."""
    try:
        return np.memmap(path, header.dtype, "r", header.offset, header.shape, header.order)
    except ValueError as error:
        raise ValueError(f"{path} has changed since the folder was read: {error}") from None


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("PNG and JPEG need Pillow: pip install 'backpass[images]'") from None
    return Image

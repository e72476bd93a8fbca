"""Checkpoint files: safetensors with a checksum, written so that at every moment a whole one is there."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import CheckpointError, DamagedError, MissingError
from ..system.whole_files import replacing, temporary_of
from .safetensors import MAX_HEADER, Entry, decode, encode, raw

BLANK = b"0" * 64  # stands for the checksum while it is computed over all other bytes of the file
FIELD = b'"sha256":"'


Tensors = Mapping[str, np.ndarray]
# The header, and the order of the tensors behind it.
Layout = tuple[bytes, list[str]]


def write(
    path: Path,
    tensors: Tensors,
    metadata: Mapping[str, str],
    keep: int = 1,
    check: bool = False,
) -> None:
    """Replace `path` in one step, or leave it as it was; the keep - 1 files before it become path.1, path.2, ...

    check: see first whether the file before is whole; if not, those before it stay where they are.
    """
    layout = _laid_out(path, tensors, metadata)
    path = Path(os.path.realpath(path))  # a link stays a link

    def rotate() -> None:
        if keep > 1 and path.exists() and (not check or is_whole(path)):
            _rotate(path, keep)

    try:
        with replacing(path, rotate) as file:
            _write(file, layout, tensors)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror or error}") from error


def as_bytes(name: Path, tensors: Tensors, metadata: Mapping[str, str]) -> bytes:
    """What `write` would put in a file. name: what messages call it."""
    file = BytesIO()
    _write(file, _laid_out(name, tensors, metadata), tensors)
    return file.getvalue()


def read(path: Path, content: bytes | None = None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of a file that is exactly as it was written; CheckpointError says what is wrong.

    content: of `as_bytes`, in the place of a file; path is its name then.
    """
    tensors: dict[str, np.ndarray] = {}

    def into(entry: Entry) -> Iterator[memoryview]:
        tensors[entry.name] = np.empty(entry.shape, entry.dtype)
        yield raw(tensors[entry.name])

    if content is None:
        return tensors, _read(path, into)
    return tensors, _read_from(path, BytesIO(content), len(content), into)


def is_whole(path: Path) -> bool:
    """Whether a file can be read, without taking memory for it."""
    buffer = memoryview(bytearray(1 << 20))

    def into(entry: Entry) -> Iterator[memoryview]:
        for start in range(entry.start, entry.end, len(buffer)):
            yield buffer[: entry.end - start]

    try:
        _read(path, into)
    except CheckpointError:
        return False
    return True


def _read(path: Path, into: Callable[[Entry], Iterable[memoryview]]) -> dict[str, str]:
    """Read a file into the memory that `into` gives for each tensor; its metadata."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(
                f"{path} is {'a directory' if path.is_dir() else 'no regular file'}, expected a checkpoint"
            )
        with open(path, "rb") as file:
            return _read_from(path, file, os.fstat(file.fileno()).st_size, into)
    except FileNotFoundError as error:
        raise MissingError(f"{path} does not exist") from error
    except OSError as error:
        kind = DamagedError if error.errno == errno.EIO else CheckpointError  # EIO: a medium that fails
        raise kind(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError:
        raise CheckpointError(f"{path} does not fit in memory") from None


def _read_from(
    path: Path, file: BinaryIO, size: int, into: Callable[[Entry], Iterable[memoryview]]
) -> dict[str, str]:
    digest, metadata, entries = _header(path, file, size)
    for entry in entries:
        for data in into(entry):
            if file.readinto(data) != len(data):  # type: ignore[attr-defined]
                raise DamagedError(f"{path} is damaged: it became shorter while it was read")
            digest.update(data)
    if digest.hexdigest() != metadata["sha256"]:
        raise DamagedError(f"{path} is damaged: its checksum does not match its contents")
    return metadata


def _laid_out(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> Layout:
    header, order = encode(tensors, {**metadata, "sha256": BLANK.decode()})
    if len(header) - 8 > MAX_HEADER:
        raise CheckpointError(
            f"{path} cannot be written: {len(tensors):,} tensors and the model's description are more than its header holds"
        )
    return header, order


def _write(file: BinaryIO, layout: Layout, tensors: Tensors) -> None:
    header, order = layout
    digest = hashlib.sha256(header)
    file.write(header)
    for name in order:
        data = raw(tensors[name])
        digest.update(data)
        file.write(data)
    file.seek(header.index(FIELD + BLANK) + len(FIELD))
    file.write(digest.hexdigest().encode())


def _header(path: Path, file: BinaryIO, size: int) -> tuple["hashlib._Hash", dict[str, str], list[Entry]]:
    """It is read after its length is known to be sane, and believed where the tensors in it fill the file."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 10 or length < 2:
        raise DamagedError(f"{path} is damaged: it has {size} bytes and no header")
    if length > MAX_HEADER or length > size - 8:
        raise DamagedError(
            f"{path} is damaged or no checkpoint: its header claims {length:,} bytes, the file has {size:,}"
        )
    header = file.read(length)
    try:
        metadata, entries = decode(header)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged or no checkpoint: {error}") from error
    promised = 8 + length + (entries[-1].end if entries else 0)
    if promised != size:
        raise DamagedError(
            f"{path} is damaged: its header promises {promised:,} bytes, the file has {size:,}"
        )
    if "sha256" not in metadata or "backpass" not in metadata:
        raise CheckpointError(
            f"{path} holds tensors, but backpass did not write it: load_state_dict takes their arrays"
        )
    digest = hashlib.sha256(start)
    digest.update(header.replace(FIELD + metadata["sha256"].encode(), FIELD + BLANK, 1))
    return digest, metadata, entries


def previous(path: Path) -> list[Path]:
    """path.1, path.2, ...: the checkpoints before this one, newest first."""
    names = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,5})")
    try:
        matches = [match for entry in os.listdir(path.parent) if (match := names.fullmatch(entry))]
    except OSError:
        return []
    return [path.with_name(match[0]) for match in sorted(matches, key=lambda match: int(match[1]))]


def _rotate(path: Path, keep: int) -> None:
    """Make room at path.1, so that `path` itself is never missing."""

    def kept(number: int) -> Path:
        return path.with_name(f"{path.name}.{number}")

    free = 1  # the first number without a file, or the last that is kept; found without listing a folder that may forbid it
    while free < keep - 1 and os.path.lexists(kept(free)):
        free += 1
    for number in range(free, 1, -1):
        with contextlib.suppress(FileNotFoundError):  # another writer was faster
            os.replace(kept(number - 1), kept(number))
    spare = temporary_of(path)
    try:
        try:
            os.link(path, spare)
        except OSError:  # a file system without links
            shutil.copy2(path, spare)
        os.replace(spare, kept(1))
    finally:
        spare.unlink(missing_ok=True)  # renaming one link to another of the same file does nothing

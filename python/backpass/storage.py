"""Checkpoint files: safetensors with a checksum, written so that at every moment a whole one is there."""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CheckpointError, DamagedError

MAX_HEADER = 1 << 24  # bytes: room for a hundred thousand tensors
BLANK = b"0" * 64  # stands for the checksum while it is computed over all other bytes of the file
FIELD = b'"sha256":"'
STALE = 3600  # seconds after which another process's temporary file is taken for the leftover of a killed one
NO_SYNC = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EPERM,
    errno.EACCES,
}  # file systems whose folders cannot be synced


def write(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str], keep: int = 1) -> None:
    """Replace `path` in one step, or leave it as it was; the keep - 1 files before it become path.1, path.2, ..."""
    from safetensors.numpy import save  # here: `import backpass` is to be quick

    data = save(dict(tensors), {**metadata, "sha256": BLANK.decode()})
    if int.from_bytes(data[:8], "little") > MAX_HEADER:
        raise CheckpointError(
            f"{path} cannot be written: {len(tensors):,} tensors are more than its header has room for"
        )
    at = data.index(FIELD + BLANK) + len(FIELD)
    digest = hashlib.sha256(data).hexdigest().encode()
    path = Path(os.path.realpath(path))  # a link stays a link
    temporary = _temporary(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        with open(temporary, "xb") as file:
            for part in (memoryview(data)[:at], digest, memoryview(data)[at + len(BLANK) :]):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        _rotate(path, keep)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sweep(path)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of a file that is exactly as it was written; CheckpointError says what is wrong."""
    from safetensors.numpy import load

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(
                f"{path} is {'a directory' if path.is_dir() else 'no regular file'}, expected a checkpoint"
            )
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            metadata = _metadata(path, file.read(8), file, size)
            file.seek(0)
            data = bytearray(size)
            if file.readinto(data) != size:
                raise DamagedError(f"{path} is damaged: it became shorter while it was read")
        digest = metadata.get("sha256", "").encode()
        at = data.find(FIELD + digest) + len(FIELD)
        data[at : at + len(BLANK)] = BLANK
        if len(digest) != len(BLANK) or hashlib.sha256(data).hexdigest().encode() != digest:
            raise DamagedError(f"{path} is damaged: its checksum does not match its contents")
        return load(bytes(data)), metadata
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise DamagedError(f"{path} does not exist") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError:
        raise CheckpointError(f"{path} does not fit in memory") from None
    except Exception as error:  # whatever the parser of safetensors says
        raise DamagedError(f"{path} is damaged: {error}") from error


def previous(path: Path) -> list[Path]:
    """path.1, path.2, ...: the checkpoints before this one, newest first."""
    names = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,5})")
    try:
        found = [match for entry in os.listdir(path.parent) if (match := names.fullmatch(entry))]
    except OSError:
        return []
    return [path.with_name(match[0]) for match in sorted(found, key=lambda match: int(match[1]))]


def _metadata(path: Path, start: bytes, file: Any, size: int) -> dict[str, str]:
    """The metadata in the header, which is read only after it is known to be of a sane size."""
    length = int.from_bytes(start, "little")
    if size < 10 or length < 2:
        raise DamagedError(f"{path} is damaged: it has {size} bytes and no header")
    if length > MAX_HEADER or length > size - 8:
        raise DamagedError(
            f"{path} is damaged or no checkpoint: its header claims {length:,} bytes, the file has {size:,}"
        )
    try:
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        end = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
        sound = all(isinstance(value, str) for value in metadata.values())
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        sound, metadata, end = False, {}, 0
    if not sound:
        raise DamagedError(f"{path} is damaged or no checkpoint: its header cannot be read")
    if 8 + length + end != size:
        raise DamagedError(
            f"{path} is damaged: its header promises {8 + length + end:,} bytes, the file has {size:,}"
        )
    if "sha256" not in metadata or "backpass" not in metadata:
        raise CheckpointError(
            f"{path} holds tensors, but backpass did not write it: load_state_dict takes their arrays"
        )
    return dict(metadata)


def _rotate(path: Path, keep: int) -> None:
    """Make room at path.1, so that `path` itself is never missing."""
    if keep < 2 or not path.exists():
        return
    kept = [path.with_name(f"{path.name}.{number}") for number in range(1, keep)]
    for newer, older in zip(kept[-2::-1], kept[:0:-1], strict=True):
        if newer.exists():
            os.replace(newer, older)
    spare = _temporary(path)
    try:
        os.link(path, spare)
    except OSError:  # a file system without links
        os.replace(path, kept[0])
        return
    try:
        os.replace(spare, kept[0])
    finally:
        spare.unlink(missing_ok=True)  # renaming one link to another of the same file does nothing


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _sweep(path: Path) -> None:
    """Remove what killed processes left of their attempts to write this file."""
    names = re.compile(re.escape(f".{path.name}.") + r"[0-9]+-[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):
        for entry in os.listdir(path.parent):
            leftover = path.with_name(entry)
            if names.fullmatch(entry) and time.time() - leftover.stat().st_mtime > STALE:
                leftover.unlink(missing_ok=True)

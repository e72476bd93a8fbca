"""Files that are written as a whole: at every moment the one before or the new one is there."""

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from io import BufferedWriter
from pathlib import Path

STALE = 3600  # seconds after which another process's temporary file is taken for the leftover of a killed one
NO_SYNC = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EPERM,
    errno.EACCES,
}  # file systems whose folders cannot be synced


@contextlib.contextmanager
def replacing(path: Path, last: Callable[[], None] = lambda: None) -> Iterator[BufferedWriter]:
    """A file to write, which replaces `path` in one step behind the block; after an error `path` is as it was.

    A link stays a link, and the permissions of the file before are kept. Raises OSError.

    Args:
        last: called when the new file is complete, before it replaces the other.
    """
    path = Path(os.path.realpath(path))
    temporary = temporary_of(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, temporary)
        last()
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sweep(path)


def temporary_of(path: Path) -> Path:
    """A file in the same folder that nobody else writes."""
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


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


def _sweep(path: Path) -> None:
    """Remove what killed processes left of their attempts to write this file."""
    names = re.compile(re.escape(f".{path.name}.") + r"[0-9]+-[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):
        for entry in os.listdir(path.parent):
            leftover = path.with_name(entry)
            if names.fullmatch(entry) and time.time() - leftover.stat().st_mtime > STALE:
                leftover.unlink(missing_ok=True)

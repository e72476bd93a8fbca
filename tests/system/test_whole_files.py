"""Whoever writes a file as a whole: a link stays a link, who may read it stays, and a full disk leaves the file before."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import backpass as bp
from backpass import nn
from backpass.system.whole_files import replacing

MODEL = bp.Model(nn.Linear(2, 2))
WRITERS: dict[str, Callable[[Path], None]] = {
    "checkpoint": MODEL.save,
    "c": lambda path: bp.export.c(MODEL, path),
    "onnx": lambda path: bp.export.onnx(MODEL, path),
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    if request.param == "onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    return WRITERS[request.param]


@pytest.mark.skipif(sys.platform == "win32", reason="links and rights are others there")
def test_a_link_and_who_may_read_stay(write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file, link = tmp_path / "real" / "file", tmp_path / "link"
    file.write_bytes(b"before")
    file.chmod(0o640)
    link.symlink_to(file)
    leftover, young = (tmp_path / "real" / f".file.{n}-0123abcd.tmp" for n in (1, 2))
    for half in (leftover, young):
        half.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    write(link)
    assert link.is_symlink()
    assert file.read_bytes() != b"before"
    assert file.stat().st_mode & 0o777 == 0o640
    # What a killed process left long ago is gone, what another one may be writing is not.
    assert sorted((tmp_path / "real").iterdir()) == [young, file]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_file_before(
    call: str, write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "file"
    file.write_bytes(b"before")
    monkeypatch.setattr(os, call, full)
    with pytest.raises((OSError, bp.CheckpointError), match="No space left"):
        write(file)
    assert file.read_bytes() == b"before"
    assert [*tmp_path.iterdir()] == [file]


def test_an_error_of_the_writer_leaves_the_file_before(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    with pytest.raises(TypeError), replacing(file) as half:
        half.write("half")  # type: ignore[arg-type]
    assert file.read_bytes() == b"before"
    assert [*tmp_path.iterdir()] == [file]

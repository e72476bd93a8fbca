"""What git tracks: sources and results of some kilobytes, nothing that a tool has left in the checkout."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Bytes. Wheels of others once came in by `git add -A`; the largest result file has an eighth of it.
MOST = 1 << 20
LEFT_BY_TOOLS = {".whl", ".so", ".pyd", ".o", ".pyc"}


def left_behind(files: list[Path]) -> list[str]:
    """The files that are too large, or that tools make."""
    return [f.name for f in files if f.suffix in LEFT_BY_TOOLS or (f.is_file() and f.stat().st_size > MOST)]


def test_nothing_large_is_tracked() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    assert len(files) > 100
    assert left_behind(files) == []


def test_the_check_sees_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(bytes(MOST + 1))
    (tmp_path / "small.json").write_bytes(b"{}")
    files = [tmp_path / name for name in ("large.json", "small.json", "jax-1.0-py3-none-any.whl")]
    assert left_behind(files) == ["large.json", "jax-1.0-py3-none-any.whl"]

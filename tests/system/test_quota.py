"""The CPU quota of the process, as cgroups of both versions tell it."""

from pathlib import Path

import pytest

from backpass.system.quota import quota


def cgroup(root: Path, lines: str, files: dict[str, str]) -> Path:
    """A file system with /proc/self/cgroup and the files below /sys/fs/cgroup."""
    for name, text in {
        "proc/self/cgroup": lines,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


V1 = "12:cpuset:/\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n"


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        (
            "0::/a/b\n",
            {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"},
            2.0,
        ),  # the parent's limit holds, too
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "200000 100000"}, 0.5),
        ("0::/../host/path\n", {"cpu.max": "300000 100000"}, 3.0),  # the path is the host's
        (
            V1,
            {"cpu/docker/abc/cpu.cfs_quota_us": "250000", "cpu/docker/abc/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}, 2.0),
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "-1", "cpu/docker/abc/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_quota(lines: str, files: dict[str, str], expected: float | None, tmp_path: Path) -> None:
    assert quota(cgroup(tmp_path, lines, files)) == expected


def test_quota_without_cgroups(tmp_path: Path) -> None:
    assert quota(tmp_path) is None

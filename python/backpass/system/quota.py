"""The CPUs that a container grants: the quota of its cgroup."""

from collections.abc import Iterator
from pathlib import Path


def quota(root: Path = Path("/")) -> float | None:
    """The CPUs that the container's cgroup (version 1 or 2) grants, such as 1.5; None without a limit. `root` is for tests.

    A thread more than the quota covers is put to sleep in the middle of its work while the others wait for it, so a quota of
    1.5 CPUs is worth one thread.
    """
    limits = [limit for folder in _cgroup_folders(root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """This process's cgroup and all above it, of both versions: each may set a limit."""
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top = mount
        elif "cpu" in controllers.split(","):
            top = mount / "cpu"
        else:
            continue
        inner = Path(
            path.strip("/")
        )  # in a container the path may be the host's: the mount is then the group itself
        yield from (top / folder for folder in (inner, *inner.parents))


def _limit(folder: Path) -> float | None:
    try:
        if (file := folder / "cpu.max").exists():
            granted, period = file.read_text("utf-8").split()
        else:
            granted = (folder / "cpu.cfs_quota_us").read_text("utf-8")
            period = (folder / "cpu.cfs_period_us").read_text("utf-8")
        return int(granted) / int(period) if int(granted) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None

"""Others: how much of the machine's CPU time went to somebody else while something was measured."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
# Of a CPU: beyond it a turn counts as disturbed. The clock of /proc/stat ticks every 10 ms, 2 % of a turn.
MOST = 0.05


class Others:
    """Measures from when it is made: CPU time of all CPUs, and what a host took from a virtual machine. Only Linux tells."""

    def __init__(self) -> None:
        self._began, self._before = time.perf_counter(), _seconds()

    def share(self) -> float:
        """CPUs that others kept busy since: 0.5 is a half of one; 0 where the system does not tell."""
        now, passed = _seconds(), time.perf_counter() - self._began
        if now is None or self._before is None or passed <= 0:
            return 0.0
        return max(0.0, now - self._before) / passed


def disturbed(shares: list[float]) -> int:
    """How many of some turns were disturbed."""
    return sum(share > MOST for share in shares)


def _seconds() -> float | None:
    """CPU seconds of everybody but this process."""
    try:
        fields = STAT.read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, fields)
    ticks = user + nice + system + irq + softirq + stolen
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()

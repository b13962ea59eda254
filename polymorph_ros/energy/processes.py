"""What other processes take of the CPU: a share of a whole machine's joules is theirs."""

from __future__ import annotations

import os
from pathlib import Path

from polymorph_ros.energy.estimated import process_cpu_seconds

_STAT = Path("/proc/stat")


def busy_cpu_seconds(stat: Path = _STAT) -> float:
    """Busy CPU seconds of all processes since the machine started; 0 where Linux does not say.

    The first line of /proc/stat (proc(5)) in clock ticks: user, nice, system, idle, iowait, irq,
    softirq, steal. Guests are in user already.
    """
    try:
        words = stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    ticks = [float(word) for word in words]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class ShareOfOthers:
    """The part of the machine's busy CPU time that other processes had, from 0 to 1.

    Over at least ``least_s`` of busy time each: the kernel counts in ticks of 10 ms.
    """

    def __init__(self, least_s: float = 0.5) -> None:
        self._least_s = least_s
        self._before = busy_cpu_seconds(), process_cpu_seconds()
        self._share = 0.0

    def value(self) -> float:
        """The share of the last while; 0 before any is known."""
        now = busy_cpu_seconds(), process_cpu_seconds()
        every, own = now[0] - self._before[0], now[1] - self._before[1]
        if every >= self._least_s:
            self._share = min(1.0, max(0.0, 1.0 - own / every))
            self._before = now
        return self._share

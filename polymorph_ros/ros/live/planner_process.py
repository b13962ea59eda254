"""A planner beside the node: the example that slows down for people, if its file is here."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "slow_for_people.py"
_END_DEADLINE_S = 20.0
_DELAY = re.compile(r"([\d.]+) ms after the image")


@dataclass(frozen=True)
class PlannerLog:
    """What a planner wrote; none where there is no planner."""

    file: Path

    def delays_s(self) -> list[float]:
        """From image stamp to command, for each command, seconds."""
        if not self.file.is_file():
            return []
        found = _DELAY.findall(self.file.read_text(encoding="utf-8", errors="replace"))
        return [float(milliseconds) * 1e-3 for milliseconds in found]


@contextmanager
def planner_beside(out: Path) -> Iterator[PlannerLog]:
    """Run the planner until the end of the context; installed packages have no examples."""
    log = PlannerLog(out / "planner.log")
    if not EXAMPLE.is_file():
        yield log
        return
    topics = ("labels", "label_info")
    remapped = [word for topic in topics for word in ("-r", f"{topic}:=/polymorph/{topic}")]
    with log.file.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), "--ros-args", *remapped],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        yield log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""Is this machine's clock set, and who keeps it so?"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from polymorph_ros.cli.doctor_checks.finding import Finding, ok, warn

_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_PATIENCE_S = 5.0
_FIRST_SANE_S = 1_735_689_600  # 2025-01-01: a board without a battery starts in the past
_REMEDY = (
    "install chrony, or `timedatectl set-ntp true`; it matters as soon as a camera is stamped by "
    "another computer"
)


def clock_finding() -> Finding:
    """What chrony or systemd say of the clock, in this order."""
    if time.time() < _FIRST_SANE_S:
        return warn("clock", "the clock stands years in the past", _REMEDY)
    return _chrony() or _systemd() or ok("clock", "nothing here tells whether it is synchronised")


def _chrony() -> Finding | None:
    text = _output("chronyc", "tracking")
    leap = re.search(r"^Leap status\s*:\s*(.+?)\s*$", text, re.MULTILINE)
    offset = re.search(r"^System time\s*:\s*([\d.]+) seconds (fast|slow)", text, re.MULTILINE)
    if not leap:
        return None
    if leap[1] != "Normal":
        return warn("clock", f"chrony: {leap[1].lower()}", _REMEDY, by="chrony")
    away = f", {float(offset[1]) * 1e3:.3f} ms {offset[2]}" if offset else ""
    return ok("clock", f"synchronised by chrony{away}", by="chrony")


def _systemd() -> Finding | None:
    said = _output("timedatectl", "show", "--property=NTPSynchronized", "--value").strip()
    if said == "yes" or (not said and _TIMESYNCD.exists()):
        return ok("clock", "synchronised (systemd)", by="systemd")
    if said == "no":
        return warn("clock", "systemd: not synchronised", _REMEDY, by="systemd")
    return None


def _output(*command: str) -> str:
    """What a command writes; nothing where it is not there or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""

"""A calibration: a machine's watts at idle, per busy core and of its GPU, with the fit's error."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json

# Beyond these no robot's computer goes: a unit was mistaken (milliwatts), or the fit went astray.
MOST_CORE_WATTS = 200.0
MOST_WATTS = 2000.0

_REMEDY = "calibrate on this machine: polymorph energy calibrate"


@dataclass(frozen=True)
class Calibration:
    """Power = idle + busy cores x core watts + busy share of the GPU x GPU watts.

    Attributes:
        idle_watts: of the machine at rest, as far as the reference covers it.
        cpu_watts: what one busy core adds.
        gpu_watts: what the busy GPU adds; none where it was not fitted.
        relative_error: standard error of a power that it predicts, as a share of it.
        reference: what it was fitted to, in plain words.
        machine: which machine it is of, as ``fingerprint`` gives it.

    Raises:
        PolymorphError: watts that are negative, not finite or absurd.
    """

    idle_watts: float
    cpu_watts: float
    gpu_watts: float | None
    relative_error: float
    reference: str
    machine: Mapping[str, str]

    def __post_init__(self) -> None:
        limits = {
            "idle_watts": (self.idle_watts, MOST_WATTS),
            "cpu_watts": (self.cpu_watts, MOST_CORE_WATTS),
            "gpu_watts": (0.0 if self.gpu_watts is None else self.gpu_watts, MOST_WATTS),
            "relative_error": (self.relative_error, 1.0),
        }
        for name, (value, most) in limits.items():
            if not (isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= most):
                raise PolymorphError(
                    f"a value from 0 to {most:g}",
                    f"{value}",
                    where=f"calibration: {name}",
                    remedy="check the units (watts) and that load and reading belong together",
                )
        if self.cpu_watts == 0 and not self.gpu_watts:
            raise PolymorphError(
                "a power that rises with the load",
                "none",
                where="calibration",
                remedy="check that the reference covers the CPU or the GPU that works",
            )

    def write(self, path: Path) -> None:
        """Write the file that the node takes (parameter ``energy.calibration``)."""
        write_json(path, asdict(self))


def read_calibration(path: Path) -> Calibration:
    """A calibration of this machine from its file.

    Raises:
        PolymorphError: it cannot be read, is none, or is another machine's.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        calibration = Calibration(**document)
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise PolymorphError("a calibration", found, where=str(path), remedy=_REMEDY) from None
    except (ValueError, TypeError) as error:
        found = str(error).splitlines()[0]
        raise PolymorphError("a calibration", found, where=str(path), remedy=_REMEDY) from None
    here = fingerprint()
    if calibration.machine != here:
        raise PolymorphError(
            f"a calibration of this machine ({_words(here)})",
            f"one of {_words(calibration.machine)}",
            where=str(path),
            remedy=_REMEDY,
        )
    return calibration


def fingerprint() -> dict[str, str]:
    """What tells this machine's kind: architecture, model, processor, number of cores."""
    return {
        "architecture": platform.machine(),
        "model": _text(Path("/proc/device-tree/model"))
        or _text(Path("/sys/class/dmi/id/board_name")),
        "cpu": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Hardware", "CPU part"):
            return value.strip()
    return platform.processor()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _words(machine: Any) -> str:
    if not isinstance(machine, Mapping):
        return "no machine"
    return ", ".join(str(value) for value in machine.values() if value)

"""What metrics depend on: the machine, the versions, the day. Nothing that names the host."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import torch

_PACKAGES = ("torch", "transformers", "peft", "numpy", "scikit-learn")


@dataclass(frozen=True)
class MachineFacts:
    """The machine and the software that ran.

    Attributes:
        load: mean number of running processes in the minute before.
        threads: of a computation on the CPU.
    """

    cpu: str
    cores: int
    memory_gib: float
    gpu: str
    threads: int
    python: str
    versions: dict[str, str]
    date: str
    load: float


def machine_facts(device: torch.device) -> MachineFacts:
    """The facts as of now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return MachineFacts(
        cpu=cpu_model(),
        cores=cores(),
        memory_gib=round(memory / (1 << 30), 1),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        versions={name: version(name) for name in _PACKAGES},
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        load=round(os.getloadavg()[0], 2),
    )


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """The CPU as the kernel names it; the architecture where it does not."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()

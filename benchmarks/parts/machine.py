"""Facts about the machine and the process that metrics depend on; nothing that names the host."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

import torch

from parts.metrics import Results
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.machine import cores, cpu_model

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1 << 20


def machine_facts() -> Results:
    """CPU, memory, versions, the date, and how busy the machine was when it was asked."""
    memory = _PAGE * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_gib": round(memory, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "vision_msgs": find_spec("vision_msgs") is not None,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def bundle_facts(bundle: Bundle) -> Results:
    """Which bundle ran."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "checksum": bundle.checksum,
        "labels": len(manifest.labels),
        "contexts": len(manifest.contexts),
        "input_px": manifest.preprocessing.size,
    }


def machine_name(gpu: str = "") -> str:
    """A short name for files: that of the GPU, or the CPU model and its cores."""
    words = gpu or f"{cpu_model()} {cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far, all threads, user and system."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(after_name[11]), int(after_name[12])
    return (user + system) / _TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / _MIB

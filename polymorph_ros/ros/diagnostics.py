"""The node's diagnostics: itself, its cameras, model and energy, once a second."""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.energy.ledger import EnergySummary
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.model.gpu import held_bytes
from polymorph_ros.ros.capture import CaptureCounters
from polymorph_ros.ros.counters import FrameCounters
from polymorph_ros.ros.faults import CallbackFaults
from polymorph_ros.ros.health import Level
from polymorph_ros.ros.monitor import CameraMonitor
from polymorph_ros.runtime.time_base import StampFault

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

_LEVELS = {Level.OK: OK, Level.WARN: WARN, Level.ERROR: ERROR}
_COMPUTER = platform.node()

# Nobody labels an image that is so old: its stamp is of another clock.
_OLDEST_IMAGE_S = 60.0


class CameraReporter:
    """Reports on one camera, with rates since its last report."""

    def __init__(self, monitor: CameraMonitor) -> None:
        self._monitor = monitor
        self._last = self._counts()

    def report(self) -> DiagnosticStatus:
        """Level, message and counts, with rates since the last call."""
        camera, counters = self._monitor.camera, self._monitor.camera.counters
        before_s, received, answered = self._last
        self._last = self._counts()
        elapsed_s = max(self._last[0] - before_s, 1e-3)
        health = self._monitor.health(look_for_publishers=True)
        values: dict[str, object] = {
            "topic": camera.topic,
            "clock": counters.stamps.clock.value,
            "late": counters.stamps.faults[StampFault.LATE],
            "received_hz": f"{(self._last[1] - received) / elapsed_s:.2f}",
            "answered_hz": f"{(self._last[2] - answered) / elapsed_s:.2f}",
            "received": counters.received,
            "answered": counters.answered,
            "reused": counters.reused,
            "unknown_scene": counters.unknown_scenes,
            "rejected_scores": counters.rejected_scores,
            "dropped": counters.dropped,
            "rejected": sum(counters.rejected.values()),
            "failed": counters.failed,
            "lost_before_this_node": counters.lost,
            **{f"rejected.{reason}": count for reason, count in sorted(counters.rejected.items())},
            "damaged_but_read": counters.damaged,
            **_latencies(counters),
            "last_error": counters.last_fault,
        }
        level = _LEVELS[health.level]
        return status(f"camera {camera.name}", level, health.reason, values, camera.name)

    def _counts(self) -> tuple[float, int, int]:
        counters = self._monitor.camera.counters
        return time.monotonic(), counters.received, counters.answered


def _latencies(counters: FrameCounters) -> dict[str, str]:
    recent = list(counters.latencies_s)
    if not recent:
        return {}
    median_s = statistics.median(recent)
    if median_s > _OLDEST_IMAGE_S:
        return {
            "latency": f"none: stamps are {median_s:.0f} s behind this node's clock; if this is a "
            "bag, play it with --clock and set use_sim_time"
        }
    return {
        "latency_median_s": f"{median_s:.4f}",
        "latency_worst_s": f"{max(recent):.4f}",
    }


def model_status(
    state: str, bundle: Bundle | None, device: str, asked: str, fault: str
) -> DiagnosticStatus:
    """The model: which bundle runs where, or why none does.

    Args:
        device: where the model runs, as torch names it.
        asked: the parameter `device`.
        fault: the last transition or load that failed; empty if none did since the last success.
    """
    if bundle is None:
        return status("model", ERROR if fault else OK, fault or f"no bundle: the node is {state}")
    manifest = bundle.manifest
    on_gpu = device.startswith("cuda")
    where = "runs on the GPU" if on_gpu else "runs on the CPU"
    if asked == "auto" and not on_gpu:
        where += ": no GPU was found"
    values: dict[str, object] = {
        "state": state,
        "device": device,
        "gpu_memory_mib": held_bytes(device) >> 20,
        "path": bundle.path,
        "checksum": bundle.checksum,
        "labels": len(manifest.labels),
        "contexts": len(manifest.contexts),
        "last_error": fault,
    }
    return status("model", WARN if fault else OK, fault or f"{manifest.name} {where}", values)


def energy_status(summary: EnergySummary | None, battery_wh: float = 0.0) -> DiagnosticStatus:
    """Power and energy, how sure they are, where they come from, and how long a battery lasts."""
    if summary is None:
        return status("energy", OK, "no values: the node is not configured")
    values: dict[str, object] = {
        "source": summary.source.value,
        "scope": summary.scope,
        "mean_watts": f"{summary.mean_watts:.3f}",
        "watts_above_idle": f"{summary.watts_above_idle:.3f}",
        "idle_watts": f"{summary.idle_watts:.3f}",
        "total_joules": f"{summary.total_joules:.3f}",
        "total_joules_error": f"{summary.total_joules_error:.3f}",
        "frame_joules": f"{summary.frame_joules:.3f}",
        "frame_joules_error": f"{summary.frame_joules_error:.3f}",
        "error_basis": summary.error_basis,
        "watt_hours": f"{summary.watt_hours:.4f}",
        **({"battery_hours": f"{summary.battery_hours(battery_wh):.2f}"} if battery_wh else {}),
        "frames": summary.frames,
        "adapters": summary.adapters,
        "note": summary.note,
    }
    if summary.source is EnergySource.UNAVAILABLE:
        return status("energy", WARN, summary.note or "no energy values", values)
    message = f"{summary.mean_watts:.2f} W ({summary.source.value})"
    return status("energy", OK, message, values)


def capture_status(folder: Path | None, counters: CaptureCounters) -> DiagnosticStatus:
    """How many frames were captured and left out, and why the last one failed.

    Args:
        folder: where captures go; None where nothing is captured.
        counters: of the captures.
    """
    values: dict[str, object] = {
        "folder": folder or "",
        "captured": counters.captured,
        "alike": counters.alike,
        "busy": counters.busy,
        "dropped": counters.dropped,
        "failed": counters.failed,
        "stored": counters.stored,
        "stored_mb": f"{counters.stored_bytes / 1e6:.3f}",
        "last_error": counters.fault,
    }
    if folder is None:
        return status("capture", OK, "off: capture.folder is empty", values)
    if counters.fault:
        return status("capture", WARN, counters.fault, values)
    return status("capture", OK, f"{counters.stored} pictures in {folder}", values)


def node_status(state: str, faults: CallbackFaults, new_faults: int) -> DiagnosticStatus:
    """The node itself: its state, and errors of callbacks, after which it went on.

    Args:
        state: of its life.
        faults: all since the node was started.
        new_faults: how many of them are new since the last report.
    """
    values: dict[str, object] = {
        "state": state, "callback_errors": faults.count, "last_callback_error": faults.last
    }  # fmt: skip
    if new_faults:
        message = f"the node goes on after {new_faults} error(s) in callbacks: {faults.last}"
        return status("node", WARN, message, values)
    return status("node", OK, state, values)


def status(
    name: str,
    level: bytes,
    message: str,
    values: dict[str, object] | None = None,
    hardware_id: str = _COMPUTER,
) -> DiagnosticStatus:
    """One status, its values as text."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()],
    )

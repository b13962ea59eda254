"""The node's diagnostics: its cameras, model and energy, once a second."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.energy.ledger import EnergySummary
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.model.gpu import held_bytes
from polymorph_ros.ros.camera import Camera
from polymorph_ros.ros.capture import CaptureCounters
from polymorph_ros.ros.counters import FrameCounters
from polymorph_ros.runtime.time_base import StampFault

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

# Fast DDS's default shared-memory segment holds 512 KB, and best-effort images above it get lost.
_LARGE_IMAGE_BYTES = 512 * 1024
_LARGE_IMAGE_ADVICE = (
    "large best-effort images do not fit the default shared-memory segment of Fast DDS: start "
    "the camera with FASTDDS_DEFAULT_PROFILES_FILE=<share>/polymorph_ros/config/"
    "fastdds_large_images.xml"
)


class _Snapshot:
    """The counts that the next report is compared with."""

    def __init__(self, counters: FrameCounters) -> None:
        self.time_s = time.monotonic()
        self.received = counters.received
        self.answered = counters.answered
        self.unusable = counters.failed + sum(counters.rejected.values())
        self.lost = counters.lost
        self.rejected_scores = counters.rejected_scores
        self.stamp_faults = counters.stamps.faults.copy()


class CameraReporter:
    """Reports on one camera, with rates since its last report."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._last = _Snapshot(camera.counters)

    def report(self) -> DiagnosticStatus:
        """Level, message and counts, with rates since the last call."""
        camera, counters = self._camera, self._camera.counters
        before, now = self._last, _Snapshot(counters)
        self._last = now
        elapsed_s = max(now.time_s - before.time_s, 1e-3)
        level, message = self._judge(before, now)
        values: dict[str, object] = {
            "topic": camera.topic,
            "clock": counters.stamps.clock.value,
            "late": counters.stamps.faults[StampFault.LATE],
            "received_hz": f"{(now.received - before.received) / elapsed_s:.2f}",
            "answered_hz": f"{(now.answered - before.answered) / elapsed_s:.2f}",
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
            **_latencies(counters),
            "last_error": counters.last_fault,
        }
        return status(f"camera {camera.name}", level, message, values, hardware_id=camera.name)

    def _judge(self, before: _Snapshot, now: _Snapshot) -> tuple[bytes, str]:
        camera = self._camera
        if camera.opened_s is None:
            return OK, "inactive: images are ignored"
        if camera.is_asleep:
            return OK, "lazy: images are ignored because nobody subscribes to results"
        if now.unusable > before.unusable:
            return ERROR, camera.counters.last_fault
        if now.received == before.received:
            return self._judge_silence(now)
        if now.rejected_scores > before.rejected_scores:
            return WARN, _not_finite(now.rejected_scores - before.rejected_scores)
        if now.lost > before.lost:
            return WARN, self._loss(now.lost - before.lost, now.received - before.received)
        stamps = self._camera.counters.stamps.judge(before.stamp_faults)
        return (WARN, stamps) if stamps else (OK, "receiving and answering images")

    def _judge_silence(self, now: _Snapshot) -> tuple[bytes, str]:
        obstacle = self._camera.obstacle()
        if obstacle:
            return ERROR, obstacle
        since_s = self._camera.counters.last_arrival_s or self._camera.opened_s or now.time_s
        return WARN, f"no image on {self._camera.topic} for {now.time_s - since_s:.1f} s"

    def _loss(self, lost: int, received: int) -> str:
        message = f"{lost} of {lost + received} images were lost before this node"
        large = self._camera.counters.largest_bytes > _LARGE_IMAGE_BYTES
        return f"{message}; {_LARGE_IMAGE_ADVICE}" if large else message


def _not_finite(scores: int) -> str:
    return (
        f"{scores} score(s) of the model were not finite and were left out; if this persists, "
        "load the bundle again or set engine.backend to float32"
    )


def _latencies(counters: FrameCounters) -> dict[str, str]:
    recent = list(counters.latencies_s)
    if not recent:
        return {}
    return {
        "latency_median_s": f"{statistics.median(recent):.4f}",
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


def status(
    name: str,
    level: bytes,
    message: str,
    values: dict[str, object] | None = None,
    *,
    hardware_id: str = "",
) -> DiagnosticStatus:
    """One status, its values as text."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()],
    )

"""The bundle, the device that it runs on, and the energy meter."""

from __future__ import annotations

import platform
from pathlib import Path

from polymorph_ros.cli.doctor_checks.finding import Finding, error, ok, warn
from polymorph_ros.errors import PolymorphError

_TEGRA = Path("/etc/nv_tegra_release")


def bundle_finding(path: Path | None) -> Finding:
    """Is the bundle whole?

    Args:
        path: its folder; None for the package's default bundle.
    """
    from polymorph_ros.bundle.reader import default_bundle, read_bundle

    try:
        bundle = read_bundle(path or default_bundle())
    except PolymorphError as fault:
        return error("bundle", str(fault), "copy the bundle again, or name another (--bundle)")
    manifest = bundle.manifest
    counts = f"{len(manifest.labels)} labels, {len(manifest.contexts)} contexts"
    return ok(
        "bundle", f"{manifest.name}, whole: {counts}", checksum=bundle.checksum,
        labels=len(manifest.labels), contexts=len(manifest.contexts),
        backbone=manifest.backbone.source, input_px=manifest.preprocessing.size,
    )  # fmt: skip


def device_finding(device: str) -> Finding:
    """Can the model run there? The fact ``device`` is where, as torch names it.

    Args:
        device: auto, cpu, cuda or cuda:N.
    """
    try:
        import torch
    except Exception as fault:  # libraries of CUDA that are missing raise many kinds
        return error("device", f"torch cannot be imported: {fault}", "see docs/install.md")
    facts = {
        "torch": str(torch.__version__), "cuda_build": str(torch.version.cuda or "none"),
        "machine": platform.machine(), "jetson": _TEGRA.exists(),
    }  # fmt: skip
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(device[5:]) if device.startswith("cuda:") and device[5:].isdigit() else 0
    if device != "cpu" and number < count:
        name = torch.cuda.get_device_name(number)
        return ok("device", f"GPU {number}: {name}", device=f"cuda:{number}", gpu=name, **facts)
    why = "this torch has no CUDA" if not torch.version.cuda else f"torch finds {count} GPUs"
    if device.startswith("cuda"):
        return error("device", why, "set device: cpu, or see docs/install.md", **facts)
    if device == "auto" and _TEGRA.exists():
        remedy = "install the torch that NVIDIA builds for this JetPack (docs/install.md)"
        return warn("device", f"a Jetson, but the CPU is used: {why}", remedy, **facts)
    return ok("device", "CPU" if device == "cpu" else f"CPU ({why})", **facts)


def meter_finding(kind: str, device: str) -> Finding:
    """Where joules come from, and whether this user may read them.

    Args:
        kind: as of ``open_meter``.
        device: as torch names it.
    """
    from polymorph_ros.energy.meter import open_meter
    from polymorph_ros.energy.reading import ESTIMATES

    try:
        meter = open_meter(kind, device=device)
    except PolymorphError as fault:
        return error("energy", str(fault), "docs/energy.md lists sensors and permissions")
    try:
        source, scope, note = meter.source, meter.scope, meter.note
    finally:
        meter.close()
    facts = {"source": source.value, "scope": scope, "note": note}
    if source in ESTIMATES and kind == "auto":
        remedy = "nothing, if estimates will do; permissions of sensors: docs/energy.md"
        if "may not" in note or "ermission" in note:
            remedy = "give the node's user the right to read the sensor (docs/energy.md)"
            return warn("energy", f"estimated: a sensor may not be read ({note})", remedy, **facts)
        return ok("energy", "estimated: no sensor was found", **facts)
    return ok("energy", f"{source.value}: {scope}", **facts)

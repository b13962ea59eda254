"""Ten engine steps in the profiler: a Chrome trace, and which kernels took the GPU's time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from parts.gpu.bench import Bench
from parts.gpu.engine_steps import steps
from parts.metrics import Results, rounded
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.runtime.loading import load_bundle
from polymorph_ros.runtime.settings import EngineSettings

_FRAMES, _WARM_FRAMES, _MOST = 10, 20, 25


def measure(bench: Bench) -> None:
    """The default bundle in single precision; the trace lies beside the results."""
    loaded = load_bundle(default_bundle(), str(bench.device))
    ledger = loaded.open_ledger("none")
    running = steps(loaded.engine(ledger, EngineSettings()))
    for _ in range(_WARM_FRAMES):
        next(running)
    activities = [ProfilerActivity.CPU]
    activities += [ProfilerActivity.CUDA] if bench.on_gpu else []
    with profile(activities=activities):  # the first one starts the profiler's machinery
        next(running)
    with profile(activities=activities) as profiled:
        for _ in range(_FRAMES):
            next(running)
        bench.wait()
    ledger.close()
    file = bench.folder / "gpu-trace.json.gz"
    bench.add({"frames": _FRAMES, **_kernels(profiled.key_averages(), bench)})
    bench.save()
    profiled.export_chrome_trace(str(file))
    bench.add({"file": file.name, "kib": rounded(Path(file).stat().st_size / 1024)})
    bench.say(
        f"trace of {_FRAMES} steps: {file.name}; {bench.results['kernels_per_frame']} kernels and "
        f"{bench.results['device_ms_per_frame']} ms of the device per frame"
    )


def _kernels(events: Any, bench: Bench) -> Results:
    """What ran longest: kernels and copies of the GPU; on a CPU its operators."""
    name = "self_device_time_total" if bench.on_gpu else "self_cpu_time_total"
    kind = DeviceType.CUDA if bench.on_gpu else DeviceType.CPU  # operators hold their kernels' time
    rows = sorted(
        (
            (getattr(each, name), each.count, each.key)
            for each in events
            if each.device_type == kind
        ),
        reverse=True,
    )
    rows = [row for row in rows if row[0] > 0]
    return {
        "kernels_per_frame": rounded(sum(count for _, count, _ in rows) / _FRAMES),
        "device_ms_per_frame": rounded(sum(us for us, _, _ in rows) / _FRAMES * 1e-3),
        "longest": [
            {"us_per_frame": rounded(us / _FRAMES), "calls_per_frame": count / _FRAMES, "name": key}
            for us, count, key in rows[:_MOST]
        ],
    }

"""Memory of the GPU and of the process after warm-up and after 10,000 engine steps."""

from __future__ import annotations

import os

import torch

from parts.gpu.bench import Bench
from parts.gpu.engine_steps import steps
from parts.gpu.nvml import clocks
from parts.machine import resident_mib
from parts.metrics import Results, rounded
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.runtime.loading import load_bundle
from polymorph_ros.runtime.settings import EngineSettings

_STEPS, _EVERY, _WARM = 10_000, 1_000, 100
_MIB = 1 << 20


def measure(bench: Bench) -> None:
    """The default bundle; the adapters change with the pictures."""
    loaded = load_bundle(default_bundle(), str(bench.device))
    ledger = loaded.open_ledger("none")
    running = steps(loaded.engine(ledger, EngineSettings()))
    wanted, every = (200, 50) if bench.quick else (_STEPS, _EVERY)
    for _ in range(_WARM):
        next(running)
    rows = bench.results["rows"] = [_memory(bench, 0)]
    done = 0
    while done < wanted and (bench.left_s() > 0.0 or done == 0):
        for _ in range(every):
            next(running)
        done += every
        rows.append(_memory(bench, done))
        bench.save()
    ledger.close()
    growth = {name: rounded(rows[-1][name] - value) for name, value in rows[0].items()}
    bench.add({"steps": done, "warm_up_steps": _WARM, "growth": growth})
    bench.say(f"memory over {done} steps (of {wanted}): {growth}")


def _memory(bench: Bench, done: int) -> Results:
    """MiB now."""
    found = {"steps": done, "resident_mib": rounded(resident_mib(os.getpid()))}
    if bench.on_gpu:
        found["reserved_mib"] = rounded(torch.cuda.memory_reserved(bench.device) / _MIB)
        found["allocated_mib"] = rounded(torch.cuda.memory_allocated(bench.device) / _MIB)
        used = clocks().get("used_mib")
        if isinstance(used, int):
            found["card_used_mib"] = used
    return found

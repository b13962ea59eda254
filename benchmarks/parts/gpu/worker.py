"""The process that runs sections one after another, and writes the results after each.

    python -m parts.gpu.worker FILE DEVICE END SECTION…

FILE holds the results so far; END is when all must be over, in seconds of ``time.time``. It ends
with 0 when all are done, and with ``GPU_LOST`` when the GPU no longer computes after a failure:
another process can go on.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from parts.gpu.bench import Bench
from parts.gpu.document import close_section, read_document, write_document
from parts.gpu.nvml import clocks
from parts.gpu.sections import SECTIONS, Section, seconds_of
from parts.metrics import rounded

GPU_LOST = 3
_SLACK_S = 20.0  # beyond twice its time a section is ended by force


def run_sections(
    path: Path, device: torch.device, end: float, sections: Mapping[str, Section]
) -> int:
    """Run sections; returns what the process ends with.

    Args:
        path: of the document, which is there.
        device: where they compute.
        end: when all must be over, seconds of ``time.time``.
        sections: by name, in their order.
    """
    parent, left = os.getppid(), dict(sections)
    while left and time.time() < end and os.getppid() == parent:
        seconds = seconds_of(list(left.values()), end - time.time())
        name = next(iter(left))
        _run(path, device, name, left.pop(name), (seconds, end))
        if not _computes(device):
            return GPU_LOST
    return 0


def _run(
    path: Path, device: torch.device, name: str, section: Section, times: tuple[float, float]
) -> None:
    """Run one section, which should take so many seconds and must be over at some time."""
    seconds, end = times
    document = read_document(path)
    results = document["sections"][name] = {"state": "unfinished"}
    killed_at = min(end, time.time() + 2 * seconds + _SLACK_S)
    document["running"] = {"section": name, "killed_at": killed_at}

    def save() -> None:
        write_document(path, document)

    bench = Bench(
        *(device, document["quick"], time.monotonic() + seconds, path.parent, results, save)
    )
    save()
    print(f"{name}: at most {seconds:.0f} s", flush=True)
    start = time.monotonic()
    try:
        section.load()(bench)
        bench.wait()
    except Exception:  # whatever it was, the next section goes on
        close_section(document, name, "failed", traceback.format_exc())
    else:
        close_section(document, name, "done")
    results["seconds"] = rounded(time.monotonic() - start)
    if bench.on_gpu:
        results["clocks"] = clocks()
        torch.cuda.empty_cache()
    save()


def _computes(device: torch.device) -> bool:
    """Whether the device still computes: some errors end a process's use of its GPU."""
    try:
        return float(torch.ones(2, device=device).sum()) == 2.0
    except Exception:
        traceback.print_exc()
        return False


def main(words: Sequence[str]) -> int:
    """Run what the command line says."""
    faulthandler.enable()
    path, device, end, *names = words
    chosen = torch.device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(0)
    torch.manual_seed(0)
    sections = {name: SECTIONS[name] for name in names}
    return run_sections(Path(path), chosen, float(end), sections)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Peak memory of a method: that of a process of its own which runs it alone.

``python -m polymorph_ros.evaluation.peak_memory METHOD BUNDLE DEVICE BASELINES`` prints bytes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.entry import Source
from polymorph_ros.evaluation.baselines.table import make_methods

WORDS = {
    "cpu": "peak resident memory of a process with this method alone, interpreter and libraries "
    "included",
    "cuda": "peak GPU memory of a process with this method alone",
}
_FRAMES = 8
_PICTURE = (480, 640, 3)
_DEADLINE_S = 600.0


def peak_bytes(method: str, bundle: Path, device: str, baselines: Path) -> int:
    """Peak memory of a method, bytes; see ``WORDS`` for what it covers.

    Raises:
        PolymorphError: the process failed.
    """
    words = [sys.executable, "-m", __name__, method, str(bundle), device, str(baselines)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_DEADLINE_S)
    if done.returncode != 0:
        last = (done.stderr.strip() or "no word").splitlines()[-1]
        raise PolymorphError("a method that runs alone", last, where=f"memory of {method}")
    return int(done.stdout)


def _pictures() -> Iterator[Frame]:
    """Noise, so that many labels come into play and adapters run."""
    rng = np.random.default_rng(0)
    for index in range(_FRAMES):
        image = rng.integers(0, 256, _PICTURE, dtype=np.uint8)
        yield Frame(image, index * 100_000_000)


def _run_alone(method: str, bundle: Path, device: str, baselines: Path) -> int:
    torch.set_num_threads(1)
    checked = read_bundle(bundle)
    (built,) = make_methods([method], Source(checked, device, baselines))
    truth = np.ones(len(checked.manifest.labels), np.int8)
    for frame in _pictures():
        built.label(frame, truth)
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    assert found is not None, "Linux gives every process its peak"
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    print(_run_alone(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))

"""Synthetic scenes for a demonstration without a bag: drawn once, reused until they change."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from rich.console import Console

from polymorph_ros.data import synthetic
from polymorph_ros.data.bag_writer import write_synthetic_bag
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.ros.harness.recording import Recording, open_recording

TITLE = "held-out synthetic scenes"

# Training and its checks use other seeds; "test" keeps this world apart from theirs anyway.
_SEED = 20
_SPLIT = "test"
_SIZE = (640, 480)

# Shorter than in training, so that half a minute shows several places.
_VISIT_S = (5.0, 9.0)


def synthetic_recording(out: Path, seconds: float, rate: float, console: Console) -> Recording:
    """A bag of held-out synthetic scenes with their truth, drawn only if it is not there.

    Args:
        out: the bag's folder is in this one; older ones are removed.
        seconds: its length.
        rate: frames per second.
    """
    count = max(1, round(seconds * rate))
    path = out / f"synthetic-{count}-at-{rate:g}hz-{_digest()}"
    if not path.exists():
        for old in out.glob("synthetic-*-at-*hz-*"):
            shutil.rmtree(old)
        with console.status(f"drawing {count} frames of synthetic scenes"):
            sequence = make_sequence(
                _SEED, split=_SPLIT, frames=count, hz=rate, size=_SIZE, visit_s=_VISIT_S
            )
            write_synthetic_bag(path, sequence)
    return open_recording(path, title=TITLE)


def _digest() -> str:
    """Short text that changes when the code that draws the scenes, or this file, does."""
    sources = sorted([*Path(next(iter(synthetic.__path__))).glob("*.py"), Path(__file__)])
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]

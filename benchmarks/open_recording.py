"""What it takes to open a long recording for labelling: seconds, CPU seconds and memory.

    build/venv/bin/python benchmarks/open_recording.py --json build/open_recording.json

Writes a recording of many small pictures (MCAP, CompressedImage), then opens it in a process of its
own as `polymorph label` does, up to all that the page reads at its beginning.
"""

from __future__ import annotations

import json as js
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from rosbags.rosbag2 import StoragePlugin, Writer

from parts.machine import machine_facts
from parts.metrics import Results, rounded
from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.bags import COMPRESSED_IMAGE
from polymorph_ros.data.captures import as_jpeg, picture_message
from polymorph_ros.files import write_json
from polymorph_ros.interfaces.bag_messages import message_types

_PICTURES = 64  # different ones, over and over
_SIZE = (48, 64, 3)


def main(
    frames: Annotated[int, typer.Option(min=1, help="Pictures of the recording.")] = 100_000,
    hz: Annotated[float, typer.Option(min=0.1, help="Pictures per second.")] = 27.8,
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
    opened: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Write a recording, open it, and say what that took."""
    if opened is not None:
        typer.echo(js.dumps(_open(opened)))
        return
    with TemporaryDirectory(prefix="open_recording_") as folder:
        bag = Path(folder) / "hour"
        _write(bag, frames, hz)
        command = [sys.executable, __file__, "--opened", str(bag)]
        child = subprocess.run(command, capture_output=True, text=True, check=True)
        results = {"benchmark": "open_recording", "machine": machine_facts(), "frames": frames}
        results |= js.loads(child.stdout)
    if json is not None:
        write_json(json, results)
    typer.echo(js.dumps(results, indent=1))


def _write(bag: Path, frames: int, hz: float) -> None:
    rng = np.random.default_rng(0)
    jpegs = [as_jpeg(rng.integers(0, 255, _SIZE, dtype=np.uint8)) for _ in range(_PICTURES)]
    types = message_types()
    with Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/camera/compressed", COMPRESSED_IMAGE, typestore=types)
        for number in range(frames):
            stamp_ns = NS_PER_S + round(number / hz * NS_PER_S)
            message = picture_message(jpegs[number % _PICTURES], "jpeg", stamp_ns, "")
            writer.write(topic, stamp_ns, message)


def _open(bag: Path) -> Results:
    """Seconds and memory from nothing to the page's first answer, without a bundle."""
    from polymorph_ros.annotation.serve import Request, open_session

    start_s, cpu_s = time.perf_counter(), time.process_time()
    request = Request((bag,), bag.with_name("labels.csv"), None, None, None, 30.0, "127.0.0.1", 0)
    session = open_session(request)
    state = js.dumps(session.desk.state())
    return {
        "open_s": rounded(time.perf_counter() - start_s),
        "open_cpu_s": rounded(time.process_time() - cpu_s),
        "state_mb": rounded(len(state) / 1e6),
        "peak_mb": rounded(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


if __name__ == "__main__":
    typer.run(main)

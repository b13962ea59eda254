"""Runs the worker, ends it where it hangs, and starts another one for the sections that are left.

A section that crashes the process, hangs, or loses the GPU costs only itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from parts.gpu.document import close_section, read_document, write_document
from parts.metrics import Results

_LOOK_S = 0.5
_ROOT = Path(__file__).resolve().parents[3]
_PATHS = (_ROOT / "benchmarks", _ROOT, _ROOT / "test")  # the tests' helpers make tiny backbones
_TAIL = 6000  # characters of what a process that died had to say


def supervise(path: Path, device: str, end: float, names: Sequence[str]) -> Results:
    """Run all sections, in as many processes as it takes; returns the document.

    Args:
        path: of the document, which is there.
        device: ``cpu`` or ``cuda``.
        end: when all must be over, seconds of ``time.time``.
        names: of the sections.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without ending the worker
    left = list(names)
    while left and time.time() < end:
        said = _run_worker(path, device, end, left)
        document = read_document(path)
        if document["running"]:
            close_section(document, document["running"]["section"], "failed", said)
            write_document(path, document)
        rest = [name for name in left if name not in document["sections"]]
        if rest == left and time.time() < end:  # it did not even begin
            close_section(document, left[0], "failed", said)
            write_document(path, document)
            rest = left[1:]
        left = rest
    document = read_document(path)
    for name in left:
        close_section(document, name, "not run")
    write_document(path, document)
    return document


def environment() -> dict[str, str]:
    """The environment of a process that imports the parts, the library and the tests' helpers."""
    paths = [str(path) for path in _PATHS] + [p for p in (os.environ.get("PYTHONPATH"),) if p]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "HF_HUB_OFFLINE": "1",  # everything is here: nobody waits for a network that is not
        "KINETO_LOG_LEVEL": "99",
        "PYTHONUNBUFFERED": "1",
    }


def _run_worker(path: Path, device: str, end: float, names: Sequence[str]) -> str:
    """Run sections until the process ends or must be ended; returns how it ended."""
    words = [sys.executable, "-m", "parts.gpu.worker", str(path), device, str(end), *names]
    with tempfile.TemporaryFile() as errors:
        worker = subprocess.Popen(
            words, cwd=_ROOT, env=environment(), stderr=errors, start_new_session=True
        )
        try:
            killed = _wait(worker, path, end)
        finally:
            _end(worker)
        errors.seek(0)
        text = errors.read().decode(errors="replace")[-_TAIL:]
    sys.stderr.write(text)
    how = "its time was over: ended by force" if killed else f"ended with {worker.returncode}"
    return f"{text}\nthe process of this section: {how}"


def _wait(worker: subprocess.Popen[bytes], path: Path, end: float) -> bool:
    """Whether the process had to be ended."""
    while worker.poll() is None:
        running = read_document(path)["running"]
        limit = running["killed_at"] if running else end
        if time.time() > min(limit, end):
            return True
        time.sleep(_LOOK_S)
    return False


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()

"""The command that trains on the labels: to read, to copy, and to run from the page."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Any, Literal

from polymorph_ros.annotation.table import TableFile
from polymorph_ros.bundle.manifest import MANIFEST_FILE
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import new_folder
from polymorph_ros.progress import StageProgress, read_progress

_LINES = 400  # of its output that are kept

RunState = Literal["idle", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class TrainingCommand:
    """What has to be run, in order.

    Attributes:
        bundle: that training begins from.
        to: the bundle that gets the labels; a copy of ``bundle`` where it is not there yet.
        table: with the labels.
        device: where it computes.
    """

    bundle: Path
    to: Path
    table: TableFile
    device: str = "auto"

    @property
    def needs_copy(self) -> bool:
        """Whether the bundle is copied first, so that the one that was given stays as it is."""
        return not (self.to / MANIFEST_FILE).is_file()

    def arguments(self) -> list[str]:
        """Of ``polymorph``."""
        footage = self.table.footage
        device = [] if self.device == "auto" else ["--device", self.device]
        topic = ["--topic", footage.topic] if footage.topic else []
        return [
            *("train", "--add", str(footage.place), "--labels", str(self.table.path.resolve())),
            *(
                "--to",
                str(self.to),
                *topic,
                *device,
                "--work",
                str(self.table.cache.resolve() / "train"),
            ),
        ]

    def __str__(self) -> str:
        command = join(["polymorph", *self.arguments()])
        if self.needs_copy:
            return f"{join(['cp', '-r', str(self.bundle), str(self.to)])} && {command}"
        return command


class TrainingRun:
    """At most one training at a time, in a process of its own."""

    def __init__(self, command: TrainingCommand) -> None:
        self.command = command
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._progress: StageProgress | None = None
        self._process: subprocess.Popen[str] | None = None
        self._state: RunState = "idle"
        self._started = self._ended = 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin, unless it runs.

        Raises:
            PolymorphError: it runs already, or the bundle cannot be copied.
        """
        with self._lock:
            if self._state == "running":
                raise PolymorphError("no training that runs", "one", remedy="wait for its end")
            self._lines.clear()
            self._progress = None
            if self.command.needs_copy:
                _copy(self.command.bundle, self.command.to)
                self._lines.append(f"copied {self.command.bundle} to {self.command.to}")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "polymorph_ros.cli.main", *self.command.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._state, self._started = "running", time.monotonic()
        threading.Thread(target=self._follow, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """End it; what its stages wrote stays, and the next run continues from there."""
        with self._lock:
            if self._process is not None and self._state == "running":
                self._state = "stopped"
                self._process.terminate()

    def report(self) -> dict[str, Any]:
        """Its state, seconds, output, and how far its stage is, as JSON."""
        end = time.monotonic() if self._state == "running" else self._ended
        return {
            "state": self._state,
            "seconds": round(max(0.0, end - self._started)),
            "lines": list(self._lines),
            "stage": self._progress._asdict() if self._progress else None,
            "command": str(self.command),
        }

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            progress = read_progress(line.rstrip())
            if progress is None:
                self._lines.append(line.rstrip())
            else:
                self._progress = progress
        code = process.wait()
        with self._lock:
            self._ended = time.monotonic()
            if self._state == "running":
                self._state = "failed" if code else "done"


def _copy(bundle: Path, to: Path) -> None:
    with new_folder(to) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)

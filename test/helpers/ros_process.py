"""The node as its own process, started as on a robot, watched through its output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0


class NodeProcess:
    """`polymorph_node` with parameters in the test's ROS domain; killed if it is left over."""

    def __init__(
        self,
        *arguments: str,
        parameters: Mapping[str, Any] | None = None,
        interpreter: Sequence[str] = (),
    ) -> None:
        command: Sequence[str] = [
            sys.executable, *interpreter, "-m", "polymorph_ros.ros.main", "--ros-args", *arguments
        ]  # fmt: skip
        for name, value in (parameters or {}).items():
            command = [*command, "-p", f"{name}:={value}"]
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if error is not None:
            print(self.output)

    @property
    def output(self) -> str:
        """Everything that it has written so far."""
        return "".join(self._lines)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_for_words(self, words: str, spin: Callable[[], None] = lambda: None) -> None:
        """Waits until the process has written these words."""
        end = time.monotonic() + DEADLINE_S
        while words not in self.output:
            assert self._process.poll() is None, f"it ended before {words!r}: {self.output}"
            assert time.monotonic() < end, f"no {words!r} within {DEADLINE_S} s: {self.output}"
            spin()
            self._reader.join(0.01)

    def end(self) -> int:
        """Waits until the process has ended by itself and gives its exit code."""
        code = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

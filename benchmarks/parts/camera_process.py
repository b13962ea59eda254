"""The camera as its own process, told when to publish where."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from polymorph_ros.ros.demo.child import Child


class CameraProcess:
    """Runs ``parts.camera``; use as a context manager.

    Args:
        topics: topics that it may publish on.
        rate: images per second.
        log: file for its words.
    """

    def __init__(self, topics: Sequence[str], rate: float, log: Path) -> None:
        self._child = Child("parts.camera", [*topics, "--rate", str(rate)], log, piped=True)

    def __enter__(self) -> CameraProcess:
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stdin: Any = self._child.process.stdin
        stdin.close()
        self._child.wait()

    def start(self, topic: str) -> None:
        """Begin to publish on a topic."""
        self._order(topic)

    def stop(self) -> list[int]:
        """Pause; the stamps (ns) of what was published since `start`."""
        self._order("")
        stamps: list[int] = self._answer()
        return stamps

    def block(self, topic: str, seconds: float) -> list[int]:
        """Publish for so long; the stamps (ns)."""
        self.start(topic)
        time.sleep(seconds)
        return self.stop()

    def _order(self, topic: str) -> None:
        stdin: Any = self._child.process.stdin
        stdin.write(f"{topic}\n")
        stdin.flush()

    def _answer(self) -> Any:
        stdout: Any = self._child.process.stdout
        line = stdout.readline()
        if not line:
            self._child.wait()
            self._child.check()
        return json.loads(line)

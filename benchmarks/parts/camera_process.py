"""The camera as its own process, which publishes where and when it is asked to."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from polymorph_ros.ros.harness.process import ChildProcess


class CameraProcess:
    """Runs ``parts.camera``; use as a context manager.

    Args:
        topics: topics that it may publish on.
        rate: images per second.
        log: file for its log lines.
    """

    def __init__(self, topics: Sequence[str], rate: float, log: Path) -> None:
        self._child = ChildProcess("parts.camera", [*topics, "--rate", str(rate)], log, piped=True)

    def __enter__(self) -> CameraProcess:
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close_input()
        self._child.wait()

    def start(self, topic: str) -> None:
        """Begin to publish on a topic."""
        self._child.send_line(topic)

    def stop(self) -> list[int]:
        """Pause; the stamps (ns) of what was published since `start`."""
        self._child.send_line()
        stamps: list[int] = self._answer()
        return stamps

    def block(self, topic: str, seconds: float) -> list[int]:
        """Publish for so long; the stamps (ns)."""
        self.start(topic)
        time.sleep(seconds)
        return self.stop()

    def _answer(self) -> Any:
        line = next(self._child.lines, "")
        if not line:
            self._child.wait()
            self._child.check()
        return json.loads(line)

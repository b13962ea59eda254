"""The node as its own process, started as on a robot, followed through its log."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from polymorph_ros.ros.harness.process import start_node
from polymorph_ros.ros.harness.waiting import wait_until

DEADLINE_S = 60.0


class NodeProcess:
    """`polymorph_node` with parameters in the test's ROS domain; killed if it is left over."""

    def __init__(
        self,
        *arguments: str,
        parameters: Mapping[str, Any] | None = None,
        interpreter: Sequence[str] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        log = Path(self._folder.name) / "node.log"
        self._child = start_node(
            parameters or {}, log, arguments=arguments, interpreter=interpreter
        )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.wait(0.0)
        if error is not None:
            print(self.output)
        self._folder.cleanup()

    @property
    def output(self) -> str:
        """Everything that it has written so far."""
        return self._child.output

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.process.pid

    def send(self, number: signal.Signals) -> None:
        self._child.process.send_signal(number)

    def wait_for_words(self, words: str, spin: Callable[[], None] = lambda: None) -> None:
        """Waits until the process has written these words."""

        def check() -> None:
            spin()
            if words not in self.output:
                self._child.check()

        wait_until(
            lambda: words in self.output, repr(words), check,
            deadline_s=DEADLINE_S, state=lambda: self.output,
        )  # fmt: skip

    def end(self) -> int:
        """Waits until the process has ended by itself and gives its exit code."""
        return self._child.process.wait(DEADLINE_S)

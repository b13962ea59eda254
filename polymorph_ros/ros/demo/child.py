"""Processes of the demo, and the surroundings that all of them share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.share import share_folder

_END_DEADLINE_S = 20.0
_LAST_LINES = 5

# Domains up to 101 have their ports below those that Linux gives to other programs.
_DOMAINS = 101


def surroundings(given: Mapping[str, str]) -> dict[str, str]:
    """Environment variables for all processes of a demo, this one included.

    The Fast DDS profile for large images, discovery on this machine only, and a domain of the
    demo's own, so that two demos or a robot beside it do not hear each other. What the user
    has set stays.
    """
    profile = share_folder("config") / "fastdds_large_images.xml"
    wanted = {
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(1 + os.getpid() % _DOMAINS),
    }
    return {name: value for name, value in wanted.items() if not given.get(name)}


class Child:
    """A Python module that runs as a process of its own, its words in a log file.

    Args:
        module: the module to run.
        arguments: its command line.
        log: file for its standard error, and for its standard output unless that is a pipe.
        piped: whether standard input and output are pipes (``process.stdin``, ``.stdout``).
    """

    def __init__(
        self, module: str, arguments: Sequence[str], log: Path, *, piped: bool = False
    ) -> None:
        self.log = log
        self.module = module
        with log.open("w") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else sink,
                stderr=sink,
                text=True,
            )

    def check(self) -> None:
        """Raise PolymorphError if the process has ended."""
        code = self.process.poll()
        if code is not None:
            last = " | ".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
            raise PolymorphError(
                "a running process", f"it ended with code {code}: {last}",
                where=self.module, remedy=f"see {self.log}",
            )  # fmt: skip

    def wait(self) -> int:
        """Wait for its end, killing it if it takes too long; the exit code."""
        try:
            return self.process.wait(_END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def interrupt(self) -> int:
        """Send SIGINT as Ctrl-C does and wait for the end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()

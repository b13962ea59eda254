"""Processes beside this one, the node among them, and the environment that all of them share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.share import share_folder

NODE_MODULE = "polymorph_ros.ros.main"

_END_DEADLINE_S = 20.0
_LAST_LINES = 5

# Domains up to 101 have their ports below those that Linux gives to other programs.
_DOMAINS = 101


def isolated_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Environment variables for all processes of a run, this one included.

    The Fast DDS profile for large images, discovery on this machine only, and a domain of its
    own, so that two runs, or a run and a robot, do not receive each other's messages. What the
    user has set stays.
    """
    profile = share_folder("config") / "fastdds_large_images.xml"
    wanted = {
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(1 + os.getpid() % _DOMAINS),
    }
    return {name: value for name, value in wanted.items() if not given.get(name)}


class ChildProcess:
    """A Python module that runs as a process of its own and writes to a log file.

    Args:
        module: the module to run.
        arguments: its command line.
        log: file for its standard error, and for its standard output unless that is a pipe.
        piped: whether standard input and output are pipes, for ``send_line`` and ``lines``.
        interpreter: options of the Python interpreter.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        log: Path,
        *,
        piped: bool = False,
        interpreter: Sequence[str] = (),
    ) -> None:
        self.log = log
        self.module = module
        with log.open("w") as sink:
            self.process = subprocess.Popen(
                [sys.executable, *interpreter, "-m", module, *arguments],
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else sink,
                stderr=sink,
                text=True,
            )

    @property
    def output(self) -> str:
        """What it has written to its log so far."""
        return self.log.read_text(errors="replace")

    @property
    def lines(self) -> Iterator[str]:
        """Its standard output, line by line as it comes, where that is a pipe."""
        stdout: Any = self.process.stdout
        return iter(stdout.readline, "")

    def send_line(self, line: str = "") -> None:
        """Write a line to its standard input."""
        stdin: Any = self.process.stdin
        stdin.write(f"{line}\n")
        stdin.flush()

    def close_input(self) -> None:
        """Close its standard input."""
        stdin: Any = self.process.stdin
        stdin.close()

    def check(self) -> None:
        """Raise PolymorphError if the process has ended."""
        code = self.process.poll()
        if code is not None:
            last = " | ".join(self.output.splitlines()[-_LAST_LINES:])
            raise PolymorphError(
                "a running process", f"it ended with code {code}: {last}",
                where=self.module, remedy=f"see {self.log}",
            )  # fmt: skip

    def wait(self, deadline_s: float = _END_DEADLINE_S) -> int:
        """Wait for its end, killing it if it takes too long; the exit code."""
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def interrupt(self) -> int:
        """Send SIGINT as Ctrl-C does and wait for the end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()


@contextmanager
def running(child: ChildProcess) -> Iterator[ChildProcess]:
    """A process until the end of the context, which interrupts it.

    Raises:
        PolymorphError: it ended before, or with another code than 0.
    """
    try:
        yield child
        child.check()
    finally:
        code = child.interrupt()
    if code != 0:
        raise PolymorphError("a process that ends with code 0", f"code {code}", where=child.module)


def start_node(
    parameters: Mapping[str, object],
    log: Path,
    *,
    arguments: Sequence[str] = (),
    interpreter: Sequence[str] = (),
) -> ChildProcess:
    """Start the node.

    Args:
        parameters: its parameters by name; none are added.
        log: file for its log lines.
        arguments: further arguments after ``--ros-args``.
        interpreter: options of the Python interpreter.
    """
    given = [
        argument
        for name, value in parameters.items()
        for argument in ("-p", f"{name}:={_as_yaml(value)}")
    ]
    return ChildProcess(
        NODE_MODULE, ["--ros-args", *arguments, *given], log, interpreter=interpreter
    )


def _as_yaml(value: object) -> str:
    """A value as ROS reads it on the command line; a path is quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value.resolve()}'" if isinstance(value, Path) else str(value)

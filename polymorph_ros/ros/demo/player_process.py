"""The player as its own process: told when to begin, its images counted as they go out."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from polymorph_ros.ros.demo.child import Child
from polymorph_ros.ros.demo.recording import Recording

PLAYER_MODULE = "polymorph_ros.ros.demo.player"


class PlayerProcess:
    """Runs the player and keeps what it says.

    Attributes:
        matched: a subscriber is there.
        done: everything was published.
        recorded_ns: the recorded stamp of each published image, by the stamp it was given.
    """

    def __init__(self, recording: Recording, log: Path, *, rate: float, seconds: float) -> None:
        arguments = [
            str(recording.path), "--topic", recording.topic,
            "--rate", str(rate), "--seconds", str(seconds),
        ]  # fmt: skip
        self.matched = False
        self.done = False
        self.recorded_ns: dict[int, int] = {}
        self.child = Child(PLAYER_MODULE, arguments, log, piped=True)
        self._reader = threading.Thread(target=self._read, name="player-words", daemon=True)
        self._reader.start()

    def begin(self) -> None:
        """Let it publish."""
        stdin: Any = self.child.process.stdin
        stdin.write("begin\n")
        stdin.flush()

    def end(self) -> int:
        """Let it end, at once if it has not published everything; its exit code."""
        stdin: Any = self.child.process.stdin
        stdin.close()
        if not self.done:
            self.child.process.terminate()
        code = self.child.wait()
        self._reader.join()
        return code

    def _read(self) -> None:
        stdout: Any = self.child.process.stdout
        for line in stdout:
            words = json.loads(line)
            if words["event"] == "image":
                self.recorded_ns[words["stamp_ns"]] = words["recorded_ns"]
            else:
                self.matched = True
                self.done = words["event"] == "done"

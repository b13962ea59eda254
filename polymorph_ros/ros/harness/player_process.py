"""The player as a process of its own: started on demand, its images counted as they go out."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from polymorph_ros.ros.harness.process import ChildProcess
from polymorph_ros.ros.harness.recording import Recording

PLAYER_MODULE = "polymorph_ros.ros.harness.player"


class PlayerProcess:
    """Runs the player and reads its events.

    Attributes:
        matched: a subscriber is there.
        done: everything was published.
        recorded_ns: the stamp in the recording of each published image, by its new stamp.
    """

    def __init__(self, recording: Recording, log: Path, *, rate: float, seconds: float) -> None:
        arguments = [
            str(recording.path), "--topic", recording.topic,
            "--rate", str(rate), "--seconds", str(seconds),
        ]  # fmt: skip
        self.matched = False
        self.done = False
        self.recorded_ns: dict[int, int] = {}
        self.child = ChildProcess(PLAYER_MODULE, arguments, log, piped=True)
        self._reader = threading.Thread(target=self._read, name="player-events", daemon=True)
        self._reader.start()

    def begin(self) -> None:
        """Let it publish."""
        self.child.send_line()

    def end(self) -> int:
        """Let it end, at once if it has not published everything; its exit code."""
        self.child.close_input()
        if not self.done:
            self.child.process.terminate()
        code = self.child.wait()
        self._reader.join()
        return code

    def _read(self) -> None:
        for line in self.child.lines:
            event = json.loads(line)
            if event["event"] == "image":
                self.recorded_ns[event["stamp_ns"]] = event["recorded_ns"]
            else:
                self.matched = True
                self.done = event["event"] == "done"

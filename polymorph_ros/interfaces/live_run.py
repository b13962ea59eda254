"""The program that plays a recording to the node: its command, arguments and files.

``polymorph evaluate --mode live`` starts it as a process of its own, because only ``ros/`` may
import rclpy. It exits with 0 when it is done, 1 after a fault, whose last line on standard error
says what was wrong, and 130 when it was interrupted.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from polymorph_ros.files import write_json

PROGRAM = "polymorph_ros.ros.live"
ANSWERS_FILE = "answers.parquet"
"""The node's answers as a frame log without truth."""
SUMMARY_FILE = "live.json"
"""A ``LiveSummary``. Written last: where it is, the run is complete."""


def live_command(bag: Path, *, topic: str, rate_hz: float, bundle: Path, out: Path) -> list[str]:
    """The command line that plays a recording.

    Args:
        bag: the recording.
        topic: its image topic.
        rate_hz: images per second; 0 for the recording's own pace.
        bundle: the node's bundle.
        out: folder for files and logs.
    """
    return [
        sys.executable, "-m", PROGRAM, str(bag), "--bundle", str(bundle),
        "--out", str(out), "--topic", topic, "--rate", str(rate_hz),
    ]  # fmt: skip


@dataclass(frozen=True)
class LiveSummary:
    """What the program writes beside the answers.

    Attributes:
        rate_hz: images per second; 0 for the recording's own pace.
        published, received, answered, dropped, lost, rejected, failed: counts of images.
        latency_s: of each answer, from the image's stamp to the answer's arrival in another
            process; a stamp is the time at which its image was published.
        planner_delay_s: of each command of the planner beside the node, from the image's stamp.
        recorded_ns: stamp in the recording of each published image, in order of publishing.
        energy_source: where the joules come from.
        faults: what went wrong with the processes.
    """

    rate_hz: float
    published: int
    received: int
    answered: int
    dropped: int
    lost: int
    rejected: int
    failed: int
    latency_s: tuple[float, ...]
    planner_delay_s: tuple[float, ...]
    recorded_ns: tuple[int, ...]
    energy_source: str
    faults: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write it into the run's folder."""
        write_json(folder / SUMMARY_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> LiveSummary:
        """Read it from the run's folder."""
        entries = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
        lists = {name: tuple(value) for name, value in entries.items() if isinstance(value, list)}
        return cls(**{**entries, **lists})

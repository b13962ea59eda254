"""The player: a process that publishes a bag's images at their own pace, stamped anew.

Latency is measured from an image's stamp, so each image gets the time of its publication. Its
stamp in the recording goes to standard output, one JSON object per line:

    {"event": "matched"}                                  a subscriber is there
    {"event": "image", "recorded_ns": …, "stamp_ns": …}   for each image
    {"event": "done"}

It begins when a line comes on standard input and ends when that is closed.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import rclpy
import typer
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from polymorph_ros.ros.harness.recording import Recording, open_recording, restamped, stamp_of

_MATCH_DEADLINE_S = 600.0  # whoever started it gives up earlier
_POLL_S = 0.01

# As cameras publish: best effort, so that a slow subscriber never holds the camera up.
_CAMERA_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)


def play(
    bag: Annotated[Path, typer.Argument(help="The bag.")],
    topic: Annotated[str, typer.Option(help="The image topic, in the bag and to publish on.")],
    rate: Annotated[float, typer.Option(help="Images per second; 0 for the bag's own pace.")] = 0.0,
    seconds: Annotated[float, typer.Option(help="Stop after so much of the bag; 0: never.")] = 0.0,
) -> None:
    """Publish the images of a bag."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it, also at Ctrl-C
    recording = open_recording(bag, topic)
    rclpy.init(args=[])
    node = rclpy.create_node("polymorph_player")
    kind = CompressedImage if recording.compressed else Image
    publisher = node.create_publisher(kind, topic, _CAMERA_QOS)
    if _matched(publisher):
        _report("matched")
        if sys.stdin.readline():
            _publish_all(publisher, recording, rate, seconds)
            _report("done")
            sys.stdin.read()
    node.destroy_node()
    rclpy.shutdown()


def _matched(publisher: Publisher[Any]) -> bool:
    deadline = time.monotonic() + _MATCH_DEADLINE_S
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _publish_all(
    publisher: Publisher[Any], recording: Recording, rate: float, seconds: float
) -> None:
    start = time.monotonic()
    for due_s, message in _schedule(recording, rate):
        if seconds and due_s >= seconds:
            return
        time.sleep(max(0.0, start + due_s - time.monotonic()))
        stamp_ns = time.time_ns()
        publisher.publish(restamped(message, stamp_ns))
        _report("image", recorded_ns=stamp_of(message), stamp_ns=stamp_ns)


def _schedule(recording: Recording, rate: float) -> Iterator[tuple[float, bytes]]:
    """Each message with the second at which it is due; a stamp that goes back is due at once."""
    first_ns: int | None = None
    for number, message in enumerate(recording.messages()):
        stamp_ns = stamp_of(message)
        first_ns = stamp_ns if first_ns is None else first_ns
        yield (number / rate if rate else (stamp_ns - first_ns) * 1e-9), message


def _report(event: str, **details: int) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


if __name__ == "__main__":
    typer.run(play)

"""A camera that publishes drawn frames at their own pace, one stream after the other, without a
pause between them: a robot does not stop while its owner works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from parts.photo_stream import PhotoFrame
from polymorph_ros.ros.harness.images import image_message


class StreamCamera:
    """Publishes on a thread of its own. Use as a context manager, in a ROS context.

    Args:
        topic: of ``sensor_msgs/Image``.
        hz: frames per second.

    Attributes:
        sent: each published frame by its stamp, nanoseconds, in the order of publishing.
        late: frames that went out more than a period late; the machine was busy.
    """

    def __init__(self, topic: str, hz: float) -> None:
        self.sent: dict[int, PhotoFrame] = {}
        self.late = 0
        self._hz = hz
        self._frames: Sequence[PhotoFrame] = ()
        self._laps = 0
        self._played = 0
        self._changed = threading.Condition(threading.RLock())
        self._stopping = False
        self._node: Any = rclpy.create_node("stream_camera")
        self._publisher = self._node.create_publisher(Image, topic, qos_profile_sensor_data)
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def __enter__(self) -> StreamCamera:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        self._node.destroy_node()

    @property
    def matched(self) -> bool:
        """Whether somebody subscribes."""
        return bool(self._publisher.get_subscription_count())

    def loop(self, frames: Sequence[PhotoFrame]) -> None:
        """Publish these from now on, again and again."""
        with self._changed:
            self._frames, self._played, self._laps = frames, 0, 0
            self._changed.notify_all()

    def play(
        self,
        frames: Sequence[PhotoFrame],
        meanwhile: Callable[[], None] = lambda: None,
        every_s: float = 1.0,
    ) -> tuple[int, ...]:
        """Publish these once and wait until all are out; their stamps.

        Args:
            frames: to publish.
            meanwhile: called every so many seconds while it goes on.
            every_s: seconds.
        """
        with self._changed:
            before = len(self.sent)
            self.loop(frames)
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._laps > 0, every_s):
                    self._frames = ()
                    return tuple(self.sent)[before : before + len(frames)]
            meanwhile()

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            with self._changed:
                while not self._frames and not self._stopping:
                    self._changed.wait()
                    due_s = time.monotonic()
                if self._stopping:
                    return
                frame = self._frames[self._played]
                self._publish(frame)
                self._played = (self._played + 1) % len(self._frames)
                self._laps += self._played == 0
                self._changed.notify_all()
            due_s += 1.0 / self._hz
            behind_s = time.monotonic() - due_s
            if behind_s > 1.0 / self._hz:
                self.late += 1
                due_s = time.monotonic()
            time.sleep(max(0.0, -behind_s))

    def _publish(self, frame: PhotoFrame) -> None:
        stamp_ns = time.time_ns()
        message = image_message(frame.image, stamp_ns=stamp_ns)
        self.sent[stamp_ns] = frame
        self._publisher.publish(message)

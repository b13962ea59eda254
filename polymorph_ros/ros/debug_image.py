"""Publishes pictures for people, with what the node says drawn in, where somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from polymorph_ros.arrays import Image
from polymorph_ros.interfaces import topics
from polymorph_ros.ros import qos
from polymorph_ros.ros.debug_picture import draw, draw_no_data
from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.inbox import Inbox
from polymorph_ros.ros.worker import Worker
from polymorph_ros.runtime.result import FrameResult

_LOG_EVERY_S = 5.0
_FIRST_SHAPE = (240, 320)


@dataclass(frozen=True)
class _Shown:
    """What is to be drawn: a picture with its result, or the reason why there is none."""

    header: Header
    picture: Image | None = None
    result: FrameResult | None = None
    reason: str = ""


class DebugImages:
    """The topic ``~/debug_image``, or ``~/<camera>/debug_image`` of several cameras.

    Drawing has a thread of its own, so that no frame waits for it; of frames that come faster
    than they are drawn, the freshest is next. Nothing is drawn where nobody subscribes.

    Args:
        node: the node that publishes.
        cameras: names of the cameras.

    Raises:
        PolymorphError: a QoS override is not valid; nothing is left behind.
    """

    def __init__(self, node: Node, cameras: Sequence[str]) -> None:
        self._node = node
        several = len(cameras) > 1
        topic = topics.DEBUG_IMAGE
        with ExitStack() as undo:
            self._publishers = {
                camera: qos.create_publisher(
                    node,
                    undo,
                    ImageMessage,
                    replace(topic, name=f"{camera}/{topic.name}") if several else topic,
                )
                for camera in cameras
            }
            self._undo = undo.pop_all()
        self._shapes: dict[str, Sequence[int]] = dict.fromkeys(cameras, _FIRST_SHAPE)
        self._inbox: Inbox[_Shown] = Inbox()
        self._painter = Worker(self._inbox, self._paint)
        self._painter.start()

    def listened_to(self) -> bool:
        """Whether anybody looks."""
        return any(publisher.get_subscription_count() for publisher in self._publishers.values())

    def show(self, result: FrameResult, picture: Image, header: Header) -> None:
        """Show a picture with its result.

        Args:
            result: what was said about the picture.
            picture: uint8 RGB of shape (height, width, 3); it must not change any more.
            header: the picture's own.
        """
        if self._publishers[result.camera].get_subscription_count():
            self._inbox.put(result.camera, _Shown(header, picture, result))

    def show_no_data(self, camera: str, header: Header, reason: str) -> None:
        """Show that there is no result, and why."""
        if self._publishers[camera].get_subscription_count():
            self._inbox.put(camera, _Shown(header, reason=reason))

    def finish(self) -> None:
        """Let the picture that is being drawn be the last; on return nothing more comes."""
        self._inbox.clear()
        self._painter.between_frames(lambda: None).result()

    def destroy(self) -> None:
        """End the thread and the topics."""
        self._painter.stop()
        self._undo.close()

    def _paint(self, camera: str, shown: _Shown) -> None:
        try:
            self._publishers[camera].publish(_message(self._drawn(camera, shown), shown.header))
        except Exception as error:
            if self._node.context.ok():
                self._node.get_logger().warning(
                    f"camera {camera}: no debug image: {one_line(error)}",
                    throttle_duration_sec=_LOG_EVERY_S,
                )

    def _drawn(self, camera: str, shown: _Shown) -> Image:
        if shown.picture is None or shown.result is None:
            return draw_no_data(self._shapes[camera], shown.reason)
        self._shapes[camera] = shown.picture.shape[:2]
        return draw(shown.picture, shown.result)


def _message(picture: Image, header: Header) -> ImageMessage:
    height, width = picture.shape[:2]
    message = ImageMessage(
        header=header, height=height, width=width, encoding="rgb8", step=3 * width
    )
    message.data = picture.tobytes()
    return message

"""A frame's way on the worker's thread: message, picture, engine, messages; or a named fault."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.node import Node

from polymorph_ros.arrays import Image
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.data.pixels import ImageError, image_of
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.ros.camera import Camera, ImageMessage, Received
from polymorph_ros.ros.capture import Capture
from polymorph_ros.ros.decoder_output import decoder_output
from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.publishers import ResultPublishers
from polymorph_ros.ros.settings import PublishSettings
from polymorph_ros.ros.stamps import latency_s
from polymorph_ros.runtime.engine import Engine

_LOG_EVERY_S = 5.0


class Pipeline:
    """Labels frames with an engine and publishes the results.

    Owned by the worker's thread: `engine` and `publish` are replaced between two frames only.
    """

    def __init__(
        self,
        node: Node,
        cameras: Mapping[str, Camera],
        publishers: ResultPublishers,
        engine: Engine,
        publish: PublishSettings,
        capture: Capture,
    ) -> None:
        self.engine = engine
        self.publish = publish
        self._node = node
        self._cameras = cameras
        self._publishers = publishers
        self._capture = capture
        self._streams = {name: ImageStream() for name in cameras}

    def limit_images(self, megapixels: float) -> None:
        """From the next image on, reject those that claim to be larger."""
        for stream in self._streams.values():
            stream.max_image_megapixels = megapixels

    def handle(self, camera_name: str, image: Received) -> None:
        """Answer one frame. A fault in it is counted and logged; it never ends the worker."""
        camera = self._cameras[camera_name]
        try:
            self._answer(camera, image)
        except Exception as error:
            self._warn(f"camera {camera.name}: {one_line(error)}")

    def _answer(self, camera: Camera, image: Received) -> None:
        try:
            self._label(camera, image)
        except ImageError as error:
            camera.counters.reject(error.reason, one_line(error))
            self._warn(f"camera {camera.name}: image rejected: {one_line(error)}")
        except Exception as error:
            if self._node.context.ok():  # else only publishing failed: the node is ending
                self._fail(camera, image.message, one_line(error))

    def _label(self, camera: Camera, image: Received) -> None:
        header = image.message.header
        picture = self._picture(camera, image.message)
        stamp_ns = to_ns(header.stamp)
        frame = Frame(picture, stamp_ns, camera.name, header.frame_id, image.received_ns)
        result = self.engine.step(frame)
        self._publishers.publish(result, header, self.publish)
        self._publishers.debug_images.show(result, picture, header)
        now_ns = self._node.get_clock().now().nanoseconds
        camera.counters.answer(result, latency_s(now_ns, header.stamp))
        camera.counters.stamps.take(result.time, frame.stamp_ns, now_ns)
        self._capture.offer(image.message, picture, result)

    def _picture(self, camera: Camera, message: ImageMessage) -> Image:
        """The message's pixels; what is peculiar about them is logged once per camera."""
        stream = self._streams[camera.name]
        known = len(stream.remarks)
        with decoder_output() as complaints:
            image = image_of(message, stream)
        camera.counters.damaged += bool(complaints)
        for remark in list(stream.remarks)[known:]:
            self._node.get_logger().warning(f"camera {camera.name}: {remark}")
        return image

    def _fail(self, camera: Camera, message: ImageMessage, fault: str) -> None:
        self.engine.ledger.cancel_frame()
        camera.counters.fail(fault)
        self._warn(f"camera {camera.name}: no result for a frame: {fault}")
        self._publishers.publish_no_data(
            camera.name, message.header, f"the engine failed on this frame: {fault}"
        )

    def _warn(self, line: str) -> None:
        if self._node.context.ok():
            self._node.get_logger().warning(line, throttle_duration_sec=_LOG_EVERY_S)

"""Everything that the node publishes about frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial

from rclpy.node import Node
from std_msgs.msg import Header

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.enumerations import EndReason
from polymorph_ros.msg import ContextState, EnergyReport, LabelArray, LabelEvent, LabelInfo
from polymorph_ros.ros import classification, messages, qos
from polymorph_ros.ros.debug_image import DebugImages
from polymorph_ros.ros.settings import PublishSettings
from polymorph_ros.runtime.label_events import LabelEvents
from polymorph_ros.runtime.message_fields import Fields
from polymorph_ros.runtime.result import FrameResult


class ResultPublishers:
    """The topics ``~/labels``, ``~/events``, ``~/context``, ``~/energy``, ``~/label_info``.

    ``~/classification`` and ``~/vision_label_info`` too where vision_msgs is installed. Any
    thread may publish: a lock keeps labels and events of a camera in order, so that NO_DATA
    never overtakes a result.

    Attributes:
        debug_images: ``~/debug_image``.

    Raises:
        PolymorphError: a QoS override is not valid; nothing is left behind.
    """

    def __init__(self, node: Node, cameras: Iterable[str]) -> None:
        self._node = node
        with ExitStack() as undo:
            create = partial(qos.create_publisher, node, undo)
            self._labels = create(LabelArray, topics.LABELS)
            self._events = create(LabelEvent, topics.EVENTS)
            self._context = create(ContextState, topics.CONTEXT)
            self._energy = create(EnergyReport, topics.ENERGY)
            self._info = create(LabelInfo, topics.LABEL_INFO)
            self._classification = classification.create_publisher(create)
            self._vision_info = classification.create_info_publisher(create)
            self.debug_images = DebugImages(node, tuple(cameras))
            undo.callback(self.debug_images.destroy)
            self._undo = undo.pop_all()
        self._lock = threading.Lock()
        self._label_events = LabelEvents()
        self._headers: dict[str, Header] = {}  # of the last answered image of each camera
        self._messages: dict[str, messages.LabelMessage] = {}
        self._names: tuple[str, ...] = ()
        self._published_s = dict.fromkeys(cameras, time.monotonic())

    def describe(self, bundle: Bundle, threshold_shift: float) -> None:
        """Take a bundle's names and publish its label information, for late subscribers too."""
        manifest = bundle.manifest
        names = tuple(label.name for label in manifest.labels)
        with self._lock:
            self._names = names
            self._messages = {camera: messages.LabelMessage(names) for camera in self._published_s}
        stamp = self._node.get_clock().now().to_msg()
        info = messages.label_info(bundle, stamp, threshold_shift)
        self._info.publish(info)
        if self._vision_info is not None:
            lowest = min(info.on_thresholds)
            self._vision_info.publish(classification.label_info(names, lowest, stamp))

    def listened_to(self, settings: PublishSettings) -> bool:
        """Whether anybody subscribes to results of frames that these settings publish."""
        wanted = [self._labels]
        wanted += [self._events] if settings.events else []
        wanted += [self._context] if settings.context else []
        wanted += [self._energy] if settings.energy else []
        if settings.classification and self._classification is not None:
            wanted.append(self._classification)
        return self.debug_images.listened_to() or any(
            publisher.get_subscription_count() for publisher in wanted
        )

    def publish(self, result: FrameResult, header: Header, settings: PublishSettings) -> None:
        """Publish a frame's result; labels first, since planners wait for them."""
        active_only = settings.labels == "active"
        with self._lock:
            message = self._messages[result.camera]
            self._labels.publish(message.fill(result, header, active_only=active_only))
            self._published_s[result.camera] = time.monotonic()
            self._headers[result.camera] = header
            if settings.events:
                self._publish_events(header, self._label_events.of(result))
            else:
                self._end_labels(result.camera, EndReason.SWITCHED_OFF)
        if settings.context:
            self._context.publish(messages.context_state(result, header))
        if settings.energy:
            self._energy.publish(messages.energy_report(result, header))
        if settings.classification and self._classification is not None:
            self._classification.publish(
                classification.message(result, header, self._names, active_only=active_only)
            )

    def publish_no_data(self, camera: str, header: Header, reason: str) -> None:
        """Publish that there is no result for a frame, or no frame."""
        with self._lock:
            self._publish_no_data(camera, header, reason)

    def publish_no_data_if_silent(
        self, camera: str, header: Header, reason: str, timeout_s: float
    ) -> None:
        """Publish it only if nothing was published about the camera for so long."""
        with self._lock:
            if time.monotonic() - self._published_s[camera] >= timeout_s:
                self._publish_no_data(camera, header, reason)

    def published_s(self, camera: str) -> float:
        """When something was published about a camera last, by the monotonic clock."""
        return self._published_s[camera]

    def _publish_no_data(self, camera: str, header: Header, reason: str) -> None:
        self._labels.publish(messages.no_data(camera, header, reason))
        self.debug_images.show_no_data(camera, header, reason)
        self._published_s[camera] = time.monotonic()
        self._end_labels(camera, EndReason.NO_DATA)

    def end_labels(self, reason: EndReason, camera: str = "") -> None:
        """Publish that all active labels of a camera (empty: of all) vanish, and why."""
        with self._lock:
            for name in [camera] if camera else list(self._headers):
                self._end_labels(name, reason)

    def _end_labels(self, camera: str, reason: EndReason) -> None:
        events = self._label_events.end(camera, reason)
        try:
            self._publish_events(self._headers.get(camera, Header()), events)
        except Exception:
            if self._node.context.ok():  # else the node is ending, and can publish no more
                raise

    def _publish_events(self, header: Header, events: Iterable[Fields]) -> None:
        for fields in events:
            self._events.publish(messages.label_event(fields, header))

    def restart_silence(self) -> None:
        """Measure silence from now on (the gates were just opened)."""
        with self._lock:
            self._published_s = dict.fromkeys(self._published_s, time.monotonic())

    def destroy(self) -> None:
        """End all topics."""
        self._undo.close()

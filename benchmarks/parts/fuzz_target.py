"""The node under fuzz: a process with five cameras, four of which get what no driver should send.

A burst counts as survived when a good image of each camera, sent after it, has been answered: the
middleware keeps the order of a topic, so everything before it was received.
"""

from __future__ import annotations

import itertools
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.qos import HistoryPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from parts.fuzz_messages import CLOCK, DAMAGE, IMAGES, Shot
from parts.machine import cpu_seconds
from parts.node_watch import NodeWatch
from parts.process_use import UseOverTime
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces import topics
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.harness.listener import CameraStatus
from polymorph_ros.ros.harness.process import ChildProcess, start_node
from polymorph_ros.ros.harness.waiting import wait_until
from polymorph_ros.ros.stamps import to_stamp

FUZZED, HEALTHY = ("fuzzed0", "fuzzed1", "fuzzed2", "fuzzed3"), "healthy"
CAMERAS = (*FUZZED, HEALTHY)
ANSWER_DEADLINE_S = 60.0
"""A node that answers no good image for so long counts as mute."""

_DEPTH = 200  # more than a burst and its probes
_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=_DEPTH)
_PROBE_EVERY_S = 1.0
_SERVICE_DEADLINE_S = 5.0
_MOST_DATA_BYTES = 6 << 30  # an image that takes more must not take the machine with it
_SAMPLE_EVERY_S = 2.0


class Death(Exception):
    """The node has ended, or answers no more."""


class FuzzTarget:
    """One node's life. Make it by `alive`.

    Attributes:
        sent: shots by kind.
        unsendable: by kind, shots that the middleware refused to send.
        unanswered_calls: service calls without an answer in time.
        probes: good images sent, of each camera.
        longest_answer_s: from a good image to its answer.
        use: memory, descriptors and threads.
    """

    def __init__(self, watch: NodeWatch, child: ChildProcess, compressed: bool) -> None:
        self.sent: Counter[str] = Counter()
        self.unsendable: Counter[str] = Counter()
        self.unanswered_calls = self.probes = 0
        self.longest_answer_s = 0.0
        self.use = UseOverTime()
        self._watch, self._child, self._ros = watch, child, watch.ros
        self._image_type: Any = CompressedImage if compressed else Image
        self._cameras = {
            name: self._ros.create_publisher(self._image_type, _topic(name, compressed), _QOS)
            for name in CAMERAS
        }
        # In turn, as one image of each camera waits for the worker and newer ones replace it.
        self._turn = itertools.cycle(self._cameras[name] for name in FUZZED)
        self._clock = self._ros.create_publisher(Clock, "/clock", _QOS)
        self._clients: dict[str, Any] = {}
        self._picture = _good(compressed)
        self._sampled_s = 0.0

    def destroy(self) -> None:
        """Remove publishers and clients."""
        for publisher in (*self._cameras.values(), self._clock):
            self._ros.destroy_publisher(publisher)
        for client in self._clients.values():
            self._ros.destroy_client(client)

    def fire(self, shots: list[Shot]) -> None:
        """Send shots, then see that the node lives.

        Raises:
            Death: it does not.
        """
        for shot in shots:
            self._send(shot)
        if shots and shots[0].service:
            self._restore()
        self.probe()
        if time.monotonic() - self._sampled_s > _SAMPLE_EVERY_S:
            self._sampled_s = time.monotonic()
            self.use.sample(self._child.process.pid)

    def probe(self) -> None:
        """Send good images until one of each camera is answered."""
        start_s, cpu_s = time.monotonic(), self._cpu_s()
        images: set[tuple[str, int]] = set()
        while True:
            stamp_ns = time.time_ns()
            for camera, publisher in self._cameras.items():
                self._watch.expect(camera, stamp_ns)
                images.add((camera, stamp_ns))
                self._picture.header.stamp = to_stamp(stamp_ns)
                publisher.publish(self._picture)
            self.probes += 1
            answered = self._watch.wait_for(images, _PROBE_EVERY_S)
            elapsed_s = time.monotonic() - start_s
            if answered:
                self.longest_answer_s = max(self.longest_answer_s, elapsed_s)
                self._watch.settle()
                return
            self._check(elapsed_s, self._cpu_s() - cpu_s)

    def counts(self) -> Mapping[str, CameraStatus]:
        """The node's own counts by camera, once they rest."""
        seen, last = self._watch.reports, None
        end_s = time.monotonic() + ANSWER_DEADLINE_S
        while time.monotonic() < end_s:
            now = {camera: status.counts for camera, status in self._watch.statuses.items()}
            if self._watch.reports > seen:
                if now == last and now:
                    break
                seen, last = self._watch.reports, now
            time.sleep(0.05)
        return dict(self._watch.statuses)

    def _cpu_s(self) -> float:
        pid = self._child.process.pid
        return cpu_seconds(pid) if self._child.process.poll() is None else 0.0

    def _check(self, elapsed_s: float, cpu_s: float) -> None:
        code = self._child.process.poll()
        if code is not None:
            raise Death(f"it ended with code {code}")
        if elapsed_s > ANSWER_DEADLINE_S:
            raise Death(
                f"it lives, but answered no good image for {elapsed_s:.0f} s, in which it got "
                f"{cpu_s:.2f} s of CPU; load {os.getloadavg()[0]:.1f}"
            )

    def _send(self, shot: Shot) -> None:
        self.sent[shot.kind] += 1
        try:
            if shot.service:
                self._call(shot)
            else:
                publisher = self._clock if shot.kind == CLOCK else next(self._turn)
                publisher.publish(shot.payload)
        except (TypeError, ValueError, RuntimeError):  # rclpy's own refusals
            self.unsendable[shot.kind] += 1

    def _call(self, shot: Shot) -> None:
        kind, request = shot.payload
        if not self._answered(shot.service, kind, request):
            self.unanswered_calls += 1

    def _answered(self, service: str, kind: Any, request: Any) -> bool:
        client = self._clients.get(service)
        if client is None:
            name = f"/{topics.NODE_NAME}/{service}"
            client = self._clients[service] = self._ros.create_client(kind, name)
            client.wait_for_service(_SERVICE_DEADLINE_S)
        answer: Future[Any] = Future()
        call = client.call_async(request)
        call.add_done_callback(lambda _: answer.set_result(None))
        try:
            answer.result(_SERVICE_DEADLINE_S)
        except TimeoutError:
            client.remove_pending_request(call)
            return False
        return True

    def _restore(self) -> None:
        """Set back what a request may have changed and would keep good images from an answer."""
        wanted = {"max_rate_hz": 0.0, "no_data_timeout": 60.0, "frame_budget_s": 0.0}
        parameters = [
            Parameter(name=name, value=ParameterValue(type=3, double_value=value))
            for name, value in wanted.items()
        ]
        request = SetParametersAtomically.Request(parameters=parameters)
        self._answered("set_parameters_atomically", SetParametersAtomically, request)


@contextmanager
def alive(
    watch: NodeWatch, folder: Path, compressed: bool, bundle: Path | None
) -> Iterator[FuzzTarget]:
    """A node of its own that answers; ended when the context ends.

    Args:
        watch: follows it; begins anew.
        folder: for its log.
        compressed: whether its topics carry ``CompressedImage``; it then runs on simulated time.
        bundle: its bundle; None for the default.

    Raises:
        PolymorphError: it does not start.
    """
    watch.restart()
    child = start_node(_parameters(compressed, bundle), folder / "node.log")
    resource.prlimit(child.process.pid, resource.RLIMIT_DATA, (_MOST_DATA_BYTES,) * 2)
    target = FuzzTarget(watch, child, compressed)
    try:
        wait_until(
            lambda: len(watch.statuses) == len(CAMERAS), "diagnostics of all cameras", child.check
        )
        wait_until(lambda: watch.states.total() > 0, "an active node", child.check)
        target.probe()
        target.use.sample(child.process.pid)
        yield target
    except Death as death:
        raise PolymorphError("a node that answers", str(death), where="start") from None
    finally:
        target.destroy()
        if child.process.poll() is None and child.interrupt() != 0:
            child.process.kill()
            child.process.wait()


def _parameters(compressed: bool, bundle: Path | None) -> dict[str, object]:
    overrides = {
        f"qos_overrides.{_topic(name, compressed)}.subscription.{policy}": value
        for name in CAMERAS
        for policy, value in (("reliability", "reliable"), ("depth", _DEPTH))
    }
    return {
        "autostart": True,
        "cameras": str(list(CAMERAS)),
        "image_topics": str([_topic(name, compressed) for name in CAMERAS]),
        "image_transport": "compressed" if compressed else "raw",
        "use_sim_time": compressed,
        "device": "cpu",
        "cpu_threads": 1,
        "energy.meter": "estimated",
        **overrides,
        **({"bundle": bundle} if bundle else {}),
    }


def _topic(camera: str, compressed: bool) -> str:
    return f"/fuzz/{camera}" + ("/compressed" if compressed else "")


def _good(compressed: bool) -> Any:
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    if not compressed:
        return image_message(pixels)
    message = CompressedImage(format="jpeg")
    message.data = cv2.imencode(".jpg", pixels)[1].tobytes()
    return message


def balance(target: FuzzTarget, counts: Mapping[str, CameraStatus]) -> dict[str, int]:
    """What is left when the counts of a life are compared; all 0 where every image has its fate.

    Returns:
        ``unsettled``: received images without a fate. ``missing``: images, damaged ones included,
        that the node neither received nor reported lost.
    """
    cameras = [counts.get(name, CameraStatus()) for name in CAMERAS]
    settled = [c.answered + c.dropped + c.rejected + c.failed for c in cameras]
    received = sum(camera.received for camera in cameras)
    lost = sum(camera.lost for camera in cameras)
    sent = len(CAMERAS) * target.probes
    sent += sum(target.sent[kind] - target.unsendable[kind] for kind in (IMAGES, DAMAGE))
    return {"unsettled": received - sum(settled), "missing": sent - received - lost}

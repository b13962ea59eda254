"""What lives from configure to cleanup: cameras, worker, engine, publishers, energy ledger."""

from __future__ import annotations

import math
from concurrent.futures import Future
from contextlib import ExitStack

import torch
from rclpy.node import Node

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.enumerations import EndReason
from polymorph_ros.model.gpu import use_device
from polymorph_ros.ros.camera import Camera, Received
from polymorph_ros.ros.capture import Capture
from polymorph_ros.ros.inbox import Inbox
from polymorph_ros.ros.lazy import LazyGate
from polymorph_ros.ros.loader import free_memory
from polymorph_ros.ros.monitor import CameraMonitor
from polymorph_ros.ros.pipeline import Pipeline
from polymorph_ros.ros.publishers import ResultPublishers
from polymorph_ros.ros.settings import NodeSettings
from polymorph_ros.ros.watchdog import Watchdog
from polymorph_ros.ros.worker import Worker
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.loading import LoadedBundle


class Session:
    """A configured node's inside.

    `open`, `close` and `end` are for the thread of transitions, all else is for the executor's.

    Args:
        node: the node that owns it.
        settings: the node's settings; `apply` replaces them.
        loaded: the bundle to begin with; `swap` replaces it.

    Raises:
        PolymorphError: a meter that was asked for is not there.
        Exception: rclpy's own, for instance for an invalid topic name; nothing is left behind.
    """

    def __init__(self, node: Node, settings: NodeSettings, loaded: LoadedBundle) -> None:
        self.settings = settings
        self.loaded = loaded
        self._node = node
        with ExitStack() as undo:
            undo.callback(free_memory)
            self.ledger = self._open_ledger()
            undo.callback(self.ledger.close)
            self._publishers = ResultPublishers(node, settings.topics)
            undo.callback(self._publishers.destroy)
            self._inbox: Inbox[Received] = Inbox()
            self._inbox.limit_rate(settings.max_rate_hz)
            self._gate = LazyGate(settings.lazy, self._listened_to, self._wake)
            self.cameras: dict[str, Camera] = {}
            for name, topic in settings.topics.items():
                camera = Camera(node, name, topic, settings.compressed, self._inbox, self._gate)
                self.cameras[name] = camera
                undo.callback(camera.destroy)
            self.capture = Capture(
                settings.capture,
                loaded.bundle,
                {name: camera.topic for name, camera in self.cameras.items()},
                node.get_fully_qualified_name(),
                self._warn,
            )
            undo.callback(self.capture.end)
            self.monitors = {
                name: CameraMonitor(camera, settings.no_data_timeout_s)
                for name, camera in self.cameras.items()
            }
            self._watchdog = Watchdog(
                node, self.monitors, self._publishers, settings.no_data_timeout_s
            )
            undo.callback(self._watchdog.destroy)
            self._pipeline = Pipeline(
                node,
                self.cameras,
                self._publishers,
                self._engine(loaded),
                settings.publish,
                self.capture,
            )
            self._pipeline.limit_images(settings.max_image_megapixels)
            self._publishers.describe(loaded.bundle, settings.engine.threshold_shift)
            self._worker = Worker(self._inbox, self._pipeline.handle)
            self._worker.start()
            undo.callback(self._worker.stop)
            self._worker.between_frames(lambda: use_device(loaded.model.device))
            self._undo = undo.pop_all()

    @property
    def bundle(self) -> Bundle:
        """The bundle that runs now."""
        return self.loaded.bundle

    @property
    def device(self) -> str:
        """Where the model runs, as torch names it."""
        return str(self.loaded.model.device)

    def open(self) -> None:
        """Open the gates: images are answered, and NO_DATA is published where none come."""
        for camera in self.cameras.values():
            camera.open()
        self._watchdog.start()

    def close(self) -> None:
        """Close the gates; on return nothing more is published. The weights stay.

        What was believed is forgotten: every active label vanishes, and the next activation
        starts anew.
        """
        for camera in self.cameras.values():
            camera.close()
        self._watchdog.stop()
        for name in self._inbox.clear():
            self.cameras[name].counters.dropped += 1
        self._worker.between_frames(lambda: self._forget("", EndReason.DEACTIVATED)).result()
        self._publishers.debug_images.finish()

    def end(self) -> None:
        """Stop everything and give the memory back."""
        self.close()
        self._undo.close()

    def apply(self, settings: NodeSettings) -> None:
        """Use other live settings from the next frame on, or none of them.

        Raises:
            PolymorphError: they name labels that the bundle does not have, or the folder for
                captures cannot be written.
        """
        settings.engine.require_labels([label.name for label in self.bundle.manifest.labels])
        self.capture.apply(settings.capture)
        before, self.settings = self.settings, settings
        self._inbox.limit_rate(settings.max_rate_hz)
        self._gate.lazy = settings.lazy
        self._worker.between_frames(lambda: self._apply_to_pipeline(before, settings))
        if settings.no_data_timeout_s != before.no_data_timeout_s:
            for monitor in self.monitors.values():
                monitor.timeout_s = settings.no_data_timeout_s
            self._watchdog.use_timeout(settings.no_data_timeout_s)

    def reset(self, camera: str) -> Future[None]:
        """Forget what was believed of one camera (empty: of all), between two frames.

        Raises:
            PolymorphError: there is no camera of that name.
        """
        if camera and camera not in self.cameras:
            raise PolymorphError(
                f"one of {', '.join(self.cameras)}, or nothing for all", f"{camera!r}",
                where="camera",
            )  # fmt: skip
        return self._worker.between_frames(lambda: self._forget(camera, EndReason.RESET))

    def request_capture(self, camera: str) -> Future[Future[str]]:
        """Capture a camera's last answered frame, between two frames.

        Returns:
            What ``Capture.request`` gives, or its error.
        """
        return self._worker.between_frames(lambda: self.capture.request(camera))

    def _listened_to(self) -> bool:
        capturing = self.settings.capture.folder is not None
        return capturing or self._publishers.listened_to(self.settings.publish)

    def _wake(self, camera: str) -> None:
        """Start a camera anew, whose images nobody wanted until now."""
        self.reset(camera)
        self._publishers.restart_silence()

    def swap(self, loaded: LoadedBundle) -> Future[None]:
        """Go over to another bundle between two frames."""
        return self._worker.between_frames(lambda: self._go_over_to(loaded))

    def _forget(self, camera: str, reason: EndReason) -> None:
        self._pipeline.engine.reset(camera or None)
        self._publishers.end_labels(reason, camera)

    def _go_over_to(self, loaded: LoadedBundle) -> None:
        self._publishers.end_labels(EndReason.BUNDLE)
        torch.set_num_threads(loaded.cpu_threads)
        self._pipeline.engine = self._engine(loaded)
        self.capture.use(loaded.bundle)
        self.loaded = loaded
        self._publishers.describe(loaded.bundle, self.settings.engine.threshold_shift)

    def _apply_to_pipeline(self, before: NodeSettings, now: NodeSettings) -> None:
        self._pipeline.publish = now.publish
        self._pipeline.limit_images(now.max_image_megapixels)
        self._pipeline.engine.apply(now.engine)
        if now.engine.threshold_shift != before.engine.threshold_shift:
            self._publishers.describe(self.bundle, now.engine.threshold_shift)

    def _warn(self, line: str) -> None:
        if self._node.context.ok():
            self._node.get_logger().warning(line, throttle_duration_sec=5.0)

    def _engine(self, loaded: LoadedBundle) -> Engine:
        return loaded.engine(self.ledger, self.settings.engine)

    def _open_ledger(self) -> EnergyLedger:
        energy = self.settings.energy
        ledger = self.loaded.open_ledger(
            energy.meter,
            cpu_watts=energy.cpu_watts,
            gpu_watts=energy.gpu_watts,
            calibration=energy.calibration,
        )
        idle = ledger.measure_idle(energy.idle_s) if energy.idle_s else math.nan
        if idle > 0:
            self._node.get_logger().info(f"idle power: {idle:.2f} W ({ledger.summary().scope})")
        return ledger

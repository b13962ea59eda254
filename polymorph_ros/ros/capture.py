"""Capture: keeps the frames that would teach the model most, on a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from polymorph_ros.arrays import Image
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.captures import (
    CaptureFolder,
    Note,
    StoredPicture,
    as_jpeg,
    check_folder,
    picture_message,
)
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.bag_messages import serialise
from polymorph_ros.interfaces.stamps import stamp_fields, to_ns
from polymorph_ros.interfaces.topics import LABELS
from polymorph_ros.ros.camera import ImageMessage
from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.settings import REQUESTED, UNCERTAIN, UNKNOWN_SCENE, CaptureSettings
from polymorph_ros.runtime import message_fields
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.views import (
    AlikeDistance,
    Feature,
    UncertainFrames,
    ViewSet,
    uncertainty,
    worth,
)

MOST_PICTURES = 1000
_WAITING = 2  # frames that may wait for the disk; each holds a picture in memory
_SAME = 0.1  # of the distance of alike views: so near, one that was asked for is left out too


@dataclass
class CaptureCounters:
    """What became of the frames that were worth keeping; written by one thread per field.

    Attributes:
        captured: pictures written since the node was configured.
        alike: frames left out because their view is captured already.
        busy: frames left out because others waited for the disk.
        dropped: pictures deleted to make room for more telling ones.
        failed: frames that could not be written.
        stored: pictures in the folder now.
        stored_bytes: their size.
        fault: why the last frame could not be written; empty after one that could.
    """

    captured: int = 0
    alike: int = 0
    busy: int = 0
    dropped: int = 0
    failed: int = 0
    stored: int = 0
    stored_bytes: int = 0
    fault: str = ""


@dataclass(frozen=True)
class _Candidate:
    """A frame that is worth keeping."""

    message: ImageMessage
    picture: Image
    result: FrameResult
    reason: str
    trunk: str


class Capture:
    """Decides which answered frames to keep and writes them to the folder of the settings.

    ``offer``, ``use`` and ``request`` are for the worker's thread and never wait; the other methods
    are for the executor's.

    Args:
        settings: the first ones; ``apply`` replaces them.
        bundle: what answers; ``use`` replaces it.
        topics: the image topic of each camera, fully resolved.
        node: fully qualified name of the node.
        warn: logs a line; from any thread.

    Raises:
        PolymorphError: the folder cannot be written.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        bundle: Bundle,
        topics: Mapping[str, str],
        node: str,
        warn: Callable[[str], None],
    ) -> None:
        _check(settings)
        self.counters = CaptureCounters()
        self.settings = settings
        self._trunk = bundle.trunk_id
        self._topics = topics
        self._labels_topic = LABELS.under(node)
        self._warn = warn
        self._latest: dict[str, tuple[ImageMessage, Image, FrameResult]] = {}
        self._uncertain = {camera: UncertainFrames() for camera in topics}
        self._not_before = dict.fromkeys(topics, 0.0)
        self._room = threading.Semaphore(_WAITING)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._store = _Store(self.counters, topics, self._labels_topic)
        self._jobs.put(lambda: self._configure(settings))
        self._thread = threading.Thread(target=self._run, name="polymorph-capture")
        self._thread.start()

    def apply(self, settings: CaptureSettings) -> None:
        """Use other settings from the next frame on.

        Raises:
            PolymorphError: the folder cannot be written; the settings stay as they were.
        """
        if settings == self.settings:
            return
        if settings.folder != self.settings.folder:
            _check(settings)
        self.settings = settings
        self._jobs.put(lambda: self._configure(settings))

    def use(self, bundle: Bundle) -> None:
        """Go over to another bundle."""
        self._trunk = bundle.trunk_id
        self._uncertain = {camera: UncertainFrames() for camera in self._topics}

    def offer(self, message: ImageMessage, picture: Image, result: FrameResult) -> None:
        """Keep an answered frame if it is worth it and there is time.

        Args:
            message: as the camera sent it.
            picture: its pixels.
            result: the answer.
        """
        camera = result.camera
        if self.settings.folder is None:
            self._latest.clear()
            return
        self._latest[camera] = message, picture, result
        if result.reused:
            return
        reason = self._reason(camera, result)
        now = time.monotonic()
        if reason not in self.settings.reasons or now < self._not_before[camera]:
            return
        self._not_before[camera] = now + self.settings.min_interval_s
        if not self._room.acquire(blocking=False):
            self.counters.busy += 1
            return
        candidate = _Candidate(message, picture, result, reason, self._trunk)
        self._jobs.put(lambda: self._keep_and_release(candidate))

    def request(self, camera: str) -> Future[str]:
        """Keep the last answered frame of a camera.

        Returns:
            In words what was done; or PolymorphError where it cannot be written.

        Raises:
            PolymorphError: capture is off, or there is no such frame.
        """
        if self.settings.folder is None:
            raise PolymorphError(
                "a folder for captures", "none", where="capture.folder", remedy="set it"
            )
        if REQUESTED not in self.settings.reasons:
            raise PolymorphError(
                REQUESTED, ", ".join(self.settings.reasons), where="capture.reasons"
            )
        if camera not in self._topics:
            raise PolymorphError(
                f"one of {', '.join(self._topics)}, or nothing for all", f"{camera!r}",
                where="camera",
            )  # fmt: skip
        if camera not in self._latest:
            raise PolymorphError("an answered frame", "none yet", where=f"camera {camera}")
        candidate = _Candidate(*self._latest[camera], REQUESTED, self._trunk)
        future: Future[str] = Future()

        def run() -> None:
            try:
                future.set_result(self._store.keep(candidate))
            except Exception as error:
                self._fail(error)
                future.set_exception(error)

        self._jobs.put(run)
        return future

    def end(self) -> None:
        """Write what waits and stop the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _reason(self, camera: str, result: FrameResult) -> str:
        """Why a frame is worth keeping; empty where it is not."""
        uncertain = self._uncertain[camera].take(uncertainty(result.score_array))
        if result.unknown_scene.unknown:
            return UNKNOWN_SCENE
        return UNCERTAIN if uncertain else ""

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:
                self._fail(error)

    def _configure(self, settings: CaptureSettings) -> None:
        self._store.configure(settings, self._trunk)

    def _keep_and_release(self, candidate: _Candidate) -> None:
        try:
            self._store.keep(candidate)
        finally:
            self._room.release()

    def _fail(self, error: Exception) -> None:
        self.counters.failed += 1
        self.counters.fault = one_line(error)
        self._warn(f"capture: {self.counters.fault}")


class _Store:
    """The folder and its views, for the thread of captures."""

    def __init__(
        self, counters: CaptureCounters, topics: Mapping[str, str], labels_topic: str
    ) -> None:
        self._counters = counters
        self._topics = topics
        self._labels_topic = labels_topic
        self._folder: CaptureFolder | None = None
        self._path: Path | None = None
        self._most_bytes = 0
        self._trunk = ""
        self._views = ViewSet(MOST_PICTURES)
        self._alike = AlikeDistance()
        self._by_name: dict[str, StoredPicture] = {}

    def configure(self, settings: CaptureSettings, trunk: str) -> None:
        """Open the folder of the settings, if it is another one, and keep within their bytes."""
        self._most_bytes = settings.max_mb * 1_000_000
        if settings.folder != self._path or self._folder is None:
            self._folder, self._path, self._trunk = None, settings.folder, trunk
            self._open()
        self._make_room()
        self._count()

    def keep(self, candidate: _Candidate) -> str:
        """Write a frame unless its view is there; in words what was done.

        Raises:
            PolymorphError: it cannot be written.
        """
        folder = self._folder or self._open()
        if folder is None:
            raise PolymorphError("a folder for captures", "none", where="capture.folder")
        if candidate.trunk != self._trunk:
            self._trunk = candidate.trunk
            self._views.forget_features()
            self._alike = AlikeDistance()
        feature = candidate.result.feature
        self._alike.take(feature)
        share = _SAME if candidate.reason == REQUESTED else 1.0
        if self._views.nearest(feature) <= share * self._alike.value:
            self._counters.alike += 1
            return "this view is captured already"
        while self._views.full:
            self._drop(folder)
        note = self._note(candidate)
        picture = _picture(candidate, note.stamp_ns)
        stored = folder.add(picture, _labels(candidate, note.stamp_ns), note)
        self._add(stored, feature)
        self._counters.captured += 1
        self._counters.fault = ""
        self._make_room()
        self._count()
        if stored.path.name not in self._by_name:
            return "captured, and dropped again: capture.max_mb leaves no room for it"
        return f"captured in {stored.bag}"

    def _open(self) -> CaptureFolder | None:
        self._views, self._by_name = ViewSet(MOST_PICTURES), {}
        self._alike = AlikeDistance()
        if self._path is None:
            return None
        self._folder = CaptureFolder(self._path)
        for picture in self._folder.pictures[-MOST_PICTURES:]:
            same = picture.note.trunk == self._trunk
            self._add(picture, picture.note.feature if same else None)
        return self._folder

    def _add(self, picture: StoredPicture, feature: Feature | None) -> None:
        name = picture.path.name
        self._by_name[name] = picture
        spared = picture.note.reason == REQUESTED
        self._views.add(name, feature, picture.note.weight, spared=spared)

    def _make_room(self) -> None:
        folder = self._folder
        while folder is not None and self._by_name and folder.size > self._most_bytes:
            self._drop(folder)

    def _drop(self, folder: CaptureFolder) -> None:
        name = self._views.least_telling()
        self._views.remove(name)
        folder.drop(self._by_name.pop(name))
        self._counters.dropped += 1

    def _count(self) -> None:
        self._counters.stored = len(self._by_name)
        self._counters.stored_bytes = self._folder.size if self._folder else 0

    def _note(self, candidate: _Candidate) -> Note:
        result = candidate.result
        topic = self._topics[result.camera]
        compressed = hasattr(candidate.message, "format")
        return Note(
            camera=result.camera,
            stamp_ns=to_ns(candidate.message.header.stamp) or time.time_ns(),
            image_topic=topic if compressed else f"{topic}/compressed",
            labels_topic=self._labels_topic,
            reason=candidate.reason,
            weight=float(worth(uncertainty(result.score_array), result.unknown_scene.unknown)),
            trunk=candidate.trunk,
            feature=result.feature,
        )


def _picture(candidate: _Candidate, stamp_ns: int) -> bytes:
    """The picture as a compressed message; one that is compressed already stays as it is."""
    message = candidate.message
    frame_id = message.header.frame_id
    if hasattr(message, "format"):
        return picture_message(message.data, message.format, stamp_ns, frame_id)
    jpeg = as_jpeg(candidate.picture)
    return picture_message(jpeg, "rgb8; jpeg compressed bgr8", stamp_ns, frame_id)


def _labels(candidate: _Candidate, stamp_ns: int) -> bytes:
    """What the node said of the picture."""
    frame_id = candidate.message.header.frame_id
    header = {"stamp": stamp_fields(stamp_ns), "frame_id": frame_id}
    fields = message_fields.whole_label_array(candidate.result)
    return serialise(LABELS.type, {"header": header, **fields})


def _check(settings: CaptureSettings) -> None:
    if settings.folder is not None:
        check_folder(settings.folder)

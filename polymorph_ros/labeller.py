"""The front door: load a bundle, label pictures and streams of them."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polymorph_ros.arrays import NS_PER_S, Image
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.open_dataset import DEFAULT_FPS
from polymorph_ros.data.pixels import ImageError, image_from_jpeg
from polymorph_ros.data.recordings import find_recordings
from polymorph_ros.energy.ledger import EnergySummary
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backend import Backend
from polymorph_ros.runtime.loading import LoadedBundle, load_bundle
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings

_PICTURE = "a uint8 array of shape (height, width, 3), RGB, or a path"
_LATEST_S = 2**33  # nanoseconds up to here fit into 64 bits
_log = logging.getLogger(__name__)


def load(
    bundle: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    backend: Backend = "float32",
    cpu_threads: int = 0,
    meter: str = "auto",
    calibration: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Labeller:
    """Load a bundle, run it once, and choose CPU threads and energy meter as the node does.

    Args:
        bundle: its folder; the bundle that comes with the package if none is given.
        device: "cpu", "cuda", "cuda:N", or "auto" for a GPU where there is one.
        backend: what trunk and tails compute in: "float32", "bfloat16", "float16" or, on a CPU,
            "int8_trunk".
        cpu_threads: threads of a computation on the CPU, for the whole process; 0 for as many as
            pay, which takes a moment to measure.
        meter: where joules come from: "auto" for the best sensor that works here, "none", or one
            of ``polymorph_ros.energy.meter.METER_KINDS``.
        calibration: this machine's file of ``polymorph energy calibrate``, for an estimate.
        settings: fields of ``EngineSettings``, for instance ``max_adapters=2``.

    Raises:
        PolymorphError: the bundle, the device, the meter, the calibration or a setting is not as it
            must be.

    >>> labeller = load(meter="none", threshold_shift=-0.5)
    >>> "person" in labeller.labels
    True
    """
    chosen = _changed(EngineSettings(), settings)
    loaded = load_bundle(Path(bundle or default_bundle()), device, backend, cpu_threads)
    file = None if calibration is None else Path(calibration)
    return Labeller(loaded, chosen, meter, file)


class Labeller:
    """Labels pictures, one after the other, and remembers what it saw; ``load`` makes one.

    What was seen a moment ago changes how the next picture of the same camera is read. Pictures
    that have nothing to do with each other need a ``reset`` between them, or a camera each. One
    thread at a time may use a labeller.

    Args:
        loaded: the bundle with its model.
        settings: of the engine.
        meter: where joules come from.
        calibration: this machine's, for an estimate.

    Attributes:
        engine: the engine behind it.

    Raises:
        PolymorphError: the meter asked for is not there.
    """

    def __init__(
        self,
        loaded: LoadedBundle,
        settings: EngineSettings,
        meter: str = "auto",
        calibration: Path | None = None,
    ) -> None:
        self._ledger = loaded.open_ledger(meter, calibration=calibration)
        weakref.finalize(self, self._ledger.close)
        self.engine = loaded.engine(self._ledger, settings)
        self._last_ns: dict[str, int] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """The vocabulary, in the order of all arrays."""
        return self.engine.model.labels

    @property
    def contexts(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of each context by the context's name, which is that of its adapter."""
        return {entry.name: entry.labels for entry in self.engine.manifest.contexts}

    @property
    def device(self) -> str:
        """Where the model runs, as torch names it."""
        return str(self.engine.model.device)

    @property
    def settings(self) -> EngineSettings:
        """The settings of the engine."""
        return self.engine.settings

    @property
    def energy(self) -> EnergySummary:
        """Joules, watts, frames and seconds since the bundle was loaded, and their source."""
        return self._ledger.summary()

    def __call__(
        self, image: Any, *, stamp_s: float | None = None, camera: str = "camera"
    ) -> FrameResult:
        """Label one picture.

        Args:
            image: uint8 of shape (height, width, 3), channels in the order R, G, B; a PIL image or
                another thing that NumPy takes for such an array; or the path of a picture file.
                OpenCV reads BGR, which nothing here can notice: give it ``image[..., ::-1]``.
            stamp_s: when it was taken, seconds from 0 on; a stamp before the camera's last one
                starts that camera anew. Without it the wall clock counts, which never goes back
                here.
            camera: which camera took it; each has a memory of its own.

        Raises:
            PolymorphError: the image is no such picture, or the stamp is out of range.
        """
        pixels = _read(Path(image)) if isinstance(image, str | os.PathLike) else _rgb(image)
        return self._step(Frame(pixels, self._stamp_ns(stamp_s, camera), camera))

    def stream(
        self,
        source: str | os.PathLike[str],
        *,
        topic: str | None = None,
        fps: float = DEFAULT_FPS,
    ) -> Iterator[FrameResult]:
        """Label all pictures of a recording, in order, with the stamps that they have there.

        No labels are needed. A result's ``camera`` is the recording's name, and each recording
        starts anew. What cannot be decoded is left out with a warning in the log.

        Args:
            source: a rosbag2 recording (folder, .mcap or .db3), a video, or a folder with these or
                with pictures.
            topic: the topic of the images, needed where a recording has several.
            fps: frames per second of pictures whose file names do not say when they were taken.

        Raises:
            PolymorphError: there is nothing that can be read, or a recording breaks off.
        """
        recordings, faults = find_recordings(Path(source), topic=topic, fps=fps)
        for fault in faults:
            _warn(fault)
        for recording in recordings:
            self.reset(recording.name)
            for moment in recording.moments():
                image = moment.decode()
                if isinstance(image, Fault):
                    _warn(image)
                else:
                    yield self._step(Frame(image, moment.stamp_ns, recording.name))
            self.reset(recording.name)

    def reset(self, camera: str | None = None) -> None:
        """Forget what was seen by one camera, or by all."""
        self.engine.reset(camera)
        if camera is None:
            self._last_ns.clear()
        else:
            self._last_ns.pop(camera, None)

    def apply(self, **settings: Any) -> None:
        """Change fields of ``EngineSettings`` from the next picture on; the others stay.

        Raises:
            PolymorphError: there is no such field, or its value is out of range.
        """
        self.engine.apply(_changed(self.settings, settings))

    def _step(self, frame: Frame) -> FrameResult:
        result = self.engine.step(frame)
        self._last_ns[frame.camera] = frame.stamp_ns
        return result

    def _stamp_ns(self, stamp_s: float | None, camera: str) -> int:
        if stamp_s is None:
            return max(time.time_ns(), self._last_ns.get(camera, 0))
        if not 0.0 <= stamp_s < _LATEST_S:
            raise PolymorphError(
                f"seconds from 0 to {_LATEST_S}",
                f"{stamp_s}",
                where="stamp_s",
                remedy="divide nanoseconds by 1e9",
            )
        return round(stamp_s * NS_PER_S)


def _changed(settings: EngineSettings, changes: Mapping[str, Any]) -> EngineSettings:
    """The settings with other values of some fields."""
    known = [field.name for field in dataclasses.fields(EngineSettings)]
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise PolymorphError(
            f"settings out of {', '.join(known)}", ", ".join(unknown), where="settings"
        )
    return dataclasses.replace(settings, **changes)


def _read(path: Path) -> Image:
    """The picture in a file."""
    try:
        return image_from_jpeg(path.read_bytes(), path.suffix[1:])
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise PolymorphError("a readable picture", found, where=str(path)) from None
    except ImageError as error:
        raise PolymorphError(error.expected, error.found, where=str(path)) from None


def _rgb(image: Any) -> Image:
    """An image as the engine takes it: uint8 of shape (height, width, 3).

    Raises:
        PolymorphError: it is none; says how to make one of it.
    """
    try:
        pixels = np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:  # of a tensor on a GPU, a ragged list
        found = str(error).splitlines()[0]
        raise PolymorphError(_PICTURE, found, where="image") from None
    shape = pixels.shape
    remedy = ""
    if len(shape) == 2:
        remedy = "repeat the grey values: np.repeat(image[..., None], 3, axis=2)"
    elif len(shape) == 3 and shape[2] == 4:
        remedy = "leave the alpha channel out: image[..., :3]"
    elif len(shape) == 3 and shape[2] != 3 and shape[0] == 3:
        remedy = "put the channels last: image.transpose(1, 2, 0)"
    elif len(shape) == 3 and shape[2] == 3 and pixels.dtype != np.uint8:
        remedy = "give values from 0 to 255: (255 * image).astype('uint8') if they end at 1"
    elif len(shape) == 3 and shape[2] == 3 and pixels.size:
        return pixels
    raise PolymorphError(
        _PICTURE,
        f"{pixels.dtype} of shape {shape}" if shape else type(image).__name__,
        where="image",
        remedy=remedy,
    )


def _warn(fault: Fault) -> None:
    _log.warning("left out: %s: %s", fault.where, fault.reason)

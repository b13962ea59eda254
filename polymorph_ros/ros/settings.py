"""What the node's parameters mean: one frozen object, checked whole before any of it is used."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from polymorph_ros.energy.meter import METER_KINDS
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backend import BACKENDS, Backend
from polymorph_ros.model.gpu import is_device_name
from polymorph_ros.ros.image_transport import DEPTH, refusal_remedy
from polymorph_ros.runtime.settings import EngineSettings

CHOICES: Mapping[str, tuple[str, ...]] = {
    "image_transport": ("raw", "compressed"),
    "device": ("auto", "cpu", "cuda", "cuda:N"),
    "engine.backend": BACKENDS,
    "energy.meter": METER_KINDS,
    "publish.labels": ("all", "active"),
}
"""The values of parameters that have only some, by parameter name."""

UNKNOWN_SCENE, UNCERTAIN, REQUESTED = CAPTURE_REASONS = (
    "unknown_scene",
    "uncertain",
    "requested",
)
"""Why a frame may be captured."""

Group = TypeVar("Group", "EnergySettings", "PublishSettings", EngineSettings)

_CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class EnergySettings:
    """Which meter is read, what an estimate rests on, idle power, and the battery."""

    meter: str
    cpu_watts: float
    gpu_watts: float
    calibration: Path | None
    idle_s: float
    battery_wh: float


@dataclass(frozen=True)
class PublishSettings:
    """What is published for each frame: every label or the active ones, and which topics."""

    labels: str
    events: bool
    context: bool
    energy: bool
    classification: bool


@dataclass(frozen=True)
class CaptureSettings:
    """Which frames are captured, and where to.

    Attributes:
        folder: where the recordings go; None for no capture.
        max_mb: megabytes (10^6 bytes) of all pictures in the folder.
        min_interval_s: seconds between two frames of a camera that are considered.
        reasons: of ``CAPTURE_REASONS``.

    Raises:
        PolymorphError: there is no such reason.
    """

    folder: Path | None
    max_mb: int
    min_interval_s: float
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        for reason in self.reasons:
            if reason not in CAPTURE_REASONS:
                raise PolymorphError(
                    f"reasons out of {', '.join(CAPTURE_REASONS)}", f"{reason!r}",
                    where="capture.reasons",
                )  # fmt: skip


@dataclass(frozen=True)
class NodeSettings:
    """All parameters of the node, consistent with each other.

    Attributes:
        topics: base image topic of each camera, by the camera's name, in the order of `cameras`.
        compressed: whether ``CompressedImage`` of the topic below it is read instead of ``Image``.
        bundle: the bundle's folder; none for the one that comes with the package.
        bundle_root: bundles outside this folder are not loaded by the service; none for the
            folder of the bundles that come with the package.
        cpu_threads: threads of a computation on the CPU; 0 for as many as pay.
        backend: what trunk and tails compute in.
        max_rate_hz: frames per second and camera that are labelled; 0 for no limit.
        no_data_timeout_s: seconds without an answer after which NO_DATA is published.
        lazy: whether no frame is labelled while nobody subscribes to results.
        max_image_megapixels: images that claim to be larger are rejected before memory is taken.
    """

    topics: Mapping[str, str]
    compressed: bool
    bundle: Path | None
    bundle_root: Path | None
    device: str
    cpu_threads: int
    backend: Backend
    engine: EngineSettings
    energy: EnergySettings
    publish: PublishSettings
    capture: CaptureSettings
    max_rate_hz: float
    no_data_timeout_s: float
    lazy: bool
    max_image_megapixels: float
    autostart: bool

    def __post_init__(self) -> None:
        if self.max_rate_hz > 0 and self.no_data_timeout_s * self.max_rate_hz <= 1.0:
            raise PolymorphError(
                f"no_data_timeout above the {1.0 / self.max_rate_hz:g} s between two frames "
                f"at max_rate_hz {self.max_rate_hz:g}",
                f"{self.no_data_timeout_s:g} s",
                where="no_data_timeout",
                remedy="raise one of the two",
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> NodeSettings:
        """Settings from parameter values by parameter name.

        Raises:
            PolymorphError: a value is not one of its choices, or two do not fit each other.
        """
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise PolymorphError("a finite number", f"{value}", where=name)
            if name in CHOICES and not _is_choice(name, value):
                expected = f"one of {', '.join(CHOICES[name])}"
                remedy = refusal_remedy(value) if name == "image_transport" else ""
                raise PolymorphError(expected, f"{value!r}", where=name, remedy=remedy)
        priority = tuple(label for label in values["priority_labels"] if label)
        return cls(
            topics=_topics(values),
            compressed=values["image_transport"] == "compressed",
            bundle=_folder(values["bundle"]),
            bundle_root=_folder(values["bundle_root"]),
            device=values["device"],
            cpu_threads=values["cpu_threads"],
            backend=values["engine.backend"],
            engine=_group(
                EngineSettings,
                {
                    **values,
                    "priority_labels": priority,
                    "pooled_features": bool(values["capture.folder"]),
                },
            ),
            energy=_group(
                EnergySettings,
                {**values, "energy.calibration": _folder(values["energy.calibration"])},
                "energy.",
            ),
            publish=_group(PublishSettings, values, "publish."),
            capture=CaptureSettings(
                folder=_folder(values["capture.folder"]),
                max_mb=values["capture.max_mb"],
                min_interval_s=values["capture.min_interval_s"],
                reasons=tuple(reason for reason in values["capture.reasons"] if reason),
            ),
            max_rate_hz=values["max_rate_hz"],
            no_data_timeout_s=values["no_data_timeout"],
            lazy=values["lazy"],
            max_image_megapixels=values["max_image_megapixels"],
            autostart=values["autostart"],
        )


def _is_choice(name: str, value: str) -> bool:
    if name == "device":
        return is_device_name(value)
    return value in CHOICES[name]


def _group(kind: type[Group], values: Mapping[str, Any], prefix: str = "") -> Group:
    """The settings whose parameters are named as their fields, after a prefix."""
    return kind(**{field.name: values[prefix + field.name] for field in fields(kind)})


def _folder(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _topics(values: Mapping[str, Any]) -> dict[str, str]:
    cameras = list(values["cameras"])
    for camera in cameras:
        if not _CAMERA_NAME.match(camera):
            raise PolymorphError(
                "names of letters, digits and underscores, a letter first",
                f"{camera!r}",
                where="cameras",
            )
    if not cameras or len(set(cameras)) != len(cameras):
        raise PolymorphError(
            "at least one camera, each named once", f"{', '.join(cameras) or 'none'}",
            where="cameras",
        )  # fmt: skip
    given = [topic for topic in values["image_topics"] if topic]
    if not given:
        return dict(zip(cameras, _default_topics(cameras), strict=True))
    if len(given) != len(cameras) or len(set(given)) != len(given):
        raise PolymorphError(
            f"{len(cameras)} different topics, one for each of {', '.join(cameras)}",
            ", ".join(given),
            where="image_topics",
            remedy="leave it empty for <camera>/image",
        )
    for topic in given:
        if topic.endswith(f"/{DEPTH}"):
            raise PolymorphError(
                "topics of colour or grey images", f"{topic}, which carries depth",
                where="image_topics",
            )  # fmt: skip
    return dict(zip(cameras, given, strict=True))


def _default_topics(cameras: list[str]) -> list[str]:
    """``image`` of one camera, ``<camera>/image`` of several."""
    return ["image"] if len(cameras) == 1 else [f"{camera}/image" for camera in cameras]

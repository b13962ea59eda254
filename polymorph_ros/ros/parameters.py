"""The node's parameters: types, ranges, descriptions, and when each may change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from polymorph_ros.data.image_stream import MAX_IMAGE_MEGAPIXELS
from polymorph_ros.energy.estimated import DEFAULT_CPU_WATTS, DEFAULT_GPU_WATTS
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.settings import CAPTURE_REASONS, CHOICES, NodeSettings


class Changes(Enum):
    """When a parameter may change."""

    NEVER = "never"  # read-only: set it when the node starts
    UNCONFIGURED = "unconfigured"  # while the node is unconfigured; the next configure reads it
    LIVE = "live"  # at any time, between two frames


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter as it is declared."""

    name: str
    default: Any
    changes: Changes
    description: str
    bounds: tuple[float, float] | None = None

    def descriptor(self) -> ParameterDescriptor:
        """The descriptor that ``ros2 param describe`` shows."""
        read_only = self.changes is Changes.NEVER
        restart = ": restart the node with another value" if read_only else ""
        descriptor = ParameterDescriptor(
            name=self.name,
            description=f"{self.description} (may change: {self.changes.value}{restart})",
            read_only=read_only,
        )
        if self.name in CHOICES:
            descriptor.additional_constraints = "one of: " + ", ".join(CHOICES[self.name])
        if self.bounds and isinstance(self.default, int):
            low, high = int(self.bounds[0]), int(self.bounds[1])
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
        elif self.bounds:
            least, most = self.bounds
            descriptor.floating_point_range = [FloatingPointRange(from_value=least, to_value=most)]
        return descriptor

    def checked(self, value: Any) -> Any:
        """A value from a file or a command line, as the type of the default.

        A whole number is a good double, as ``5`` is for ``5.0``. A list of nothing stands for the
        default where that is a list of empty names.

        Raises:
            PolymorphError: the value has another type, or is out of bounds.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is list and not any(self.default) and (value is None or value == []):
            value = self.default
        if type(value) is not kind or not self._in_bounds(value):
            raise PolymorphError(
                self._wanted(), "nothing" if value in (None, []) else repr(value),
                where=f"parameter {self.name}", remedy=self.remedy(),
            )  # fmt: skip
        return value

    def remedy(self) -> str:
        """What an operator does about a wrong value."""
        if self.changes is Changes.NEVER:
            return "it is read-only: restart the node with the right value"
        return "set it right and configure again"

    def _in_bounds(self, value: Any) -> bool:
        if isinstance(value, list):
            return bool(value) and all(isinstance(item, str) for item in value)
        if self.bounds is None:
            return True
        return math.isfinite(value) and self.bounds[0] <= value <= self.bounds[1]

    def _wanted(self) -> str:
        kind = _KINDS[type(self.default)]
        if self.bounds:
            return f"{kind} from {self.bounds[0]:g} to {self.bounds[1]:g}"
        return kind


_KINDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text",
    list: "a list of names",
}  # fmt: skip

_NEVER, _UNCONFIGURED, _LIVE = Changes.NEVER, Changes.UNCONFIGURED, Changes.LIVE

SPECS: tuple[ParameterSpec, ...] = (
    ParameterSpec("autostart", False, _NEVER, "configure and activate at start"),
    ParameterSpec("cameras", ["camera"], _NEVER, "names of the cameras"),
    ParameterSpec(
        "image_topics", [""], _NEVER,
        "image topic of each camera; empty: `image` of one camera, `<camera>/image` of several",
    ),
    ParameterSpec("image_transport", "raw", _NEVER, "transport of the image topics"),
    ParameterSpec(
        "bundle_root", "", _NEVER,
        "folder that ~/load_bundle may load from; empty: the package's bundles",
    ),
    ParameterSpec("bundle", "", _UNCONFIGURED, "bundle folder; empty: the default bundle"),
    ParameterSpec("device", "auto", _UNCONFIGURED, "device that runs the model"),
    ParameterSpec(
        "cpu_threads", 0, _UNCONFIGURED, "CPU threads; 0: the fastest number, measured", (0, 1024)
    ),
    ParameterSpec("engine.backend", "float32", _UNCONFIGURED, "number format of the model"),
    ParameterSpec("energy.meter", "auto", _UNCONFIGURED, "energy meter"),
    ParameterSpec(
        "energy.cpu_watts", DEFAULT_CPU_WATTS, _UNCONFIGURED,
        "watts of one busy CPU core, for estimates", (0.0, 10000.0),
    ),
    ParameterSpec(
        "energy.gpu_watts", DEFAULT_GPU_WATTS, _UNCONFIGURED,
        "watts of the busy GPU, for estimates", (0.0, 10000.0),
    ),
    ParameterSpec(
        "energy.calibration", "", _UNCONFIGURED,
        "file of `polymorph energy calibrate`, for estimates; empty: the watts above",
    ),
    ParameterSpec(
        "energy.idle_s", 1.0, _UNCONFIGURED,
        "seconds for which idle power is measured by configure, if a sensor is read; 0: not",
        (0.0, 60.0),
    ),
    ParameterSpec(
        "energy.battery_wh", 0.0, _LIVE, "battery's watt-hours, for its hours; 0: none",
        (0.0, 1000000.0),
    ),
    ParameterSpec(
        "max_adapters", 0, _LIVE, "most adapters per frame; 0: no limit", (0, 100000)
    ),
    ParameterSpec(
        "threshold_shift", 0.0, _LIVE,
        "log-odds added to every label's thresholds; above 0: fewer active labels", (-10.0, 10.0),
    ),
    ParameterSpec(
        "frame_budget_s", 0.0, _LIVE, "mean seconds a frame may take; 0: no budget", (0.0, 3600.0)
    ),
    ParameterSpec(
        "frame_budget_j", 0.0, _LIVE, "mean joules a frame may take; 0: no budget",
        (0.0, 1000000.0),
    ),
    ParameterSpec(
        "budget_watts", 0.0, _LIVE, "mean watts over 10 s, idle power included; 0: no budget",
        (0.0, 100000.0),
    ),
    ParameterSpec(
        "target_hz", 0.0, _LIVE,
        "frames per second of all cameras that computing must keep up with; 0: no target",
        (0.0, 10000.0),
    ),
    ParameterSpec(
        "priority_labels", [""], _LIVE, "labels whose adapters a budget takes last",
    ),
    ParameterSpec(
        "reuse_s", 1.0, _LIVE,
        "seconds for which a result is reused while the picture does not change; 0: never",
        (0.0, 3600.0),
    ),
    ParameterSpec(
        "detect_unknown_scenes", True, _LIVE, "report scenes unlike those of training"
    ),
    ParameterSpec(
        "probe_share", 0.0, _LIVE,
        "share of the adapters' work that looks for labels that the scout misses; 0: none",
        (0.0, 0.9),
    ),
    ParameterSpec(
        "max_rate_hz", 0.0, _LIVE, "most frames per second and camera; 0: no limit", (0.0, 10000.0)
    ),
    ParameterSpec(
        "no_data_timeout", 1.0, _LIVE,
        "seconds without an answer after which NO_DATA is published", (0.01, 3600.0),
    ),
    ParameterSpec(
        "max_image_megapixels", MAX_IMAGE_MEGAPIXELS, _LIVE,
        "largest image that is decoded, in millions of pixels", (0.01, 10000.0),
    ),
    ParameterSpec("lazy", False, _LIVE, "label no images while nobody subscribes to results"),
    ParameterSpec(
        "capture.folder", "", _LIVE,
        "folder for the frames that would teach most; empty: none are captured",
    ),
    ParameterSpec(
        "capture.max_mb", 500, _LIVE, "megabytes of all captured pictures", (1, 1000000)
    ),
    ParameterSpec(
        "capture.min_interval_s", 1.0, _LIVE,
        "seconds between two frames of a camera that are considered for capture", (0.0, 3600.0),
    ),
    ParameterSpec(
        "capture.reasons", list(CAPTURE_REASONS), _LIVE, "which frames are captured"
    ),
    ParameterSpec("publish.labels", "all", _LIVE, "labels that ~/labels lists"),
    ParameterSpec("publish.events", True, _LIVE, "publish ~/events"),
    ParameterSpec("publish.context", True, _LIVE, "publish ~/context"),
    ParameterSpec("publish.energy", True, _LIVE, "publish ~/energy"),
    ParameterSpec(
        "publish.classification", True, _LIVE,
        "publish ~/classification, where vision_msgs is installed",
    ),
)  # fmt: skip

_BY_NAME: Mapping[str, ParameterSpec] = {spec.name: spec for spec in SPECS}


class NodeParameters:
    """Declares the parameters of a node and turns their values into `NodeSettings`.

    A value that is refused at the start (from a params file or the command line) does not end
    the node: it is remembered, and `settings` raises until it is set right.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._faults: dict[str, PolymorphError] = {}
        for spec in SPECS:
            self._declare(spec)
        if hasattr(node, "add_pre_set_parameters_callback"):  # not in ROS 2 Humble
            node.add_pre_set_parameters_callback(_whole_numbers_as_doubles)

    def _declare(self, spec: ParameterSpec) -> None:
        """Declare one, with what was given where that is right.

        The first declaration takes a value of any type, so that a wrong one can be named.
        """
        anything = ParameterDescriptor(dynamic_typing=True)
        given = self._node.declare_parameter(spec.name, spec.default, anything).value
        self._node.undeclare_parameter(spec.name)
        value = spec.default
        try:
            value = spec.checked(given)
        except PolymorphError as fault:
            self._faults[spec.name] = fault
        self._node.declare_parameter(spec.name, value, spec.descriptor(), ignore_override=True)

    def settings(self) -> NodeSettings:
        """The settings that the present values mean.

        Raises:
            PolymorphError: a value was refused at the start, or values do not fit each other.
        """
        for fault in self._faults.values():
            raise fault
        try:
            return NodeSettings.of(self._values())
        except PolymorphError as error:
            spec = _BY_NAME.get(error.where)
            if spec is None or spec.changes is not Changes.NEVER:
                raise
            remedy = "; ".join(filter(None, (error.remedy, spec.remedy())))
            raise PolymorphError(
                error.expected, error.found, where=error.where, remedy=remedy
            ) from None

    def proposed(self, changes: Iterable[Parameter], *, configured: bool) -> NodeSettings:
        """The settings that would hold with these changes, or the reason why they cannot.

        Args:
            changes: parameters with their new values; foreign ones (QoS, time) are passed over.
            configured: whether the node is configured, so that only live parameters may change.

        Raises:
            PolymorphError: one of them may not change now, or the values do not fit each other.
        """
        ours = {change.name: change.value for change in changes if change.name in _BY_NAME}
        for name in ours:
            if configured and _BY_NAME[name].changes is not Changes.LIVE:
                raise PolymorphError(
                    "a change while the node is unconfigured", "a configured node",
                    where=f"parameter {name}",
                    remedy="clean up first, or call ~/load_bundle for another bundle",
                )  # fmt: skip
        settings = NodeSettings.of({**self._values(), **ours})
        for name in ours:
            self._faults.pop(name, None)
        return settings

    def _values(self) -> dict[str, Any]:
        return {spec.name: self._node.get_parameter(spec.name).value for spec in SPECS}


def _whole_numbers_as_doubles(changes: list[Parameter]) -> list[Parameter]:
    """Let ``ros2 param set reuse_s 5`` mean 5.0."""
    return [
        Parameter(change.name, Parameter.Type.DOUBLE, float(change.value))
        if change.type_ == Parameter.Type.INTEGER and _is_double(change.name)
        else change
        for change in changes
    ]


def _is_double(name: str) -> bool:
    return name in _BY_NAME and isinstance(_BY_NAME[name].default, float)

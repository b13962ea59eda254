"""Results as rclpy messages; their fields come from ``runtime.message_fields``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.msg import (
    ContextInfo,
    ContextState,
    EnergyReport,
    Label,
    LabelArray,
    LabelEvent,
    LabelInfo,
)
from polymorph_ros.runtime import message_fields
from polymorph_ros.runtime.result import FrameResult


class LabelMessage:
    """The LabelArray of one camera, built once and filled anew for each frame.

    Building a message in Python costs far more than filling it, so the label objects are reused.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = [Label(name=name, id=index) for index, name in enumerate(labels)]
        self._array = LabelArray()

    def fill(self, result: FrameResult, header: Header, *, active_only: bool) -> LabelArray:
        """The message of a result; valid until the next call."""
        array = self._array
        array.header = header
        for name, value in message_fields.label_array(result).items():
            setattr(array, name, value)
        listed = []
        for index, score, active, source, age in message_fields.labels(
            result, active_only=active_only
        ):
            label = self._labels[index]
            label.score = score
            label.active = active
            label.source = source
            label.age = age
            listed.append(label)
        array.labels = listed
        return array


def no_data(camera: str, header: Header, reason: str) -> LabelArray:
    """The message that says that there is no result, and why."""
    return LabelArray(header=header, **message_fields.no_data(camera, reason))


def label_event(fields: Mapping[str, Any], header: Header) -> LabelEvent:
    """A label that appeared or vanished, from the fields of ``LabelEvents``."""
    first_stamp = Time(**fields["first_stamp"])
    return LabelEvent(header=header, **{**fields, "first_stamp": first_stamp})


def context_state(result: FrameResult, header: Header) -> ContextState:
    """Which adapters ran, and why these."""
    return ContextState(header=header, **message_fields.context_state(result))


def energy_report(result: FrameResult, header: Header) -> EnergyReport:
    """What the frame cost; NaN where nothing measures it."""
    return EnergyReport(header=header, **message_fields.energy_report(result))


def label_info(bundle: Bundle, stamp: Time, threshold_shift: float) -> LabelInfo:
    """What the bundle can name, with the thresholds as they are shifted now."""
    fields = message_fields.label_info(bundle, threshold_shift)
    contexts = [ContextInfo(**context) for context in fields.pop("contexts")]
    return LabelInfo(header=Header(stamp=stamp), contexts=contexts, **fields)

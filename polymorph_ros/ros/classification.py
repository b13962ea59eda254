"""Results as messages of vision_msgs, where that is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from polymorph_ros.interfaces import topics
from polymorph_ros.runtime.result import FrameResult

try:
    from vision_msgs.msg import Classification, ObjectHypothesis
except ImportError:
    Classification = None
try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # vision_msgs is missing, or older than these
    LabelInfo = None

_UNLABELLED = 65535
"""The class id that vision_msgs keeps for what has no label."""


def create_publisher(create: Callable[[type[Any], topics.Topic], Any]) -> Any | None:
    """A publisher on ``~/classification``; none where vision_msgs is not installed."""
    if Classification is None:
        return None
    return create(Classification, topics.CLASSIFICATION)


def create_info_publisher(create: Callable[[type[Any], topics.Topic], Any]) -> Any | None:
    """A publisher on ``~/vision_label_info``; none where vision_msgs has no such message."""
    if LabelInfo is None:
        return None
    return create(LabelInfo, topics.VISION_LABEL_INFO)


def label_info(labels: Sequence[str], threshold: float, stamp: Time) -> Any:
    """The vocabulary as one LabelInfo, whose class ids are the labels' ids.

    Labels beyond the ids that the message can hold are left out.

    Args:
        labels: the vocabulary.
        threshold: the lowest score at which any label becomes active, in [0, 1].
        stamp: of the header.
    """
    return LabelInfo(
        header=Header(stamp=stamp),
        class_map=[
            VisionClass(class_id=index, class_name=name)
            for index, name in enumerate(labels[:_UNLABELLED])
        ],
        threshold=threshold,
    )


def message(
    result: FrameResult, header: Header, labels: Sequence[str], *, active_only: bool
) -> Any:
    """The result as one Classification: class names with scores, the likeliest first."""
    chosen = result.active_indices if active_only else range(len(labels))
    scores = result.score_array.tolist()
    ranked = sorted(chosen, key=lambda label: -scores[label])
    return Classification(
        header=header,
        results=[ObjectHypothesis(class_id=labels[label], score=scores[label]) for label in ranked],
    )

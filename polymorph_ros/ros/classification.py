"""Results as ``vision_msgs/Classification``, where vision_msgs is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Header

from polymorph_ros.interfaces import topics
from polymorph_ros.ros import qos
from polymorph_ros.runtime.result import FrameResult

try:
    from vision_msgs.msg import Classification, ObjectHypothesis
except ImportError:
    Classification = None


def create_publisher(node: Node) -> Any | None:
    """A publisher on ``~/classification``; none where vision_msgs is not installed."""
    if Classification is None:
        return None
    return node.create_publisher(Classification, topics.CLASSIFICATION.private, qos.RESULTS)


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

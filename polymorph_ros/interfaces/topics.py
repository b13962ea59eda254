"""The node's topics: names and message types, the same for the running node and for result bags."""

from __future__ import annotations

from dataclasses import dataclass

NODE_NAME = "polymorph"
PACKAGE = "polymorph_ros/msg"
DIAGNOSTICS = "/diagnostics"


@dataclass(frozen=True)
class Topic:
    """A topic that the node publishes.

    >>> LABELS.private, LABELS.under("/polymorph"), LABELS.type
    ('~/labels', '/polymorph/labels', 'polymorph_ros/msg/LabelArray')

    Attributes:
        name: its last part, below the node's own name.
        type: the message type, in full.
        latched: whether late subscribers get the last message too (transient local).
    """

    name: str
    type: str
    latched: bool = False

    @property
    def private(self) -> str:
        """The name as the node itself gives it."""
        return f"~/{self.name}"

    @property
    def type_name(self) -> str:
        """The message type without its package."""
        return self.type.rsplit("/", 1)[-1]

    def under(self, node: str = f"/{NODE_NAME}") -> str:
        """The name below a node's fully qualified name."""
        return f"{node}/{self.name}"


LABELS = Topic("labels", f"{PACKAGE}/LabelArray")
EVENTS = Topic("events", f"{PACKAGE}/LabelEvent")
CONTEXT = Topic("context", f"{PACKAGE}/ContextState")
ENERGY = Topic("energy", f"{PACKAGE}/EnergyReport")
LABEL_INFO = Topic("label_info", f"{PACKAGE}/LabelInfo", latched=True)

RESULTS = (LABELS, EVENTS, CONTEXT, ENERGY, LABEL_INFO)
"""The topics of this package's own types."""

CLASSIFICATION = Topic("classification", "vision_msgs/msg/Classification")
VISION_LABEL_INFO = Topic("vision_label_info", "vision_msgs/msg/LabelInfo", latched=True)
"""Both are published where vision_msgs is installed."""

DEBUG_IMAGE = Topic("debug_image", "sensor_msgs/msg/Image")
"""Published where someone subscribes to it."""

"""A planner that slows down for people, and stops relying on the camera when it is silent.

    python examples/slow_for_people.py --ros-args -r labels:=/polymorph/labels \
        -r label_info:=/polymorph/label_info -p camera:=camera

Publishes the speed limit (m/s) it would obey on `~/speed_limit`.
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float32

from polymorph_ros.msg import LabelArray, LabelInfo
from polymorph_ros.ros.planner import LabelView, Presence

SPEED = {Presence.ABSENT: 1.5, Presence.PRESENT: 0.3, Presence.UNKNOWN: 0.5}


class SlowForPeople(Node):
    """Turns the labels of one camera into a speed limit, ten times a second."""

    def __init__(self) -> None:
        super().__init__("slow_for_people")
        camera = self.declare_parameter("camera", "camera").value
        self._view = LabelView(camera=camera, max_age_s=0.5)
        self._last = ""
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(LabelArray, "labels", self._view.take, 10)
        self.create_subscription(LabelInfo, "label_info", self._view.take_info, latched)
        self._limit = self.create_publisher(Float32, "~/speed_limit", 10)
        self.create_timer(0.1, self._plan)

    def _plan(self) -> None:
        sighting = self._view.look("person", self.get_clock().now().nanoseconds)
        limit = SPEED[sighting.presence]
        self._limit.publish(Float32(data=limit))
        words = f"person {sighting.presence.value}: {limit} m/s {sighting.reason}"
        if sighting.presence.value != self._last:
            self.get_logger().info(words)
            self._last = sighting.presence.value


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    node = SlowForPeople()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()

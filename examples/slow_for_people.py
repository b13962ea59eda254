"""A planner that slows a simulated vehicle for people, and stops relying on a silent camera.

    python examples/slow_for_people.py --ros-args -r labels:=/polymorph/labels \
        -r label_info:=/polymorph/label_info -p camera:=camera

Each message of labels becomes a speed limit (m/s) at once, on `~/speed_limit`; a timer does the
same while no message comes. The log has a line for each change of the limit, with the delay from
the image's stamp to the command. The vehicle is a point that speeds up and brakes evenly.
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float32

from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray, LabelInfo
from polymorph_ros.ros.planner import LabelView, Presence

SPEED = {Presence.ABSENT: 1.5, Presence.PRESENT: 0.3, Presence.UNKNOWN: 0.5}
BRAKES, SPEEDS_UP = 1.0, 0.5  # m/s^2
TICK_S = 0.1


class Vehicle:
    """Follows a speed limit as fast as it can brake or speed up."""

    def __init__(self) -> None:
        self.speed = 0.0

    def drive(self, limit: float, seconds: float) -> None:
        """Go on for some time."""
        lowest, highest = self.speed - BRAKES * seconds, self.speed + SPEEDS_UP * seconds
        self.speed = min(max(limit, lowest), highest)


class SlowForPeople(Node):
    """Turns the labels of one camera into a speed limit that a vehicle obeys."""

    def __init__(self) -> None:
        super().__init__("slow_for_people")
        camera = self.declare_parameter("camera", "camera").value
        self._view = LabelView(camera=camera, max_age_s=0.5)
        self._vehicle = Vehicle()
        self._last: Presence | None = None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(LabelArray, "labels", self._on_labels, 10)
        self.create_subscription(LabelInfo, "label_info", self._view.take_info, latched)
        self._limit = self.create_publisher(Float32, "~/speed_limit", 10)
        self.create_timer(TICK_S, self._tick)

    def _on_labels(self, message: LabelArray) -> None:
        self._view.take(message)
        changed = self._plan()
        if changed is not None:
            delay_ns = self.get_clock().now().nanoseconds - to_ns(message.header.stamp)
            self.get_logger().info(f"{changed}, {delay_ns * 1e-6:.1f} ms after the image")

    def _tick(self) -> None:
        changed = self._plan()
        if changed is not None:
            self.get_logger().info(changed)
        self._vehicle.drive(SPEED[self._last or Presence.UNKNOWN], TICK_S)

    def _plan(self) -> str | None:
        """Command the limit; the words of it where it changed."""
        sighting = self._view.look("person", self.get_clock().now().nanoseconds)
        limit = SPEED[sighting.presence]
        self._limit.publish(Float32(data=limit))
        if sighting.presence is self._last:
            return None
        self._last = sighting.presence
        reason = f" ({sighting.reason})" if sighting.reason else ""
        return (
            f"person {sighting.presence.value}{reason}: limit {limit} m/s, "
            f"vehicle at {self._vehicle.speed:.2f} m/s"
        )


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

"""A planner that slows a simulated vehicle for people, and does not rely on a silent camera.

Each message of labels becomes a speed limit (m/s) at once, on `~/speed_limit`; a timer does the
same while no message comes. The log has a line for each change of the limit, with the delay from
the image's stamp to the command. The vehicle is a point that speeds up and brakes evenly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Float32

from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray, LabelInfo
from polymorph_ros.ros import qos
from polymorph_ros.ros.planner import LabelView, Presence, Sighting

LABEL = "person"
MAX_AGE_S = 0.5
LIMITS = {Presence.ABSENT: 1.5, Presence.PRESENT: 0.3, Presence.UNKNOWN: 0.5}
BRAKING, ACCELERATION = 1.0, 0.5  # m/s^2
PERIOD_S = 0.1

_DELAY = re.compile(r"([\d.]+) ms after the image")


@dataclass(frozen=True)
class Decision:
    """What the vehicle may do now.

    Attributes:
        limit: speed limit, m/s.
        sighting: why.
        changed: whether the answer differs from the one before.
    """

    limit: float
    sighting: Sighting
    changed: bool

    def __str__(self) -> str:
        reason = f" ({self.sighting.reason})" if self.sighting.reason else ""
        return f"{LABEL} {self.sighting.presence.value}{reason}: limit {self.limit} m/s"


class SpeedPlanner:
    """Decides on a speed limit from the labels of one camera: slow for people, or while in doubt.

    >>> planner = SpeedPlanner("front")
    >>> str(planner.decide(now_ns=0))
    'person unknown (no labels of camera front received yet): limit 0.5 m/s'

    Attributes:
        view: takes the messages of ``~/labels`` and ``~/label_info``.
    """

    def __init__(self, camera: str) -> None:
        self.view = LabelView(camera=camera, max_age_s=MAX_AGE_S)
        self._last: Presence | None = None

    def decide(self, now_ns: int) -> Decision:
        """The limit for now.

        Args:
            now_ns: by the clock that stamps the images, nanoseconds.
        """
        sighting = self.view.look(LABEL, now_ns)
        changed = sighting.presence is not self._last
        self._last = sighting.presence
        return Decision(LIMITS[sighting.presence], sighting, changed)


class Vehicle:
    """Follows a speed limit as fast as it can brake or speed up; speeds in m/s."""

    def __init__(self) -> None:
        self.speed = 0.0

    def drive(self, limit: float, seconds: float) -> None:
        """Go on for some time."""
        lowest, highest = self.speed - BRAKING * seconds, self.speed + ACCELERATION * seconds
        self.speed = min(max(limit, lowest), highest)


class SlowForPeople(Node):
    """Turns the labels of one camera into a speed limit that a vehicle obeys."""

    def __init__(self) -> None:
        super().__init__("slow_for_people")
        self._planner = SpeedPlanner(self.declare_parameter("camera", "camera").value)
        self._vehicle = Vehicle()
        self.create_subscription(LabelArray, topics.LABELS.name, self._on_labels, qos.RESULTS)
        take_info = self._planner.view.take_info
        self.create_subscription(LabelInfo, topics.LABEL_INFO.name, take_info, qos.LATCHED)
        self._limit = self.create_publisher(Float32, "~/speed_limit", 10)
        self.create_timer(PERIOD_S, self._on_timer)

    def _on_labels(self, message: LabelArray) -> None:
        self._planner.view.take(message)
        self._command(message)

    def _on_timer(self) -> None:
        self._vehicle.drive(self._command().limit, PERIOD_S)

    def _command(self, message: LabelArray | None = None) -> Decision:
        """Publish the limit and log a change, with the delay since the message's image."""
        now_ns = self.get_clock().now().nanoseconds
        decision = self._planner.decide(now_ns)
        self._limit.publish(Float32(data=decision.limit))
        if decision.changed:
            line = f"{decision}, vehicle at {self._vehicle.speed:.2f} m/s"
            if message is not None:
                now_ns = self.get_clock().now().nanoseconds
                line += f", {(now_ns - to_ns(message.header.stamp)) * 1e-6:.1f} ms after the image"
            self.get_logger().info(line)
        return decision


def delays_s(log: str) -> list[float]:
    """From the log: seconds from image to command, of each command that followed a message.

    >>> delays_s("person present: limit 0.3 m/s, vehicle at 0.00 m/s, 12.5 ms after the image")
    [0.0125]
    """
    return [float(milliseconds) * 1e-3 for milliseconds in _DELAY.findall(log)]


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

"""Pins the example planner as a process: it slows down for a person, and stops relying on labels
when none come. Open: how the vehicle brakes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float32, Header

from helpers.ros_peer import DEADLINE_S, Peer
from polymorph_ros.msg import Label, LabelArray, LabelInfo
from polymorph_ros.ros.stamps import to_stamp

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "slow_for_people.py"


def test_the_planner_slows_for_people_and_distrusts_silence(peer: Peer) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    info = peer.node.create_publisher(LabelInfo, "labels_info", latched)
    labels = peer.node.create_publisher(LabelArray, "labels", 10)
    info.publish(LabelInfo(labels=["person", "car"]))
    process = subprocess.Popen(
        [sys.executable, EXAMPLE, "--ros-args", "-r", "label_info:=labels_info"]
    )
    try:
        limits = peer.listen(Float32, "slow_for_people/speed_limit")
        peer.wait_for(lambda: labels.get_subscription_count(), "the planner's subscription")

        def heard(active: bool, limit: float) -> bool:
            """Whether the limit has come, while the labels go on."""
            labels.publish(
                LabelArray(
                    header=Header(stamp=to_stamp(time.time_ns())),
                    camera="camera",
                    state=LabelArray.STATE_FRESH,
                    labels=[Label(name="person", score=0.9, active=active)],
                )
            )
            return bool(limits) and limits[-1].data == pytest.approx(limit)

        peer.wait_for(lambda: heard(False, 1.5), "full speed without a person")
        peer.wait_for(lambda: heard(True, 0.3), "slow with a person")
        peer.wait_for(lambda: limits[-1].data == pytest.approx(0.5), "caution in silence")

        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()

"""Resident memory of the node after many frames against after few: a leak would show."""

from __future__ import annotations

import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from parts.machine import resident_mib
from parts.metrics import Results, rounded
from parts.pictures import pictures
from parts.stage import NODE_TOPIC, Stage, run_node
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.harness.waiting import wait_until
from polymorph_ros.ros.stamps import to_stamp

FIRST = 100

_SIZE = (160, 120)
_ANSWER_DEADLINE_S = 2.0
_SAMPLES = 10


def measure_memory(stage: Stage, frames: int) -> Results:
    """Publish small images, each as soon as the last one was answered."""
    images = [image_message(picture) for picture in pictures(*_SIZE)]
    ros = rclpy.create_node("benchmark_memory")
    publisher = ros.create_publisher(Image, NODE_TOPIC, qos_profile_sensor_data)
    resident: dict[int, float] = {}
    sampled = {FIRST, *(frames * part // _SAMPLES for part in range(1, _SAMPLES + 1))}
    unanswered = 0

    def publish(number: int) -> int:
        image = images[number % len(images)]
        stamp_ns = time.time_ns()
        image.header.stamp = to_stamp(stamp_ns)
        publisher.publish(image)
        return stamp_ns

    with run_node(stage) as node:
        wait_until(
            lambda: stage.listener.wait_for_answer(publish(0), 0.2), "a first answer", node.check
        )
        start_s = time.monotonic()
        for number in range(1, frames + 1):
            unanswered += not stage.listener.wait_for_answer(publish(number), _ANSWER_DEADLINE_S)
            if number in sampled:
                resident[number] = rounded(resident_mib(node.process.pid))
        elapsed_s = time.monotonic() - start_s
    ros.destroy_node()
    first, last = resident[min(resident)], resident[frames]
    return {
        "image": "160x120 rgb8, each published when the last one was answered",
        "frames": frames,
        "unanswered": unanswered,
        "frames_per_second": rounded(frames / elapsed_s),
        "resident_mib": {str(number): resident[number] for number in sorted(resident)},
        "growth_mib": rounded(last - first),
    }

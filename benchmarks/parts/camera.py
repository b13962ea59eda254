"""The camera: a process that publishes pictures at a fixed rate, stamped as they go out.

Each line on standard input is an order: a topic to publish on from now on, or an empty line to
pause. When a topic's turn ends, its stamps come out as one line of JSON. It ends with its input.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
from typing import Annotated, Any

import rclpy
import typer
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from parts.pictures import pictures
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.stamps import to_stamp

Orders = queue.SimpleQueue[str | None]


def run(
    topics: Annotated[list[str], typer.Argument(help="Topics that may be ordered.")],
    rate: Annotated[float, typer.Option(help="Images per second.")],
    width: Annotated[int, typer.Option(help="Pixels.")] = 640,
    height: Annotated[int, typer.Option(help="Pixels.")] = 480,
) -> None:
    """Publish as ordered."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the benchmark ends it, also at Ctrl-C
    images = [image_message(picture) for picture in pictures(width, height)]
    rclpy.init(args=[])
    node = rclpy.create_node("benchmark_camera")
    publishers = {
        topic: node.create_publisher(Image, topic, qos_profile_sensor_data) for topic in topics
    }
    orders: Orders = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders,), daemon=True).start()
    print(json.dumps("ready"), flush=True)
    while (topic := orders.get()) is not None:
        if topic:
            stamps = _publish(publishers[topic], images, 1.0 / rate, orders)
            print(json.dumps(stamps), flush=True)
    node.destroy_node()
    rclpy.shutdown()


def _publish(publisher: Any, images: list[Image], period_s: float, orders: Orders) -> list[int]:
    """Publish until the next order comes; the stamps."""
    stamps: list[int] = []
    due_s = time.monotonic()
    while orders.empty():
        image = images[len(stamps) % len(images)]
        stamps.append(time.time_ns())
        image.header.stamp = to_stamp(stamps[-1])
        publisher.publish(image)
        due_s = max(due_s + period_s, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
    return stamps


def _read(orders: Orders) -> None:
    for line in sys.stdin:
        orders.put(line.strip())
    orders.put(None)


if __name__ == "__main__":
    typer.run(run)

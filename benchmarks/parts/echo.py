"""The echo: the barest ROS 2 subscriber, which answers every image with its header.

What it adds to an image's way is what rclpy and DDS cost anyone: the image there, a small message
back, and no work in between. It keeps freed memory, as a process with a model in it does by its
size: otherwise each image's buffers come from the kernel anew, which costs more than the rest.
"""

from __future__ import annotations

import ctypes
import signal
from contextlib import suppress
from typing import Annotated

import rclpy
import typer
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from parts.listener import ECHO_TOPIC

# Of <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def run(topic: Annotated[str, typer.Argument(help="The image topic.")]) -> None:
    """Echo until SIGINT."""
    _keep_freed_memory()
    rclpy.init(args=[])
    node = rclpy.create_node("benchmark_echo")
    publisher = node.create_publisher(Header, ECHO_TOPIC, 10)

    def echo(image: Image) -> None:
        publisher.publish(image.header)

    node.create_subscription(Image, topic, echo, qos_profile_sensor_data)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    node.destroy_node()
    rclpy.try_shutdown()


def _keep_freed_memory() -> None:
    """Let glibc's malloc neither map large blocks one by one nor give the heap's top back."""
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    libc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)


if __name__ == "__main__":
    typer.run(run)

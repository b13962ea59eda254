"""The executable `polymorph_node`: one node, spun until Ctrl-C or SIGTERM, which end it with 0."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

# Before everything slow is imported: from here on a signal never raises in the middle of things.
_stopped = threading.Event()


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    _stopped.set()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is asked to end, however often and at whatever moment.

    rclpy's own handler shuts its context down, which ends the spinning; it then calls ours,
    which takes the place of the one that raises KeyboardInterrupt.

    Returns:
        0 when it was asked to end, 1 when it could not start.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)
    code = _run(args)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the interpreter's last steps are not interrupted
    gc.freeze()  # nor lengthened by a search through all of PyTorch for cycles
    return code


def _run(args: Sequence[str] | None) -> int:
    import rclpy

    try:
        rclpy.init(args=list(args) if args is not None else None)
    except Exception as error:
        return _cannot_start(error)
    try:
        return _spin() if not _stopped.is_set() else 0
    finally:
        rclpy.try_shutdown()


def _spin() -> int:
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    from polymorph_ros.ros.node import PolymorphNode

    try:
        node = PolymorphNode()
    except Exception as error:
        return _cannot_start(error) if rclpy.ok() else 0
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception:
        if rclpy.ok():  # else a callback could not publish any more
            raise
    finally:
        executor.shutdown()
        node.destroy_node()
    return 0


def _cannot_start(error: Exception) -> int:
    if _stopped.is_set():
        return 0
    print(f"polymorph cannot start: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())


if __name__ == "__main__":
    sys.exit(main())

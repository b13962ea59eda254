"""The executable `polymorph_node`: one node, spun until Ctrl-C or SIGTERM, which end it with 0."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

# A signal that comes so long after the first one means that ending in order takes too long:
# `ros2 launch` sends SIGTERM 5 s after SIGINT, and SIGKILL 10 s later.
_PATIENCE_S = 3.0

_asked_to_end_s: float | None = None


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is asked to end, however often and at whatever moment.

    Returns:
        0 when it was asked to end, 1 when it could not start.
    """
    _on_signals(_leave)  # importing takes seconds, and there is nothing to put in order yet
    import rclpy

    from polymorph_ros.ros.node import PolymorphNode

    _on_signals(_note)
    try:
        rclpy.init(args=list(args) if args is not None else None)
        node = PolymorphNode()
    except Exception as error:
        return _finish(_cannot_start(error))
    if _asked_to_end_s is None:
        _spin(node)
    node.destroy_node()
    rclpy.try_shutdown()
    return _finish(0)


def _spin(node: Any) -> None:
    """Spin until the context is shut down.

    rclpy's own signal handler does that. It then calls ours, which takes the place of the one
    that raises KeyboardInterrupt in the middle of things.
    """
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception:
        if rclpy.ok():  # else a callback could not publish any more
            raise
    executor.shutdown()


def _cannot_start(error: Exception) -> int:
    if _asked_to_end_s is not None:
        return 0
    print(f"polymorph cannot start: {error}", file=sys.stderr)
    return 1


def _finish(code: int) -> int:
    """Give the exit code, or leave with it where a bundle is still being loaded."""
    _on_signals(signal.SIG_IGN)  # the interpreter's last steps are not interrupted
    gc.freeze()  # nor lengthened by a search through all of PyTorch for cycles
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def _note(_number: int, _frame: FrameType | None) -> None:
    global _asked_to_end_s
    now_s = time.monotonic()
    if _asked_to_end_s is None:
        _asked_to_end_s = now_s
    elif now_s - _asked_to_end_s > _PATIENCE_S:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

"""The executable `polymorph_node`: one node, spun until Ctrl-C or SIGTERM, which end it with 0."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

# Of glibc's malloc. By default each of the node's threads has an arena of its own, and every bundle
# that is loaded leaves holes in other ones: resident memory grows though nothing more is in use.
_M_ARENA_MAX, _ARENAS = -8, 2

# A signal that comes so long after the first one means that ending in order takes too long:
# `ros2 launch` sends SIGTERM 5 s after SIGINT, and SIGKILL 10 s later.
_PATIENCE_S = 3.0

# A frame hands the interpreter over some 200 times, and each time may wait so long for it.
_SWITCH_S = 0.0005

_asked_to_end_s: float | None = None


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the node until it is asked to end, however often and at whatever moment.

    The process ends here, whatever threads still do, with one of these codes:

    * 0: it was asked to end.
    * 1: it could not start, or not go on. A supervisor starts it again.
    """
    _on_signals(_leave)  # importing takes seconds, and there is nothing to put in order yet
    _share_arenas()
    _let_frames_go_first()
    try:
        import rclpy

        from polymorph_ros.ros.node import PolymorphNode

        _on_signals(_note)
        rclpy.init(args=list(args) if args is not None else None)
        node = PolymorphNode()
    except Exception as error:
        _finish(_cannot_start(error))
    if _asked_to_end_s is None:
        try:
            _spin(node)
        except Exception as error:
            _say(f"polymorph cannot go on: {type(error).__name__}: {error}")
            _finish(1)  # at once: what is broken may hang in the end, too
    node.destroy_node()
    rclpy.try_shutdown()
    _finish(0)


def _share_arenas() -> None:
    """Let threads share memory arenas, unless the environment says how many there shall be."""
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _let_frames_go_first() -> None:
    """Let a bundle that loads disturb the frames less: with the defaults they stop for 0.3 s."""
    sys.setswitchinterval(_SWITCH_S)
    os.environ.setdefault("HF_DEACTIVATE_ASYNC_LOAD", "1")  # transformers: no threads that load


def _spin(node: Any) -> None:
    """Spin until the context is shut down.

    rclpy's own signal handler does that. It then calls ours, which takes the place of the one
    that raises KeyboardInterrupt in the middle of things.
    """
    from rclpy.executors import ExternalShutdownException

    from polymorph_ros.ros.spinning import SteadyExecutor

    executor = SteadyExecutor(node.callback_faults.note)
    executor.add_node(node)
    with suppress(ExternalShutdownException):
        executor.spin()
    executor.shutdown()


def _cannot_start(error: Exception) -> int:
    if _asked_to_end_s is not None:
        return 0
    text = " ".join(str(error).split())
    if "logging" in text:
        text += "; set ROS_LOG_DIR to a folder that this user can write to"
    _say(f"polymorph cannot start: {text}")
    return 1


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _finish(code: int) -> NoReturn:
    """Leave with an exit code, and wait for no thread and no search through all of PyTorch."""
    _on_signals(signal.SIG_IGN)  # the last steps are not interrupted
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
    main()

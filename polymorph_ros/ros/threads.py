"""Threads beside the executor, and how a service awaits them without holding it up."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from rclpy.node import Node
from rclpy.task import Future as RosFuture

Answer = TypeVar("Answer")


class TaskThread:
    """Runs tasks one after the other on a thread of its own, which never holds a process up.

    Args:
        name: of the thread, for debuggers and ``top``.
        niceness: how far other threads go first, 0 to 19; where the system has it for threads.
    """

    def __init__(self, name: str, niceness: int = 0) -> None:
        self._niceness = niceness
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, task: Callable[[], Answer]) -> Future[Answer]:
        """Run a task when those before it are done."""
        future: Future[Answer] = Future()
        self._tasks.put(lambda: settle(future, task))
        return future

    def end(self, patience_s: float = 0.0) -> None:
        """Take no more tasks; wait a while for the present one. The others are not run."""
        self._ended = True
        self._tasks.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(patience_s)

    def _run(self) -> None:
        if self._niceness and sys.platform == "linux":  # elsewhere it is the whole process's
            niceness = max(self._niceness, os.nice(0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        while not self._ended:
            task = self._tasks.get()
            if task is not None and not self._ended:
                task()


def settle(future: Future[Answer], task: Callable[[], Answer]) -> None:
    """Run a task and put what it gives or raises into a future."""
    try:
        answer = task()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(answer)


async def result_of(future: Future[Answer], node: Node) -> Answer:
    """Await a thread's answer on a node's executor, which goes on meanwhile.

    Only for callbacks in a reentrant group: one that awaits holds its group.
    """
    done: RosFuture = RosFuture(executor=node.executor)
    done.add_done_callback(lambda _: None)  # without one, its end does not wake the executor
    future.add_done_callback(lambda _: done.set_result(None))
    await done
    return future.result()

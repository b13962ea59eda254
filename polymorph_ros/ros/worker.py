"""The worker: the one thread that labels frames, so that the executor never waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.inbox import Inbox
from polymorph_ros.ros.threads import settle

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_IDLE_S = 3600.0


class Worker(Generic[Item]):
    """Takes items from an inbox and handles them one after the other on a thread of its own.

    Args:
        inbox: where the items come from.
        handle: called with the key and the item; it must not raise.
    """

    def __init__(self, inbox: Inbox[Item], handle: Callable[[str, Item], None]) -> None:
        self._inbox = inbox
        self._handle = handle
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = False
        self._ended = False
        self._end_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="polymorph-worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def between_frames(self, job: Callable[[], Answer]) -> Future[Answer]:
        """Run a job on the worker's thread when no frame is being handled.

        Returns:
            what the job gives or raises; PolymorphError after `stop`.
        """
        future: Future[Answer] = Future()
        with self._end_lock:
            if self._ended:
                future.set_exception(PolymorphError("a configured node", "one that was cleaned up"))
            else:
                self._jobs.put(lambda: settle(future, job))
                self._inbox.wake()
        return future

    def stop(self) -> None:
        """End the thread after the frame that it is at; waiting jobs are still run."""
        self._stopping = True
        self._inbox.wake()
        if self._thread.is_alive():
            self._thread.join()
        with self._end_lock:
            self._ended = True
            self._run_jobs()

    def _run(self) -> None:
        while not self._stopping:
            taken = self._inbox.take(_IDLE_S)
            if taken is not None:
                self._handle(*taken)
            self._run_jobs()

    def _run_jobs(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            job()

"""Loading bundles on a thread; where bundles may lie; and giving the memory back."""

from __future__ import annotations

import ctypes
import gc
import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import torch

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backend import Backend
from polymorph_ros.ros.threads import TaskThread
from polymorph_ros.runtime.loading import LoadedBundle, load_bundle

_PATIENCE_S = 0.1  # how long a cancelled wait may still last
_NICENESS = 10  # frames go first
_modules_imported = False


class LoadCancelled(Exception):
    """Loading was given up because the node is ending."""


class Loader:
    """Loads bundles on a thread of its own, one at a time."""

    def __init__(self) -> None:
        self._thread = TaskThread("polymorph-loader", _NICENESS)

    def start(
        self,
        path: Path,
        device: str,
        backend: Backend,
        cpu_threads: int,
        cancelled: Callable[[], bool],
    ) -> Future[LoadedBundle]:
        """Check a bundle whole, build its model and run every path of it once.

        Args:
            path: the bundle's folder.
            device: "auto", "cpu", "cuda" or "cuda:N".
            backend: what trunk and tails compute in.
            cpu_threads: threads of a computation on the CPU; 0 for as many as pay.
            cancelled: asked between the steps; must be thread-safe.

        Returns:
            the bundle to be; or PolymorphError where the bundle or the device is not as it must
            be, LoadCancelled where `cancelled` said so.
        """

        def load() -> LoadedBundle:
            with _modules_left_out_of_collection():
                return load_bundle(
                    path, device, backend, cpu_threads, between=partial(_go_on, cancelled)
                )

        return self._thread.run(load)

    def free_memory(self) -> Future[None]:
        """Give memory back beside the frames; after a bundle was replaced."""
        return self._thread.run(free_memory)

    def end(self) -> None:
        """Take no more; what is being loaded is not waited for."""
        self._thread.end()


def wait_for(loading: Future[LoadedBundle], cancelled: Callable[[], bool]) -> LoadedBundle:
    """Wait for a bundle, and give up at once when cancelled.

    Raises:
        LoadCancelled: `cancelled` said so.
        Exception: what loading it raised.
    """
    while not wait([loading], timeout=_PATIENCE_S).done:
        _go_on(cancelled)
    return loading.result()


@contextmanager
def _modules_left_out_of_collection() -> Iterator[None]:
    """Take the modules that the first load imports out of all searches for cycles.

    One search through all of PyTorch and transformers holds every thread up for a quarter of a
    second: while they are imported, and again after each change of the bundle. To ask the
    collector how many objects it leaves out takes a tenth of a second, so we remember.
    """
    global _modules_imported
    if _modules_imported:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        _know_source_files()
        _modules_imported = True


def _know_source_files() -> None:
    """Let `inspect` look at all modules now: a log line of rclpy's asks it where it comes from.

    The first line from a file that it does not know yet holds every thread up for 80 ms.
    """
    inspect.getmodule(compile("", "<a file that no module has>", "exec"))


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise LoadCancelled("the node is ending, or was cleaned up while the bundle was loaded")


def free_memory() -> None:
    """Give memory of models that are no longer used back to the system and the GPU."""
    gc.collect()
    with suppress(AttributeError):  # a C library other than glibc
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def inside(root: Path, text: str) -> Path:
    """A path below a folder, with every link followed.

    Raises:
        PolymorphError: it is empty or leads out of the folder.
    """
    if not text:
        raise PolymorphError("a path below bundle_root", "an empty one", where="load_bundle")
    resolved_root = root.resolve()
    resolved = (resolved_root / text).resolve()
    if not resolved.is_relative_to(resolved_root):
        raise PolymorphError(
            f"a path below {resolved_root}",
            f"{text!r}, which leads to {resolved}",
            where="load_bundle",
            remedy="put the bundle there, or start the node with another bundle_root",
        )
    return resolved

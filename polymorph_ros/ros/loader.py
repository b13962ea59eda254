"""Loading bundles on a thread; where bundles may lie; and giving the memory back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import torch

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backend import Backend
from polymorph_ros.runtime.loading import LoadedBundle, load_bundle

_PATIENCE_S = 0.1  # how long a cancelled wait may still last


class LoadCancelled(Exception):
    """Loading was given up because the node is ending."""


class Loader:
    """Loads bundles on a thread of its own, one at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="polymorph-loader")

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
        return self._pool.submit(_load, path, device, backend, cpu_threads, cancelled)

    def end(self) -> None:
        """Take no more; what is being loaded is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def wait_for(loading: Future[LoadedBundle], cancelled: Callable[[], bool]) -> LoadedBundle:
    """Wait for a bundle, and give up at once when cancelled.

    Raises:
        LoadCancelled: `cancelled` said so.
        Exception: what loading it raised.
    """
    while not wait([loading], timeout=_PATIENCE_S).done:
        _go_on(cancelled)
    return loading.result()


def _load(
    path: Path, device: str, backend: Backend, cpu_threads: int, cancelled: Callable[[], bool]
) -> LoadedBundle:
    return load_bundle(path, device, backend, cpu_threads, between=partial(_go_on, cancelled))


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise LoadCancelled


def free_memory() -> None:
    """Give memory of models that are no longer used back to the system and the GPU."""
    gc.collect()
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

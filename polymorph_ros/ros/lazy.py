"""The parameter `lazy`: whether images are worth labelling, because somebody listens."""

from __future__ import annotations

from collections.abc import Callable


class LazyGate:
    """Lets images through while somebody subscribes to results; always where it is not lazy.

    All methods are for the executor's thread.

    Args:
        lazy: whether nothing is labelled while nobody listens.
        listened_to: whether anybody subscribes to results.
        on_wake: called with a camera's name when its images are let through again; what was
            believed of it is out of date then.
    """

    def __init__(
        self, lazy: bool, listened_to: Callable[[], bool], on_wake: Callable[[str], None]
    ) -> None:
        self.lazy = lazy
        self._listened_to = listened_to
        self._on_wake = on_wake
        self._asleep: set[str] = set()

    def passes(self, camera: str) -> bool:
        """Whether an image of this camera, which has just arrived, shall be labelled."""
        if self.lazy and not self._listened_to():
            self._asleep.add(camera)
            return False
        if camera in self._asleep:
            self._asleep.remove(camera)
            self._on_wake(camera)
        return True

    def is_asleep(self, camera: str) -> bool:
        """Whether the camera's last image was not let through."""
        return camera in self._asleep

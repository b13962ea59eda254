"""The services ``~/reset_context``, ``~/load_bundle`` and ``~/capture``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.share import share_folder
from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.loader import LoadCancelled, Loader, inside
from polymorph_ros.ros.session import Session
from polymorph_ros.ros.threads import result_of
from polymorph_ros.srv import Capture, LoadBundle, ResetContext


class Services:
    """Offers ``~/reset_context``, ``~/load_bundle`` and ``~/capture`` as long as the node lives.

    Each answers when the change holds. Waiting for the worker or for a bundle to load does not
    stop the executor: frames, timers and other services go on.

    Args:
        node: the node that offers them.
        loader: loads the bundles.
        session: gives the configured node's inside; none while it is unconfigured.
    """

    def __init__(self, node: Node, loader: Loader, session: Callable[[], Session | None]) -> None:
        self._node = node
        self._session = session
        self._loader = loader
        self._loading = False
        # A callback that awaits holds its group; in the node's own it would hold up everything.
        group = ReentrantCallbackGroup()
        offers: tuple[tuple[str, Any, Any], ...] = (
            ("~/reset_context", ResetContext, self._on_reset_context),
            ("~/load_bundle", LoadBundle, self._on_load_bundle),
            ("~/capture", Capture, self._on_capture),
        )
        for name, service_type, callback in offers:
            node.create_service(service_type, name, callback, callback_group=group)

    async def _on_reset_context(
        self, request: ResetContext.Request, response: ResetContext.Response
    ) -> ResetContext.Response:
        try:
            reset = self._configured("reset_context").reset(request.camera)
            await result_of(reset, self._node)
        except PolymorphError as error:
            response.message = str(error)
            return response
        response.success = True
        response.message = f"{request.camera or 'all cameras'}: context reset"
        return response

    async def _on_load_bundle(
        self, request: LoadBundle.Request, response: LoadBundle.Response
    ) -> LoadBundle.Response:
        try:
            bundle = await self._replace_bundle(request.path)
            response.success = True
            response.message = f"{bundle.manifest.name} runs from the next frame on"
            self._node.get_logger().info(f"load_bundle: {response.message}")
        except Exception as error:
            response.message = one_line(error)
            self._node.get_logger().error(f"load_bundle: refused: {response.message}")
        session = self._session()
        response.checksum = session.bundle.checksum if session else ""
        return response

    async def _on_capture(
        self, request: Capture.Request, response: Capture.Response
    ) -> Capture.Response:
        try:
            session = self._configured("capture")
            wanted = [request.camera] if request.camera else list(session.cameras)
            waiting = [
                await result_of(session.request_capture(camera), self._node) for camera in wanted
            ]
            lines = []
            for camera, future in zip(wanted, waiting, strict=True):
                answer: str = await result_of(future, self._node)
                lines.append(f"{camera}: {answer}")
        except Exception as error:
            response.message = one_line(error)
            return response
        response.success = True
        response.message = "; ".join(lines)
        return response

    async def _replace_bundle(self, path: str) -> Bundle:
        session = self._configured("load_bundle")
        if self._loading:
            raise PolymorphError(
                "one bundle at a time", "another one that is being loaded", where="load_bundle"
            )
        folder = inside(session.settings.bundle_root or share_folder("bundles"), path)
        self._loading = True
        try:
            loading = self._loader.start(
                folder,
                session.settings.device,
                session.settings.backend,
                session.loaded.cpu_threads,  # measured beside the frames, they would come out wrong
                lambda: self._session() is not session or not self._node.context.ok(),
            )
            loaded = await result_of(loading, self._node)
        except LoadCancelled:
            raise _cleaned_up() from None
        finally:
            self._loading = False
        if self._session() is not session:
            raise _cleaned_up()
        await result_of(session.swap(loaded), self._node)
        self._loader.free_memory()  # of the old one; the worker has frames to label
        return loaded.bundle

    def _configured(self, service: str) -> Session:
        session = self._session()
        if session is None:
            raise PolymorphError(
                "a configured node", "an unconfigured one", where=service, remedy="configure it"
            )
        return session


def _cleaned_up() -> PolymorphError:
    return PolymorphError(
        "a node that stays configured while a bundle loads", "one that was cleaned up",
        where="load_bundle", remedy="configure it, and load the bundle again",
    )  # fmt: skip

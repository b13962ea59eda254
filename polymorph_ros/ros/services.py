"""The services ``~/reset_context``, ``~/load_bundle`` and ``~/capture``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future as RosFuture

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.share import share_folder
from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.loader import Loader, inside
from polymorph_ros.ros.session import Session
from polymorph_ros.runtime.loading import LoadedBundle
from polymorph_ros.srv import Capture, LoadBundle, ResetContext

Answer = TypeVar("Answer")


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
            await self._result(self._configured("reset_context").reset(request.camera))
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
            waiting = [await self._result(session.request_capture(camera)) for camera in wanted]
            lines = []
            for camera, future in zip(wanted, waiting, strict=True):
                answer: str = await self._result(future)
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
            loaded: LoadedBundle = await self._result(
                self._loader.start(
                    folder,
                    session.settings.device,
                    session.settings.backend,
                    session.settings.cpu_threads,
                    lambda: self._session() is not session or not self._node.context.ok(),
                )
            )
        finally:
            self._loading = False
        if self._session() is not session:
            raise PolymorphError(
                "a node that stays configured", "one that was cleaned up", where="load_bundle"
            )
        await self._result(session.swap(loaded))
        return loaded.bundle

    def _configured(self, service: str) -> Session:
        session = self._session()
        if session is None:
            raise PolymorphError(
                "a configured node", "an unconfigured one", where=service, remedy="configure it"
            )
        return session

    async def _result(self, future: Future[Answer]) -> Answer:
        """Await a thread's answer on the executor."""
        done: RosFuture = RosFuture(executor=self._node.executor)
        done.add_done_callback(lambda _: None)  # without one, its end does not wake the executor
        future.add_done_callback(lambda _: done.set_result(None))
        await done
        return future.result()

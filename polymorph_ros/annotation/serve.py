"""From recordings to a page in the browser: everything is checked first, then the server runs."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from polymorph_ros.annotation.desk import Desk
from polymorph_ros.annotation.footage import open_footage
from polymorph_ros.annotation.security import Access
from polymorph_ros.annotation.server import Session, make_app
from polymorph_ros.annotation.table import open_table
from polymorph_ros.annotation.thumbnails import PictureStore
from polymorph_ros.annotation.training_run import TrainingCommand, TrainingRun
from polymorph_ros.annotation.vision import BundleEye, PlainEye
from polymorph_ros.annotation.worker import MakeEye, Worker
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Request:
    """What is labelled, and where.

    Attributes:
        places: recordings, videos, or folders with these or with pictures.
        labels: the table.
        bundle: that suggests labels; None for none.
        to: the bundle that training adds the labels to; None for a copy beside the table.
        topic: of the images.
        fps: of pictures without stamps.
        host, port: where the page is served; port 0 for any free one.
        device: where the bundle computes, and training.
    """

    places: Sequence[Path]
    labels: Path
    bundle: Path | None
    to: Path | None
    topic: str | None
    fps: float
    host: str
    port: int
    device: str = "auto"


def open_session(request: Request) -> Session:
    """Open all that the page needs; the bundle is checked, and loaded later.

    Raises:
        PolymorphError: there is nothing to label, the table cannot be used or written, or the
            bundle is damaged.
    """
    bundle = None if request.bundle is None else read_bundle(request.bundle)
    footage = open_footage(request.places, topic=request.topic, fps=request.fps)
    table, book = open_table(request.labels, footage)
    offered = [] if bundle is None else [label.name for label in bundle.manifest.labels]
    new = [name for name in offered if name not in book.names]
    book.names += new
    book.present += [0] * len(new)
    book.absent += [0] * len(new)
    desk = Desk.of(footage, table, book)
    make_eye, identity = _eye(bundle, request.device)
    return Session(
        desk=desk,
        pictures=PictureStore(footage, table.cache),
        worker=Worker(footage, make_eye, identity, table.cache, desk.labelled),
        training=None if bundle is None else TrainingRun(_command(request, bundle, desk)),
        bundle_labels=tuple(book.names.index(name) for name in offered),
        bundle_name="" if bundle is None else bundle.manifest.name,
    )


def _eye(bundle: Bundle | None, device: str) -> tuple[MakeEye, str]:
    if bundle is None:
        return PlainEye, "plain"
    return lambda: BundleEye(str(bundle.path), device), bundle.checksum


def _command(request: Request, bundle: Bundle, desk: Desk) -> TrainingCommand:
    beside = request.labels.resolve()
    to = request.to or beside.with_name(f"{beside.stem}_bundle")
    return TrainingCommand(bundle.path, to, desk.table, request.device)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        PolymorphError: another program has the port, or the host is not this machine's.
    """
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=kind)
    except OSError as error:
        raise PolymorphError(
            "a port that is free on this machine", error.strerror or str(error),
            where=f"{host}:{port}", remedy="leave --port out to take any free one",
        ) from None  # fmt: skip


def serve(session: Session, listener: socket.socket, tell: Callable[[Access], None]) -> None:
    """Serve the page until interrupted.

    Args:
        session: what is served.
        listener: of ``listen``; it is closed at the end.
        tell: called with the address once it can be opened.
    """
    host, port = listener.getsockname()[:2]
    access = Access(str(host), int(port))
    config = uvicorn.Config(
        make_app(session, access), log_level=logging.WARNING, access_log=False,
        timeout_graceful_shutdown=1, server_header=False,
    )  # fmt: skip
    session.worker.start()
    try:
        tell(access)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        session.worker.stop()
        if session.training is not None:
            session.training.stop()


def open_browser(url: str) -> None:
    """Open a browser, without waiting for it; without a screen there is none to open."""
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        return
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

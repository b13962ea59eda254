"""The page's server: its few addresses, each a small function over the desk and the worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from polymorph_ros.annotation.book import FrameKey, labels_in
from polymorph_ros.annotation.desk import Desk, StaleVersionError
from polymorph_ros.annotation.proposals import find_proposals
from polymorph_ros.annotation.security import Access, Guard
from polymorph_ros.annotation.thumbnails import PictureStore
from polymorph_ros.annotation.training_run import TrainingRun
from polymorph_ros.annotation.worker import Worker
from polymorph_ros.data.dataset import Fault
from polymorph_ros.errors import PolymorphError

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_LONGEST_REQUEST = 1 << 20  # bytes
_SHOWN_ABOVE = 0.02  # scores below say nothing
_AHEAD = 4  # frames that are looked at before the page asks for them


@dataclass(frozen=True)
class Session:
    """What the addresses are answered from.

    Attributes:
        desk: the labels.
        pictures: of the frames.
        worker: what looks at them.
        training: the command that trains, and its run; None where there is no bundle.
        bundle_labels: for each label of the bundle, its number on the desk.
        bundle_name: of the bundle that suggests; empty without one.
    """

    desk: Desk
    pictures: PictureStore
    worker: Worker
    training: TrainingRun | None
    bundle_labels: tuple[int, ...]
    bundle_name: str


def make_app(session: Session, access: Access) -> ASGIApp:
    """The application, behind its guard."""
    pages = _page_files()

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in pages:
            return JSONResponse({"error": "no such file"}, 404)
        kind, content = pages[name]
        return Response(content, media_type=kind, headers={"cache-control": "no-store"})

    routes = [Route("/", page), Route("/page/{name}", page)]
    routes += [_get(path, function, session) for path, function in _GETS.items()]
    routes += [_post(path, function, session) for path, function in _POSTS.items()]
    return Guard(Starlette(routes=routes), access)


def _page_files() -> dict[str, tuple[str, bytes]]:
    folder = resources.files("polymorph_ros.annotation") / "page"
    found = {}
    for file in folder.iterdir():
        suffix = f".{file.name.rsplit('.', 1)[-1]}"
        if suffix in _TYPES:
            found[file.name] = (_TYPES[suffix], file.read_bytes())
    return found


def _get(path: str, function: Callable[[Session, Request], Response], session: Session) -> Route:
    async def answer(request: Request) -> Response:
        return await _answered(lambda: function(session, request))

    return Route(path, answer)


def _post(path: str, function: Callable[[Session, Any], Any], session: Session) -> Route:
    async def answer(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return JSONResponse({"error": "expected JSON"}, 415)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_REQUEST:
                return JSONResponse({"error": "the request is too long"}, 413)
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            return JSONResponse({"error": "expected a JSON object"}, 400)
        return await _answered(lambda: JSONResponse(function(session, said)))

    return Route(path, answer, methods=["POST"])


async def _answered(work: Callable[[], Response]) -> Response:
    """The answer of some work in a thread; a mistake is one line for the page."""
    try:
        response = await run_in_threadpool(work)
    except StaleVersionError as error:
        response = JSONResponse({"error": str(error), "stale": True}, 409)
    except PolymorphError as error:
        response = JSONResponse({"error": str(error)}, 400)
    response.headers.setdefault("cache-control", "no-store")
    return response


def _state(session: Session, request: Request) -> Response:
    return JSONResponse(
        {
            **session.desk.state(),
            "bundle": session.bundle_name,
            "bundleLabels": session.bundle_labels,
            "training": session.training is not None,
        }
    )


def _progress(session: Session, request: Request) -> Response:
    done, total = session.worker.progress
    return JSONResponse(
        {
            "version": session.desk.book.version,
            "order": session.worker.order_version,
            "looked": done,
            "toLook": total,
            "error": session.worker.error,
            "training": session.training.report() if session.training else None,
        }
    )


def _order(session: Session, request: Request) -> Response:
    version = session.worker.order_version
    return JSONResponse({"version": version, "order": session.worker.order})


def _key(session: Session, request: Request) -> FrameKey:
    clips = session.desk.footage.clips
    clip, frame = request.path_params["clip"], request.path_params["frame"]
    if clip >= len(clips) or frame >= len(clips[clip]):
        raise PolymorphError("a frame of these recordings", f"{clip}, {frame}")
    return clip, frame


def _look(session: Session, request: Request) -> Response:
    """What the bundle says of a frame, and of the page's next ones soon (``next=clip-frame,…``)."""
    key = _key(session, request)
    coming = _keys(session, request.query_params.get("next", ""))[:_AHEAD]
    session.worker.ask([key, *coming])
    look = session.worker.look(key)
    if look is None:
        return JSONResponse({"ready": False, "failed": session.worker.error})
    chosen = [n for n, score in enumerate(look.scores) if score > _SHOWN_ABOVE or n in look.active]
    scores = [[session.bundle_labels[n], round(float(look.scores[n]), 3)] for n in chosen]
    return JSONResponse(
        {
            "ready": True,
            "scores": sorted(scores, key=lambda pair: -pair[1]),
            "active": [session.bundle_labels[n] for n in look.active],
            "unknownScene": look.unknown,
        }
    )


def _keys(session: Session, text: str) -> list[FrameKey]:
    found = []
    clips = session.desk.footage.clips
    for part in text.split(",")[:_AHEAD]:
        clip, _, frame = part.partition("-")
        numbers = clip.isdecimal() and frame.isdecimal()
        if numbers and int(clip) < len(clips) and int(frame) < len(clips[int(clip)]):
            found.append((int(clip), int(frame)))
    return found


def _proposals(session: Session, request: Request) -> Response:
    clip = request.path_params["clip"]
    if clip >= len(session.desk.footage.clips):
        raise PolymorphError("one of these recordings", str(clip))
    with session.desk.lock:
        worker = session.worker
        found, missing = find_proposals(session.desk.book, clip, worker.look, worker.usual_distance)
    session.worker.ask(missing)
    rows = [[one.start, one.end, labels_in(one.present)] for one in found]
    return JSONResponse({"proposals": rows})


def _picture(session: Session, request: Request) -> Response:
    return _jpeg(session.pictures.picture(_key(session, request)))


def _thumbnail(session: Session, request: Request) -> Response:
    return _jpeg(session.pictures.thumbnail(_key(session, request)))


def _jpeg(found: bytes | Fault) -> Response:
    if isinstance(found, Fault):
        return JSONResponse({"error": f"{found.where}: {found.reason}"}, 422)
    headers = {"cache-control": "private, max-age=3600"}
    return Response(found, media_type="image/jpeg", headers=headers)


def _train(session: Session, said: Any) -> Any:
    if session.training is None:
        raise PolymorphError("a bundle to add labels to", "none", remedy="start with --bundle")
    if said.get("stop"):
        session.training.stop()
    else:
        session.training.start()
    return session.training.report()


_GETS: dict[str, Callable[[Session, Request], Response]] = {
    "/api/state": _state,
    "/api/progress": _progress,
    "/api/order": _order,
    "/api/look/{clip:int}/{frame:int}": _look,
    "/api/proposals/{clip:int}": _proposals,
    "/api/picture/{clip:int}/{frame:int}": _picture,
    "/api/thumbnail/{clip:int}/{frame:int}": _thumbnail,
}
_POSTS: dict[str, Callable[[Session, Any], Any]] = {
    "/api/change": lambda session, said: session.desk.change(said),
    "/api/train": _train,
}

"""``polymorph label``: a page in the browser that turns recordings into a table of labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polymorph_ros.errors import PolymorphError

if TYPE_CHECKING:
    from polymorph_ros.annotation.security import Access
    from polymorph_ros.annotation.server import Session


def label(
    recordings: Annotated[
        list[Path],
        typer.Argument(help="Recordings, videos, or folders with these or with pictures."),
    ],
    labels: Annotated[
        Path, typer.Option(help="The label CSV; one that is there is continued.")
    ] = Path("labels.csv"),
    bundle: Annotated[
        str | None,
        typer.Option(help="The bundle that suggests labels: the default one if none is given."),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest/--no-suggest", help="Whether a bundle suggests labels.")
    ] = True,
    to: Annotated[
        Path | None,
        typer.Option(help="The bundle that training adds to; else a copy beside the labels."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic, where a recording has several.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second where nothing says it.")] = 30.0,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine may come then.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Label recordings on a page in the browser; it needs no network.

    polymorph label RECORDING --labels labels.csv
    """
    try:
        from polymorph_ros.annotation.serve import Request, listen, open_session, serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise PolymorphError(
            "Starlette and uvicorn", "neither", where="label",
            remedy='pip install "polymorph_ros[label]"',
        ) from None  # fmt: skip
    from polymorph_ros.bundle.reader import default_bundle

    if device not in ("auto", "cpu"):
        from polymorph_ros.model.gpu import choose_device  # torch takes seconds

        choose_device(device)
    chosen = Path(bundle or default_bundle()) if suggest else None
    request = Request(recordings, labels, chosen, to, topic, fps, host, port, device)
    console = Console(highlight=False, soft_wrap=True)
    with listen(host, port) as listener:
        session = open_session(request)
        _say_what_is_there(console, session)
        serve(session, listener, lambda access: _invite(console, access, browser))
    _say_what_is_done(console, session)


def _say_what_is_there(console: Console, session: Session) -> None:
    desk = session.desk
    recordings = len(desk.footage.clips)
    console.print(
        f"{desk.footage.frames:,} frames in {recordings} recording{'s' * (recordings > 1)}, "
        f"{len(desk.book.rows):,} labelled in {desk.table.path}",
        markup=False,
    )
    for fault in desk.footage.faults:
        console.print(f"left out: {fault.where}: {fault.reason}", style="yellow", markup=False)
    if desk.table.gone:
        console.print(
            f"{len(desk.table.gone)} rows of {desk.table.path} name frames that are not there; "
            "they stay in it",
            style="yellow",
            markup=False,
        )


def _invite(console: Console, access: Access, browser: bool) -> None:
    from polymorph_ros.annotation.serve import open_browser

    console.print(f"open {access.url}", markup=False)
    console.print("stop with Ctrl+C; every change is saved at once", style="dim")
    if browser:
        open_browser(access.url)


def _say_what_is_done(console: Console, session: Session) -> None:
    desk = session.desk
    console.print(f"{len(desk.book.rows):,} labelled frames in {desk.table.path}", markup=False)
    if session.training is not None and desk.book.rows:
        console.print(f"train with:\n{session.training.command}", markup=False)

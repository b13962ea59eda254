"""``python -m polymorph_ros.ros.demo``: plays a bag to the node through DDS and shows the answers.

Ends with a summary (``summary.json``) and a picture (``sheet.png``) in the output folder.
Exit codes: 0 every frame was answered or counted as dropped and the accuracy is above the
bundle's floor, 1 not so or it could not run, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polymorph_ros.data.bags import read_bag_truth
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.ros.demo.sheet import draw_sheet, write_sheet
from polymorph_ros.ros.demo.summary import Summary, Truth, stated_floor, summarise
from polymorph_ros.ros.demo.synthetic_recording import synthetic_recording
from polymorph_ros.ros.demo.table import closing_view, live_screen, say_to
from polymorph_ros.ros.demo.tiles import select_tiles, subtitle
from polymorph_ros.ros.harness.recording import Recording, open_recording
from polymorph_ros.ros.harness.run import RunOutput, RunSettings, play

_SYNTHETIC_SECONDS = 30.0
_SYNTHETIC_RATE = 10.0

console = Console()


def demo(
    bag: Annotated[
        Path | None, typer.Option(help="Your bag; without it, synthetic scenes are played.")
    ] = None,
    topic: Annotated[str, typer.Option(help="The bag's image topic, if it has several.")] = "",
    seconds: Annotated[
        float, typer.Option(help="Seconds to play; 0: all (synthetic scenes: 30 s).")
    ] = 0,
    rate: Annotated[float, typer.Option(help="Images per second; 0: as recorded.")] = 0,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("build/demo"),
    bundle: Annotated[Path | None, typer.Option(help="A bundle instead of the default.")] = None,
    live: Annotated[bool, typer.Option(help="Show the live view.")] = True,
) -> None:
    """Play a bag to the node and check its answers."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    try:
        out.mkdir(parents=True, exist_ok=True)
        if bag is None:
            recording = synthetic_recording(
                out, seconds or _SYNTHETIC_SECONDS, rate or _SYNTHETIC_RATE, console
            )
        else:
            recording = open_recording(bag, topic or None)
        truth = read_bag_truth(recording.path)
        with live_screen(console, recording.count, shown=live) as show:
            run = play(recording, RunSettings(out, rate, seconds, bundle), say_to(console), show)
        summary = _report(recording, run, truth, out)
    except PolymorphError as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted")
        raise typer.Exit(130) from None
    raise typer.Exit(1 if summary.faults else 0)


def _report(recording: Recording, run: RunOutput, truth: Truth, out: Path) -> Summary:
    summary = summarise(recording.title, run, truth, floor=stated_floor(run.node))
    write_json(out / "summary.json", asdict(summary))
    console.print()
    console.print(closing_view(summary))
    if summary.answered:
        title = f"{summary.bundle} on {recording.title}"
        tiles = select_tiles(recording, run, truth)
        write_sheet(draw_sheet(tiles, title, subtitle(summary)), out / "sheet.png")
        console.print(f"picture: {out / 'sheet.png'}", highlight=False)
    console.print(f"summary: {out / 'summary.json'}", highlight=False)
    return summary


if __name__ == "__main__":
    typer.run(demo)

"""``python -m polymorph_ros.ros.live``: play one recording to a node and keep what it answers.

Writes ``answers.parquet`` (a frame log without truth) and ``live.json`` into the folder, beside
the logs of node, player and planner. Exit codes: 0 done, 1 failed, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.frame_log import write_frame_log
from polymorph_ros.files import write_json
from polymorph_ros.ros.demo.child import surroundings
from polymorph_ros.ros.demo.recording import open_recording
from polymorph_ros.ros.demo.run import Settings, play
from polymorph_ros.ros.live.answers import answer_log, summary
from polymorph_ros.ros.live.planner_process import planner_beside

console = Console()


def live(
    bag: Annotated[Path, typer.Argument(help="The recording.")],
    bundle: Annotated[Path, typer.Option(help="The node's bundle.")],
    out: Annotated[Path, typer.Option(help="Folder for what is made.")],
    topic: Annotated[str, typer.Option(help="Image topic, if it has several.")] = "",
    rate: Annotated[float, typer.Option(help="Images per second; 0: the bag's pace.")] = 0.0,
) -> None:
    """Play a recording to the node; keep every answer with its stamps."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    out.mkdir(parents=True, exist_ok=True)
    os.environ.update(surroundings(os.environ))
    try:
        recording = open_recording(bag, topic or None)
        settings = Settings(out, rate, 0.0, bundle, live=console.is_terminal)
        with planner_beside(out) as planner:
            played = play(recording, settings, console)
        log, kept = answer_log(bag.name, played)
    except PolymorphError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    write_frame_log(log, out / "answers.parquet")
    write_json(out / "live.json", summary(played, kept, rate, planner.delays_s()))


if __name__ == "__main__":
    typer.run(live)

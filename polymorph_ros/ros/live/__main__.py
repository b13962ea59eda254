"""The program of ``interfaces.live_run``: play one recording to a node and store its answers.

The logs of node, player and planner are written beside the files that the contract names.
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
from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.live_run import ANSWERS_FILE
from polymorph_ros.ros.demo.table import live_screen, say_to
from polymorph_ros.ros.harness.process import ChildProcess, isolated_environment
from polymorph_ros.ros.harness.recording import Recording, open_recording
from polymorph_ros.ros.harness.run import RunSettings, play
from polymorph_ros.ros.live.answers import answer_log, summary
from polymorph_ros.ros.slow_for_people import delays_s

_PLANNER_MODULE = "polymorph_ros.ros.slow_for_people"

console = Console()


def live(
    bag: Annotated[Path, typer.Argument(help="The recording.")],
    bundle: Annotated[Path, typer.Option(help="The node's bundle.")],
    out: Annotated[Path, typer.Option(help="Output folder.")],
    topic: Annotated[str, typer.Option(help="Image topic, if it has several.")] = "",
    rate: Annotated[float, typer.Option(help="Images per second; 0: as recorded.")] = 0.0,
) -> None:
    """Play a recording to the node; store every answer with its stamps."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    try:
        _play(open_recording(bag, topic or None), RunSettings(out, rate, bundle=bundle))
    except PolymorphError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _play(recording: Recording, settings: RunSettings) -> None:
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.update(isolated_environment(os.environ))
    planner = ChildProcess(_PLANNER_MODULE, _planner_arguments(), out / "planner.log")
    try:
        with live_screen(console, recording.count, shown=console.is_terminal) as show:
            run = play(recording, settings, say_to(console), show)
    finally:
        planner.interrupt()
    log, answers = answer_log(recording.path.name, run)
    write_frame_log(log, out / ANSWERS_FILE)
    summary(run, answers, settings.rate, delays_s(planner.output)).write(out)


def _planner_arguments() -> list[str]:
    remapped = [f"{topic.name}:={topic.under()}" for topic in (topics.LABELS, topics.LABEL_INFO)]
    return ["--ros-args", *(word for rule in remapped for word in ("-r", rule))]


if __name__ == "__main__":
    typer.run(live)

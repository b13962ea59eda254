"""``polymorph train``: from a configuration to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polymorph_ros.cli.train_report import print_plan, print_summary
from polymorph_ros.errors import PolymorphError


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration (YAML).")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; replaced when it is there.")],
    work: Annotated[
        Path, typer.Option(help="Folder for intermediate results; a rerun continues from them.")
    ] = Path("build/train"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done and what it costs.")
    ] = False,
) -> None:
    """Train a bundle on labelled video or on procedural scenes."""
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.evaluation.replay import measure
    from polymorph_ros.training.config import read_config
    from polymorph_ros.training.pipeline import train_bundle
    from polymorph_ros.training.plan import plan_training

    console = Console()
    if dry_run:
        print_plan(console, plan_training(read_config(config), work))
        return
    if out.exists() and not (out / "manifest.json").is_file():
        raise PolymorphError(
            "a bundle or nothing in the place to write to", "something else", where=str(out)
        )
    print_summary(console, train_bundle(read_config(config), out, work, measure, console.print))

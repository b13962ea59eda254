"""``polymorph train``: from a configuration to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polymorph_ros.errors import PolymorphError


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration (YAML).")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; replaced when it is there.")],
    work: Annotated[
        Path, typer.Option(help="Folder for intermediate results; a rerun continues from them.")
    ] = Path("build/train"),
) -> None:
    """Train a bundle on labelled video or on procedural scenes."""
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.evaluation.replay import measure
    from polymorph_ros.training.config import read_config
    from polymorph_ros.training.pipeline import train_bundle

    if out.exists() and not (out / "manifest.json").is_file():
        raise PolymorphError(
            "a bundle or nothing in the place to write to", "something else", where=str(out)
        )
    console = Console()
    trained = train_bundle(read_config(config), out, work, measure, console.print)
    metrics = trained.bundle.manifest.metrics
    figures = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    for fault in trained.left_out:
        console.print(f"left out: {fault.where}: {fault.reason}", style="yellow", highlight=False)
    console.print(f"{trained.bundle.path}: {figures}")

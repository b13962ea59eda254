"""``polymorph grow``: labelled captures become new labels of a bundle and of the running node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_NICE = 5  # steps of priority that training stands below a running node


def grow(
    captured: Annotated[
        Path, typer.Argument(help="Captured or other recordings, or a folder of pictures.")
    ],
    to: Annotated[Path, typer.Option(help="The bundle that learns the new labels.")],
    labels: Annotated[
        Path | None, typer.Option(help="Label CSV of the recordings, where they have none.")
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="The running node that takes it over, as /polymorph.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic, where a recording has several.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for intermediate results; a rerun continues from them.")
    ] = Path("build/grow"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Train an adapter for new labels, then have the running node load the bundle.

    polymorph grow CAPTURED --labels labels.csv --to BUNDLE --node /polymorph
    """
    from polymorph_ros.cli.train import add_labels, added
    from polymorph_ros.interfaces.take_over import take_over

    console = Console(highlight=False, soft_wrap=True)
    if node is not None:  # before minutes of training
        take_over(node, to, check=True)
        _give_way()
    add_labels(added(captured, labels, topic), to, work, None, device)
    if node is not None:
        console.print(take_over(node, to), markup=False)
    else:
        console.print(f"load it into a running node: its service ~/load_bundle, path {to}")


def _give_way() -> None:
    """Let the node that runs on the same cores go first.

    OpenMP's threads spin while they wait for each other; it reads how to wait when torch is loaded.
    """
    os.nice(_NICE)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

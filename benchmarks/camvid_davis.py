"""Polymorph beside its baselines on real video: CamVid's drives and DAVIS's clips.

    build/venv/bin/python benchmarks/camvid_davis.py

Trains config/camvid_davis.yaml on EfficientNet-Lite0, its baselines, and evaluates all on the test
parts. A run that was stopped goes on. Needs ../shared/data and ../shared/models; tables by
examples/camvid_davis.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parts.camvid_davis import CONFIG, ROOT, TEST_TABLES, make_tables
from parts.real_backbones import FOCUS, make_lite0
from parts.whole import MOST, Comparison, Larger, compare, tables

ABOUT = {
    "real": "pixels, order of frames, CamVid's labels (area above 1 %)",
    "made": "DAVIS's labels come from its sequences' names",
    "mind": "labels of one set are unknown in the other, so each frame is scored on its own set's; "
    "much of the co-occurrence is membership of a set; every DAVIS clip is the only one with its "
    "label and is split in time, so training and test show the same clip",
}


def main(
    folder: Annotated[
        Path, typer.Option(help="For what is made on the way, and the report.")
    ] = ROOT / "build/bench_camvid_davis",
    larger: Annotated[
        str, typer.Option(help="Folder or Hub name of the next larger backbone.")
    ] = FOCUS.name,
    larger_size: Annotated[
        int | None, typer.Option(help="Side of its pictures, pixels.")
    ] = FOCUS.size,
    methods: Annotated[str, typer.Option(help="What is compared: names by commas, or all.")] = MOST,
) -> None:
    """Train, evaluate, and write benchmarks/results/camvid_davis-MACHINE.json."""
    make_tables()
    make_lite0()
    one = Comparison(
        "camvid_davis",
        CONFIG,
        tables(TEST_TABLES),
        folder,
        ABOUT,
        Larger(larger, larger_size),
        methods,
    )
    typer.echo(compare(one))


if __name__ == "__main__":
    typer.run(main)

"""Polymorph beside its baselines on real video: CamVid's drives and DAVIS's clips.

    build/venv/bin/python benchmarks/camvid_davis.py

Trains config/camvid_davis.yaml on EfficientNet-Lite0, its baselines, and evaluates all on the test
parts. A run that was stopped goes on. Needs ../shared/data and ../shared/models; tables by
examples/camvid_davis.py.
"""

from __future__ import annotations

import typer

from parts.camvid_davis import CONFIG, TEST_TABLES, make_tables
from parts.examples import ROOT
from parts.real_backbones import FOCUS, make_lite0
from parts.whole import (
    MOST,
    Comparison,
    Folder,
    Larger,
    LargerName,
    LargerSize,
    Methods,
    compare,
    tables,
)

ABOUT = {
    "real": "pixels, order of frames, CamVid's labels (area above 1 %)",
    "made": "DAVIS's labels come from its sequences' names",
    "mind": "labels of one set are unknown in the other, so each frame is scored on its own set's; "
    "much of the co-occurrence is membership of a set; every DAVIS clip is the only one with its "
    "label and is split in time, so training and test show the same clip",
}


def main(
    folder: Folder = ROOT / "build/bench_camvid_davis",
    larger: LargerName = FOCUS.name,
    larger_size: LargerSize = FOCUS.size,
    methods: Methods = MOST,
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

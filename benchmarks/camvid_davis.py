"""Polymorph beside its baselines on real video: CamVid's drives and DAVIS's clips.

    build/venv/bin/python benchmarks/camvid_davis.py
    build/venv/bin/python benchmarks/camvid_davis.py --backbone STUDENT --larger TEACHER

Trains config/camvid_davis.yaml on EfficientNet-Lite0, its baselines, and evaluates all on the test
parts. A run that was stopped goes on. Needs ../shared/data and ../shared/models; tables by
examples/camvid_davis.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

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
from polymorph_ros.training.config import FolderBackboneConfig, read_config

ABOUT = {
    "real": "pixels, order of frames, CamVid's labels (area above 1 %)",
    "made": "DAVIS's labels come from its sequences' names",
    "mind": "labels of one set are unknown in the other, so each frame is scored on its own set's; "
    "much of the co-occurrence is membership of a set; every DAVIS clip is the only one with its "
    "label and is split in time, so training and test show the same clip",
}


def main(
    folder: Folder = ROOT / "build/bench_camvid_davis",
    backbone: Annotated[Path | None, typer.Option(help="Another one: its folder.")] = None,
    larger: LargerName = FOCUS.name,
    larger_size: LargerSize = FOCUS.size,
    methods: Methods = MOST,
) -> None:
    """Train, evaluate, and write benchmarks/results/camvid_davis-MACHINE.json."""
    make_tables()
    make_lite0()
    folder = folder / backbone.name if backbone else folder
    one = Comparison(
        f"camvid_davis_{backbone.name}" if backbone else "camvid_davis",
        _on(backbone, folder) if backbone else CONFIG,
        tables(TEST_TABLES),
        folder,
        ABOUT,
        Larger(larger, larger_size),
        methods,
    )
    typer.echo(compare(one))


def _on(backbone: Path, folder: Path) -> Path:
    """The same configuration on another backbone, at the size that it was trained with."""
    another = FolderBackboneConfig(folder=backbone.resolve())
    config = read_config(CONFIG).model_copy(update={"backbone": another})
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    return file


if __name__ == "__main__":
    typer.run(main)

"""Polymorph beside its baselines on stills: street photos of one person each, without any time.

    build/venv/bin/python benchmarks/ccp.py

What contexts and cover alone are worth: every photo is a sequence of its own. Half of the photos
whose labels come from masks teach, the others judge. Photos with tags stay out: a tag that was not
given is unknown, so that shares of labels could not be learned from them. A run that was stopped
goes on. Needs ../shared/data and ../shared/models.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import typer
import yaml

from parts.examples import ROOT
from parts.real_backbones import FOCUS, LITE0_PX, make_lite0
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

DATA = ROOT.parent / "shared/data/ccp"
ABOUT = {
    "real": "pixels and labels (from masks, complete for the person)",
    "made": "nothing",
    "mind": "no time: beliefs begin anew with each photo; annotators agree only to a Jaccard index "
    "of .62; one photo is one sequence, so intervals are over photos",
}
_LEFT_OUT = {"skin", "hair"}  # in nearly every photo
_COLUMNS = ("sequence", "file", "labels")


def main(
    folder: Folder = ROOT / "build/bench_ccp",
    larger: LargerName = FOCUS.name,
    larger_size: LargerSize = FOCUS.size,
    methods: Methods = MOST,
) -> None:
    """Train, evaluate, and write benchmarks/results/ccp-MACHINE.json."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_tables(folder)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_config(), sort_keys=False))
    one = Comparison(
        "ccp",
        config,
        tables([folder / "test.csv"]),
        folder,
        ABOUT,
        Larger(larger, larger_size),
        methods,
    )
    typer.echo(compare(one))


def _write_tables(folder: Path) -> None:
    """Halves of the photos, at random."""
    with (DATA / "labels.csv").open(encoding="utf-8", newline="") as file:
        photos = [row for row in csv.DictReader(file) if row["half"] == "pixel"]
    order = np.random.default_rng(5).permutation(len(photos))
    for part, chosen in zip(("train", "test"), np.array_split(order, 2), strict=True):
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for number in sorted(chosen.tolist()):
                photo = photos[number]
                labels = [one for one in photo["labels"].split("|") if one not in _LEFT_OUT]
                picture = DATA / photo["file"]
                writer.writerow((picture.stem, str(picture), "|".join(labels)))


def _config() -> dict[str, object]:
    return {
        "name": "ccp",
        "description": "Clothes in street photos (CCP); trained for evaluation, not for use.",
        "seed": 5,
        "threads": 1,
        "data": {
            "sources": [{"path": f"{part}.csv", "part": part} for part in ("train", "test")],
            "validation": 0.2,
        },
        "backbone": {"folder": str(make_lite0()), "image_size": LITE0_PX},
        "tokens": {"augmentations": 3},
        "contexts": {"count": 7, "labels_per_context": 12},
        "scout": {"epochs": 20, "rank": 8, "batch_size": 64},
        "adapters": {
            "tail_blocks": 2,
            "rank": 8,
            "alpha": 16,
            "others": 0.3,
            "epochs": 10,
            "batch_size": 32,
        },
    }


if __name__ == "__main__":
    typer.run(main)

"""Polymorph beside its baselines on photos of 81 groceries, which come and go as real labels do.

    build/venv/bin/python benchmarks/grocery_shelves.py

examples/groceries.py draws the frames: products on shelves, along sequences of Charades. Trains a
bundle on EfficientNet-Lite0 and its baselines, and evaluates all on other sequences with other
photos. A run that was stopped goes on. Needs ../shared/data and ../shared/models.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer
import yaml

from parts.examples import ROOT, run_example
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

ABOUT = {
    "real": "pixels of the photos; which of 81 labels are there, when, for how long and with which "
    "others (Charades, 1 Hz)",
    "made": "shelves, arrangement and motion; which product stands for which action of Charades",
    "mind": "labels that occur together do not look as if they did: products are matched at random",
}
_TESTED = 40


def main(
    folder: Folder = ROOT / "build/bench_grocery_shelves",
    sequences: Annotated[
        int, typer.Option(min=2, max=200, help="To train on; 40 others each to validate and test.")
    ] = 200,
    epochs: Annotated[int, typer.Option(min=1, help="Of the scout and of every adapter.")] = 4,
    larger: LargerName = FOCUS.name,
    larger_size: LargerSize = FOCUS.size,
    methods: Methods = MOST,
) -> None:
    """Draw, train, evaluate, and write benchmarks/results/grocery_shelves-MACHINE.json."""
    drawn = folder / "tables"
    if not (drawn / "products_test.csv").is_file():
        run_example("groceries.py", drawn, "--most", sequences, "--views", 0)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_config(epochs), sort_keys=False))
    one = Comparison(
        "grocery_shelves",
        config,
        tables([_first(drawn / "products_test.csv", _TESTED)]),
        folder,
        {**ABOUT, "sequences": sequences},
        Larger(larger, larger_size),
        methods,
    )
    typer.echo(compare(one))


def _first(table: Path, count: int) -> Path:
    """A table beside it with its first sequences."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["sequence"] for row in rows))[:count]
    part = table.with_name(f"{table.stem}_{count}.csv")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["sequence"] in names)
    return part


def _config(epochs: int) -> dict[str, object]:
    return {
        "name": "grocery_shelves",
        "description": "81 products (Klasson et al.); trained for evaluation, not for use.",
        "seed": 5,
        "threads": 1,
        "data": {
            "sources": [
                {"path": "tables/products_train.csv", "part": "train"},
                {"path": "tables/products_val.csv", "part": "validation"},
                {"path": f"tables/products_test_{_TESTED}.csv", "part": "test"},
            ],
        },
        "backbone": {"folder": str(make_lite0()), "image_size": LITE0_PX},
        "contexts": {"count": 11, "labels_per_context": 10},
        "scout": {"epochs": epochs, "rank": 8},
        "adapters": {
            "tail_blocks": 2,
            "rank": 8,
            "alpha": 16,
            "others": 0.3,
            "epochs": epochs,
            "batch_size": 16,
        },
    }


if __name__ == "__main__":
    typer.run(main)

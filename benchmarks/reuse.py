"""What it saves to reuse results while the picture stays, and what it costs in accuracy.

    build/venv/bin/python benchmarks/reuse.py BUNDLE [DATA…] [--json PATH]

docs/scenes.md says what came out.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from parts.clips import labelled_clips, standing_still, synthetic_clips
from parts.reuse_cost import ReuseCost, measure_reuse
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.cli.main import run
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel


def main(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labelled data sets, beside the synthetic scenes.")
    ] = None,
    synthetic: Annotated[
        int, typer.Option(min=0, help="Held-out synthetic scenes, 50 frames each.")
    ] = 60,
    seed: Annotated[int, typer.Option(help="Of the synthetic scenes.")] = 7,
    longest: Annotated[
        float, typer.Option(min=0, help="Seconds for which to reuse a result.")
    ] = 1.0,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
    json: Annotated[Path | None, typer.Option(help="Rows go here.")] = None,
) -> None:
    """Label the same frames twice: every picture computed, and results reused."""
    opened = read_bundle(bundle)
    if opened.manifest.reuse is None:
        raise PolymorphError(
            "a bundle that knows when to reuse a result", "one that does not",
            where=str(bundle), remedy="train it again",
        )  # fmt: skip
    model = PolymorphModel.from_bundle(opened, device)
    clips = [(path.name, labelled_clips(path, model.labels)) for path in data or []]
    if synthetic:
        moving, still = (synthetic_clips(model.labels, synthetic, seed) for _ in range(2))
        clips = [
            ("synthetic scenes", moving),
            ("the same, standing still", standing_still(still, seed)),
            *clips,
        ]
    rows = [measure_reuse(name, model, opened.manifest, some, longest) for name, some in clips]
    Console().print(_table(rows))
    if json:
        write_json(json, [asdict(row) for row in rows])


def _table(rows: list[ReuseCost]) -> Table:
    table = Table("data", "frames", "reused", "mean AP", "price", "agree", "ms", "all ms")
    for row in rows:
        table.add_row(
            row.data,
            str(row.frames),
            f"{row.reused:.1%}",
            f"{row.mean_ap_reused:.4f}",
            f"{row.mean_ap_computed - row.mean_ap_reused:+.4f}",
            f"{row.agreement:.3f}",
            f"{1e3 * row.seconds_reused:.2f}",
            f"{1e3 * row.seconds_computed:.2f}",
        )
    return table


if __name__ == "__main__":
    run(main)

"""``polymorph bench reuse``: what reusing results saves, and its price."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def reuse(
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
    from polymorph_ros.bundle.reader import read_bundle
    from polymorph_ros.errors import PolymorphError
    from polymorph_ros.evaluation.clips import data_clips, standing_still, synthetic_clips
    from polymorph_ros.evaluation.reuse import measure_reuse
    from polymorph_ros.model.polymorph import PolymorphModel

    opened = read_bundle(bundle)
    if opened.manifest.reuse is None:
        raise PolymorphError(
            "a bundle that knows when to reuse a result", "one that does not",
            where=str(bundle), remedy="train it again",
        )  # fmt: skip
    model = PolymorphModel.from_bundle(opened, device)
    clips = [(path.name, data_clips(path, model.labels)) for path in data or []]
    if synthetic:
        clips = [
            ("synthetic scenes", synthetic_clips(model.labels, synthetic, seed)),
            (
                "the same, standing still",
                standing_still(synthetic_clips(model.labels, synthetic, seed), seed),
            ),
            *clips,
        ]
    rows = [measure_reuse(name, model, opened.manifest, some, longest) for name, some in clips]
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
    Console().print(table)
    if json:
        json.write_text(json_text.dumps([asdict(row) for row in rows], indent=1) + "\n")

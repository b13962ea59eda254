"""``polymorph bundle …``: look at bundles, upgrade them, and make them smaller."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

bundle_app = typer.Typer(no_args_is_help=True, help="Check, upgrade or pack bundles.")


@bundle_app.callback()
def _group() -> None:
    pass


@bundle_app.command()
def check(path: Annotated[Path, typer.Argument(help="The bundle's folder.")]) -> None:
    """Check a bundle whole, as the node would before it runs it, and say what it is."""
    from polymorph_ros.bundle import read_bundle
    from polymorph_ros.model.polymorph import PolymorphModel

    bundle = read_bundle(path)
    PolymorphModel.from_bundle(bundle, "cpu")
    manifest = bundle.manifest
    console = Console()
    console.print(f"[bold]{manifest.name}[/bold] {manifest.description}")
    console.print(f"checksum {bundle.checksum}", highlight=False)
    size = sum(entry.size for entry in manifest.files)
    console.print(
        f"{len(manifest.labels)} labels, {len(manifest.contexts)} contexts, "
        f"adapters on the last {manifest.tail_blocks} blocks, {size / 1e6:.1f} MB"
    )
    table = Table("context", "labels")
    for context in manifest.contexts:
        table.add_row(context.name, ", ".join(context.labels))
    console.print(table)
    for name, value in manifest.metrics.items():
        console.print(f"{name}: {value:.4f}")
    console.print("[green]sound[/green]")


@bundle_app.command()
def upgrade(
    path: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new bundle; else it replaces the old one.")
    ] = None,
) -> None:
    """Rewrite a bundle of an older format under today's names; no weight changes."""
    from polymorph_ros.bundle.upgrade import upgrade_bundle

    bundle = upgrade_bundle(path, out)
    version = bundle.manifest.format_version
    Console().print(f"{bundle.path}: format version {version}, checksum {bundle.checksum}")


class PackType(str, Enum):
    """How packed adapters are stored."""

    FP16 = "fp16"
    INT8 = "int8"


@bundle_app.command()
def pack(
    path: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    dtype: Annotated[PackType, typer.Option(help="fp16: PEFT opens them still; int8: smaller.")],
    out: Annotated[Path, typer.Option(help="Folder of the packed bundle; must not exist.")],
    data: Annotated[
        Path | None, typer.Option(help="Labelled video to measure on; else synthetic scenes.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="The labels (CSV) of that video.")] = None,
    synthetic: Annotated[int, typer.Option(min=1, help="Held-out scenes, 24 frames each.")] = 40,
) -> None:
    """Write a copy with smaller adapters, and say what that costs in mean average precision."""
    from polymorph_ros.bundle import read_bundle
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.evaluation.accuracy import mean_ap, synthetic_dataset
    from polymorph_ros.model.pack import adapter_bytes, pack_bundle

    bundle = read_bundle(path)
    dataset = open_dataset(data, labels=labels) if data else synthetic_dataset(synthetic)
    packed = pack_bundle(bundle, "int8" if dtype is PackType.INT8 else "float16", out)
    before, after = (
        mean_ap(each, dataset, "auto", data or "synthetic") for each in (bundle, packed)
    )
    console = Console()
    console.print(
        f"adapters: {adapter_bytes(bundle) / 1e6:.2f} MB before, "
        f"{adapter_bytes(packed) / 1e6:.2f} MB as {packed.manifest.adapter_type}"
    )
    console.print(
        f"mean AP on {data or f'{synthetic} held-out synthetic scenes'}: {before:.4f} before, "
        f"{after:.4f} packed ({after - before:+.4f})"
    )
    if dtype is PackType.INT8:
        console.print("PEFT cannot open int8 adapters; keep the bundle they were made from")

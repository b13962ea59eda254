"""``polymorph bundle …``: look at bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

bundle_app = typer.Typer(no_args_is_help=True, help="Look at bundles.")


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

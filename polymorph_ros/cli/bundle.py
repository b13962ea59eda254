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


@bundle_app.command()
def learn_points(
    path: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    config: Annotated[
        Path, typer.Option(help="A training configuration: its validation frames are taken.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new bundle; else it replaces the old one.")
    ] = None,
) -> None:
    """Measure what the governor's levers cost in accuracy and store that; no weight changes."""
    from tempfile import TemporaryDirectory

    from polymorph_ros.bundle import read_bundle
    from polymorph_ros.training.config import read_config
    from polymorph_ros.training.loop import set_up_torch
    from polymorph_ros.training.pipeline import validation_frames
    from polymorph_ros.training.stages.operating_points import add_points

    settings, bundle = read_config(config), read_bundle(path)
    set_up_torch(1)  # the number of threads changes last digits
    names = tuple(label.name for label in bundle.manifest.labels)
    with TemporaryDirectory() as work:
        changed = add_points(bundle, validation_frames(settings, names, Path(work)), out)
    measured = {"mean_ap", "adapters", "computed"}
    table = Table("mean AP", "adapters", "computed", "what it sets")
    for point in changed.manifest.operating_points:
        levers = point.model_dump(exclude_defaults=True, exclude=measured)
        table.add_row(
            "unknown" if point.mean_ap is None else f"{point.mean_ap:.4f}",
            f"{point.adapters:.2f}",
            f"{point.computed:.0%}",
            ", ".join(f"{name} {value}" for name, value in levers.items()) or "nothing",
        )
    Console().print(table)
    Console().print(f"{changed.path}: checksum {changed.checksum}", highlight=False)


@bundle_app.command()
def import_adapter(
    path: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    adapter: Annotated[
        Path, typer.Argument(help="Folder with PEFT's adapter_config.json and its safetensors.")
    ],
    name: Annotated[str, typer.Option(help="The context; one of that name is replaced.")],
    labels: Annotated[
        str, typer.Option(help="Labels of the bundle's vocabulary, as the head's rows: cup,plate.")
    ],
    head: Annotated[
        Path | None,
        typer.Option(
            help="weight (labels, features) and bias (labels,), whose sigmoid is P(label) where "
            "the context is; else head.safetensors in the adapter's folder."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new bundle; else it replaces the old one.")
    ] = None,
) -> None:
    """Put a LoRA adapter that was trained elsewhere into a bundle, as a context.

    It must be a plain LoRA of the bundle's backbone, on its last blocks. Labels must be in the
    vocabulary, for the scout must know them. The scout gives a new context its prior in every
    picture: labels in play bring its adapter in. Thresholds stay; metrics are dropped.
    """
    from polymorph_ros.bundle import read_bundle
    from polymorph_ros.bundle.manifest import HEAD_FILE
    from polymorph_ros.model.import_adapter import ForeignAdapter, base_of
    from polymorph_ros.model.import_adapter import import_adapter as run_import

    names = tuple(label.strip() for label in labels.split(",") if label.strip())
    foreign = ForeignAdapter(adapter, head or adapter / HEAD_FILE, name, names)
    bundle = run_import(read_bundle(path), foreign, out)
    manifest, prepared = bundle.manifest, bundle.manifest.preprocessing
    console = Console()
    console.print(f"{bundle.path}: context {name} ({', '.join(names)}), checksum {bundle.checksum}")
    console.print(
        f"it gets {manifest.tail_tokens} tokens of pictures squashed to {prepared.size} px, "
        f"mean {prepared.mean}, std {prepared.std}: it must have been trained on such, and on the "
        f"backbone {manifest.backbone.name} (its own file says {base_of(adapter) or 'nothing'})"
    )


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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
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
        mean_ap(each, dataset, device, data or "synthetic") for each in (bundle, packed)
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
        console.print("PEFT cannot open int8 adapters; keep the bundle they come from")

"""``polymorph train``: from a configuration to a bundle."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polymorph_ros.cli.train_report import print_plan, print_summary
from polymorph_ros.errors import PolymorphError

if TYPE_CHECKING:
    from polymorph_ros.training.config import SourceConfig, TrainConfig
    from polymorph_ros.training.workers import Workers


def train(
    config: Annotated[Path | None, typer.Argument(help="Training configuration (YAML).")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the bundle; replaced when it is there.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for intermediate results; a rerun continues from them.")
    ] = Path("build/train"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done and what it costs.")
    ] = False,
    add: Annotated[
        Path | None, typer.Option(help="Labelled video whose new labels a bundle shall learn.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The bundle that --add adds to.")] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Use a Ray cluster: its address (HOST:PORT), or auto on one of its nodes."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label CSV of a recording or folder that is added.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic of a recording that is added.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N; else as the configuration says.")
    ] = None,
) -> None:
    """Train a bundle on labelled video or on synthetic scenes, or add labels to one.

    polymorph train CONFIG --out BUNDLE

    polymorph train --add DATA --to BUNDLE
    """
    warnings.filterwarnings("ignore", category=FutureWarning)  # of libraries, about each other
    plain = config is None and out is None and not dry_run
    if add is not None and to is not None and plain:
        add_labels(added(add, labels, topic), to, work, ray, device)
    elif config is not None and add is None and to is None and (out is not None or dry_run):
        from polymorph_ros.training.config import read_config

        settings = _on_device(read_config(config), device, ray)
        _train(settings, out, work, ray, dry_run=dry_run)
    else:
        raise typer.BadParameter("give CONFIG and --out (or --dry-run), or --add and --to")


def _train(
    settings: TrainConfig, out: Path | None, work: Path, ray: str | None, *, dry_run: bool
) -> None:
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.evaluation.replay import measure
    from polymorph_ros.training.pipeline import train_bundle
    from polymorph_ros.training.plan import plan_training

    console = Console()
    if dry_run:
        print_plan(console, plan_training(settings, work))
        return
    assert out is not None
    if out.exists() and not (out / "manifest.json").is_file():
        raise PolymorphError(
            "a bundle or nothing in the place to write to", "something else", where=str(out)
        )
    with _workers(ray, settings.threads) as workers:
        trained = train_bundle(
            settings, out, work.resolve(), measure, console.print, workers=workers
        )
    print_summary(console, trained)


def _on_device(config: TrainConfig, device: str | None, ray: str | None) -> TrainConfig:
    """The configuration for a device, if one is given; a cluster's nodes compute on CPUs."""
    chosen = device or config.device
    if ray is not None:
        if chosen not in ("auto", "cpu"):
            raise PolymorphError("device cpu on a Ray cluster", chosen, where="--device")
        chosen = "cpu"
    return config.model_copy(update={"device": chosen})


def added(data: Path, labels: Path | None, topic: str | None) -> SourceConfig:
    """Labelled video that is added to a bundle.

    Args:
        data: the labelled video.
        labels, topic: of a recording.
    """
    from polymorph_ros.training.config import SourceConfig

    return SourceConfig.model_validate({"path": data, "labels": labels, "topic": topic})


def add_labels(
    source: SourceConfig, bundle: Path, work: Path, ray: str | None, device: str | None
) -> None:
    """Add contexts for the new labels of labelled video to a bundle, and say what came of it.

    Args:
        source: the labelled video.
        bundle: what is added to.
        work: folder for intermediate results.
        ray: address of a Ray cluster; None for this process.
        device: where it computes; None for a GPU where there is one.

    Raises:
        PolymorphError: nothing is new, the data cannot be used, or the disk is full.
    """
    from polymorph_ros.evaluation.replay import measure
    from polymorph_ros.training.pipeline import grow_bundle, growth_config

    console = Console()
    config = _on_device(growth_config(bundle, source), device, ray)
    with _workers(ray, config.threads) as workers:
        trained = grow_bundle(
            config, bundle, work.resolve(), measure, console.print, workers=workers
        )
    print_summary(console, trained)


@contextmanager
def _workers(address: str | None, threads: int) -> Iterator[Workers]:
    """A Ray cluster, left at the end, or this process."""
    from polymorph_ros.training.workers import HERE

    if address is None:
        yield HERE
        return
    try:
        from polymorph_ros.training.ray_workers import RayWorkers
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise PolymorphError(
            "Ray", "none", where="--ray", remedy='pip install "polymorph_ros[ray]"'
        ) from None
    with closing(RayWorkers(address, threads)) as workers:
        yield workers

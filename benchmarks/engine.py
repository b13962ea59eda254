"""Benchmark of the engine without ROS: seconds of each stage, and what more adapters cost.

    build/venv/bin/python benchmarks/engine.py [--bundle PATH] [--frames 300]

What is measured, and what the metrics mean: docs/benchmarks.md. The result is a JSON file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Annotated

import torch
import typer

from parts.machine import bundle_facts, machine_facts, machine_name
from parts.metrics import Results, milliseconds, rounded
from parts.pictures import HZ, pictures
from polymorph_ros.data.frame import Frame
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.loading import load_bundle

_HERE = Path(__file__).resolve().parent
_SIZE = (640, 480)
_WARM_FRAMES = 20


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle.")] = _HERE.parent / "bundles/default",
    frames: Annotated[int, typer.Option(min=10, help="Frames, and repetitions.")] = 300,
    json: Annotated[Path | None, typer.Option(help="Where the metrics go.")] = None,
) -> None:
    """Measure the stages of the engine and the composed tails."""
    path = json or _HERE / "results" / f"engine-{machine_name()}.json"
    try:
        loaded = load_bundle(bundle)
    except PolymorphError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    model, ledger = loaded.model, loaded.open_ledger()
    metrics: Results = {
        "benchmark": "engine",
        "machine": machine_facts(),
        "bundle": bundle_facts(loaded.bundle),
        "device": str(model.device),
        "stages": _stages(loaded.engine(ledger), frames),
        "composition": _composition(model, frames),
    }
    ledger.close()
    metrics["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    write_json(path, metrics)
    _print(metrics)
    typer.echo(f"metrics: {os.path.relpath(path)}")


def _stages(engine: Engine, frames: int) -> Results:
    """Milliseconds of each stage over synthetic scenes, with the cover that the engine chooses."""
    images = pictures(*_SIZE)
    period_ns = round(1e9 / HZ)
    results = [
        engine.step(Frame(images[number % len(images)], (number + 1) * period_ns))
        for number in range(_WARM_FRAMES + frames)
    ][_WARM_FRAMES:]
    return {
        "image": "640x480, synthetic scenes, one frame right after the other",
        "frames": frames,
        "adapters_per_frame": rounded(fmean(len(result.cover.adapters) for result in results)),
        "all_ms": milliseconds(sum(result.stage_seconds.values()) for result in results),
        **{
            f"{stage}_ms": milliseconds(result.stage_seconds[stage] for result in results)
            for stage in results[0].stage_seconds
        },
    }


def _composition(model: PolymorphModel, repetitions: int) -> Results:
    """Trunk alone and with 1, 2, … adapters' tails, taken in turn so that noise meets all alike."""
    pixels = model.preprocess(pictures(*_SIZE, count=1)[0])
    tokens = model.trunk(pixels)
    counts = range(1, len(model.contexts) + 1)
    trunk_s: list[float] = []
    tails_s: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(repetitions):
        trunk_s.append(_seconds(model, partial(model.trunk, pixels)))
        for count in counts:
            tails = partial(model.tails, tokens, range(count))
            tails_s[count].append(_seconds(model, tails))
    trunk = median(trunk_s)
    return {
        "repetitions": repetitions,
        "trunk_ms": milliseconds(trunk_s),
        "adapters": {
            str(count): {
                "tails_ms": milliseconds(tails_s[count]),
                "trunk_and_tails_to_trunk": rounded((trunk + median(tails_s[count])) / trunk),
            }
            for count in counts
        },
    }


def _seconds(model: PolymorphModel, computation: Callable[[], object]) -> float:
    start = time.perf_counter()
    computation()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _print(metrics: Results) -> None:
    stages = metrics["stages"]
    for name, values in stages.items():
        if name.endswith("_ms"):
            typer.echo(f"{name:14} p50 {values['p50']:8.3f}  p95 {values['p95']:8.3f}")
    typer.echo(f"{stages['adapters_per_frame']} adapters per frame")
    for count, values in metrics["composition"]["adapters"].items():
        typer.echo(
            f"{count} adapters: tails {values['tails_ms']['p50']:.3f} ms, "
            f"trunk and tails {values['trunk_and_tails_to_trunk']:.2f} x trunk"
        )


if __name__ == "__main__":
    typer.run(main)

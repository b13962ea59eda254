"""What tails on patches pooled two by two cost in accuracy, on CamVid's drives and DAVIS's clips.

    build/venv/bin/python benchmarks/pooled_tails.py [--seeds 5] [--config FILE]

Trains a configuration with `adapters.tail_tokens: all` and with `pooled`, for several seeds, and
compares what the engine says about the test part: the same frames, contexts, scout, gradient
steps and policy. A run that was stopped goes on. The tables are made of ../shared/data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import typer

from parts.camvid_davis import CONFIG, make_tables
from parts.examples import ROOT
from parts.machine import machine_facts, machine_name
from parts.metrics import Results, rounded
from parts.real_backbones import make_lite0
from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.files import write_json
from polymorph_ros.training.config import TrainConfig, read_config
from polymorph_ros.training.pipeline import train_bundle

_METRICS = ("mean_ap", "micro_f1", "adapters_per_frame")
_KINDS: tuple[TailTokens, ...] = get_args(TailTokens)


def main(
    config: Annotated[Path, typer.Option(help="How the bundles are trained.")] = CONFIG,
    seeds: Annotated[int, typer.Option(min=2, help="Trained with seeds 0, 1, 2 and so on.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    folder: Annotated[
        Path, typer.Option(help="For the bundles and what is made on the way.")
    ] = ROOT / "build/bench_pooled_tails",
) -> None:
    """Train, compare, and write benchmarks/results/pooled_tails-MACHINE.json."""
    if config == CONFIG:
        make_tables()
        make_lite0()
    machine = machine_facts() | {"torch_threads": threads}
    plain = read_config(config).model_copy(update={"threads": threads})
    runs = [
        _run(plain.model_copy(update={"seed": seed}), which, folder)
        for seed in range(seeds)
        for which in _KINDS
    ]
    result = {
        "benchmark": "pooled_tails",
        "config": config.name,
        "machine": machine,
        "runs": runs,
        "pooled_less_all": {name: _difference(runs, name) for name in _METRICS},
    }
    write_json(ROOT / f"benchmarks/results/pooled_tails-{machine_name()}.json", result)
    for name, metrics in result["pooled_less_all"].items():
        typer.echo(f"{name}: pooled less all {metrics}")


def _run(config: TrainConfig, which: TailTokens, folder: Path) -> Results:
    """One bundle's metrics on the test part."""
    adapters = config.adapters.model_copy(update={"tail_tokens": which})
    changed = config.model_copy(update={"adapters": adapters})
    out = folder / f"{config.name}-{which}-{config.seed}"
    trained = train_bundle(changed, out, folder / "work", measure, typer.echo)
    metrics = trained.bundle.manifest.metrics
    metrics = {name: rounded(metrics[name]) for name in _METRICS}
    typer.echo(f"seed {config.seed}, {which}: {metrics}")
    return {"seed": config.seed, "tail_tokens": which, **metrics}


def _difference(runs: list[Results], name: str) -> Results:
    """Of a figure, pooled less all: its mean over seeds, and the standard error of that mean."""
    all_tokens, pooled = (
        np.array([run[name] for run in runs if run["tail_tokens"] == which]) for which in _KINDS
    )
    differences = pooled - all_tokens
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return {"mean": rounded(differences.mean()), "standard_error": rounded(error)}


if __name__ == "__main__":
    typer.run(main)

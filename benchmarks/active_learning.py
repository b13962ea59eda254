"""Learning from fewer labels: mean AP against the number of labelled frames, by way of choosing.

    build/venv/bin/python benchmarks/active_learning.py [--json PATH]

A person labels some frames, a linear head on frozen features learns from them, the next frames are
chosen, and so on. Two pools: CamVid and DAVIS as one stream, and photos of 43 kinds of grocery.
Each seed chooses from a random part of the pool: four fifths, at most
1,000 frames. Needs ../shared/data and ../shared/models.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from parts.camvid_davis import TEST_TABLES, make_tables
from parts.choosing_frames import CHOICES, Choose, State, train_head
from parts.examples import ROOT
from parts.frozen_features import Pool, backbones, pool_of
from parts.machine import machine_facts, machine_name
from parts.metrics import Results
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.data.dataset import Dataset
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.union import union
from polymorph_ros.files import write_json, write_text

_SHARED = ROOT.parent / "shared"
_BUDGETS = {"camvid_davis": (10, 20, 40, 80, 160), "grocery": (40, 80, 160, 320)}
_MOST = 1000  # frames that one seed chooses from
_ABOUT = {
    "camvid_davis": "mean AP on the test parts; labels of one set are unknown in the other; every "
    "clip of DAVIS is the only one with its label, and is split in time",
    "grocery": "mean AP of 43 kinds on the test photos, which come from other visits; photos have "
    "no time, so uniform_in_time is left out; kinds other than the main product's count as absent, "
    "though neighbours on the shelf were not judged",
    "learner": "logistic regression on frozen features; features of training are not adapted",
    "ranking": "polymorph_ros.annotation.ranking as the page uses it, with the head's entropy",
}


def main(
    json: Annotated[Path | None, typer.Option(help="Where the metrics go.")] = None,
    shared: Annotated[Path, typer.Option(help="Folder with data and models.")] = _SHARED,
    work: Annotated[Path, typer.Option(help="Features between runs.")] = Path(
        "build/active_learning"
    ),
    seeds: Annotated[int, typer.Option(help="How many.")] = 5,
) -> None:
    """Measure every way of choosing; write the metrics after each pool."""
    torch.set_num_threads(1)
    path = json or ROOT / f"benchmarks/results/active_learning-{machine_name()}.json"
    metrics: Results = {
        "benchmark": "active_learning",
        "machine": machine_facts(),
        "about": _ABOUT,
        "seeds": seeds,
        "pools": {},
    }
    sets = {"camvid_davis": _camvid_davis(), "grocery": _grocery(shared / "data/grocery", work)}
    models = backbones(shared / "models/efficientnet_lite0.onnx")
    for name, parts in sets.items():
        for backbone, feature in models.items():
            pools = [
                pool_of(part, feature, work / f"{name}_{which}_{backbone}.npz")
                for part, which in zip(parts, ("train", "test"), strict=True)
            ]
            typer.echo(f"{name}, {backbone}: {len(pools[0].truth)} frames to choose from")
            metrics["pools"][f"{name}/{backbone}"] = _measure(pools, _BUDGETS[name], name, seeds)
            write_json(path, metrics)
    typer.echo(f"{path}")


def _camvid_davis() -> tuple[Dataset, Dataset]:
    make_tables()
    train = [Path(str(table).replace("_test", "_train")) for table in TEST_TABLES]
    return _of_parts([open_dataset(file) for file in (*train, *TEST_TABLES)], len(train))


def _of_parts(datasets: Sequence[Dataset], first: int) -> tuple[Dataset, Dataset]:
    """Two data sets over one vocabulary: of the first so many, and of the others."""
    whole = union(datasets)
    count = sum(len(dataset.sequences) for dataset in datasets[:first])
    parts = (whole.sequences[:count], whole.sequences[count:])
    return Dataset(whole.vocabulary, parts[0]), Dataset(whole.vocabulary, parts[1])


def _grocery(folder: Path, work: Path) -> tuple[Dataset, Dataset]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tables = []
    for name, parts in (("train", ("train",)), ("test", ("val", "test"))):
        lines = [
            f"{row['part']},{folder / row['file']},{row['kind']}"
            for row in rows
            if row["part"] in parts
        ]
        table = work / f"grocery_{name}.csv"
        write_text(table, "\n".join(["sequence,file,labels", *lines]) + "\n")
        tables.append(open_dataset(table))
    return _of_parts(tables, 1)


def _measure(pools: Sequence[Pool], budgets: Sequence[int], name: str, seeds: int) -> Results:
    pool, test = pools
    curves: dict[str, list[list[float]]] = {}
    for way, choose in CHOICES.items():
        if name == "grocery" and way == "uniform_in_time":
            continue
        curves[way] = [_curve(pool, test, budgets, choose, seed) for seed in range(seeds)]
        typer.echo(f"  {way:22} " + "  ".join(f"{v:.3f}" for v in np.mean(curves[way], axis=0)))
    _, scores = train_head(pool, test)
    return {
        "frames": len(pool.truth),
        "test_frames": len(test.truth),
        "labels": pool.truth.shape[1],
        "labelled": list(budgets),
        "all_labelled_mean_ap": round(mean_average_precision(_single(scores), test.truth), 4),
        "mean_ap": {way: _rounded(np.mean(curve, axis=0)) for way, curve in curves.items()},
        "deviation": {way: _rounded(np.std(curve, axis=0)) for way, curve in curves.items()},
        "share_of_random_labels": _shares(curves, budgets),
    }


def _curve(
    pool: Pool, test: Pool, budgets: Sequence[int], choose: Choose, seed: int
) -> list[float]:
    """Mean AP on the test frames after each budget."""
    random = np.random.default_rng(seed)
    part = min(_MOST, len(pool.truth) * 4 // 5)
    rows = np.sort(random.permutation(len(pool.truth))[:part])
    here = pool.rows(rows)
    state = State(here, np.empty(0, np.int64), None, random)
    curve = []
    for budget in budgets:
        more = choose(state, budget - len(state.labelled))
        labelled = np.concatenate([state.labelled, more])
        seen = np.full_like(here.truth, -1)
        seen[labelled] = here.truth[labelled]
        scores, tested = train_head(Pool(here.features, seen, here.times), test)
        state = State(here, labelled, scores, random)
        curve.append(mean_average_precision(_single(tested), test.truth))
    return curve


def _shares(
    curves: Mapping[str, Sequence[Sequence[float]]], budgets: Sequence[int]
) -> dict[str, list[float | None]]:
    """For each budget: what share of it a way needs for the accuracy of random choice.

    Between budgets the curve is a line over the logarithm of the number; None where the way needs
    more than the largest budget or less than the smallest.
    """
    wanted = np.mean(curves["random"], axis=0)
    shares: dict[str, list[float | None]] = {}
    for way, curve in curves.items():
        rising = np.maximum.accumulate(np.mean(curve, axis=0))
        shares[way] = [
            round(float(np.exp(np.interp(goal, rising, np.log(budgets))) / budget), 2)
            if rising[0] <= goal <= rising[-1]
            else None
            for goal, budget in zip(wanted, budgets, strict=True)
        ]
    return shares


def _single(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    return scores.astype(np.float32)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]


if __name__ == "__main__":
    typer.run(main)

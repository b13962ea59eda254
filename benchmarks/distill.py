"""What distillation is worth on real video: CamVid's drives, a linear classifier as the judge.

    build/venv/bin/python benchmarks/distill.py [--minutes 2] [--side 96] [--json PATH]

EfficientNet-Lite0, at 96 px if not told otherwise, starts from its published weights and learns
from CamVid's training pictures without their labels: what itself answers at 224 px (an ONNX file),
or what a DINOv2-S does. Features of teachers and students are then frozen. A linear classifier for
each label learns from the training pictures' labels and is judged on the others. Needs
../shared/data and ../shared/models; docs/distill.md says what came out.
"""

from __future__ import annotations

import os
import resource
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from parts.camvid_davis import TEST_TABLES, make_tables
from parts.examples import ROOT
from parts.linear_judge import average_precisions, features_of
from parts.machine import machine_facts, machine_name
from parts.metrics import Results, rounded
from polymorph_ros.cli.main import run
from polymorph_ros.data.dataset import Dataset
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.union import union
from polymorph_ros.distillation.config import DistillConfig
from polymorph_ros.distillation.pipeline import distil
from polymorph_ros.files import write_json
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig

_SHARED = ROOT.parent / "shared"
_NEW_DRIVE = "Seq05VD"
_TEACHER_SIDE = 224

ABOUT = {
    "task": "mean AP of CamVid's labels that vary in training and test pictures; pixels, order and "
    "labels are real (area above 1 %)",
    "judge": "standardised features, logistic regression with C = 0.01, one for each label",
    "test": "all pictures that are not CamVid's training part: 334 of 3 drives, of two of which "
    "other stretches are in the training part; new_drive: the third alone, 171 pictures",
    "mind": "one seed; minutes on a machine that others used too, so steps vary; the second "
    "teacher is a DINOv2-S that another package tuned for saliency, not the published one",
}


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="For each student.")] = 2.0,
    threads: Annotated[int, typer.Option(min=1, help="That each student learns with.")] = 1,
    side: Annotated[int, typer.Option(min=32, help="Of the students' pictures, pixels.")] = 96,
    json: Annotated[Path | None, typer.Option(help="Rows go here.")] = None,
    shared: Annotated[Path, typer.Option(help="Folder with data and models.")] = _SHARED,
    work: Annotated[Path, typer.Option(help="Pictures, answers and students; a rerun goes on.")] = (
        ROOT / "build/bench_distill"
    ),
) -> None:
    """Teach a student by each teacher, judge everybody, and write rows after each."""
    path = json or ROOT / f"benchmarks/results/distill-{machine_name()}.json"
    results: Results = {"benchmark": "distill", "machine": machine_facts(), "about": ABOUT}
    results |= {"minutes": minutes, "threads": threads, "rows": []}
    torch.set_num_threads(threads)
    make_tables()
    datasets = _parts()
    lite0, focus = _lite0(shared, work), shared / "models/dinov2_small_focus"

    def judge(name: str, folder: Path, side: int, about: Results | None = None) -> None:
        row = {"features": name, "px": side, **_judged(folder, side, datasets)}
        results["rows"].append(row | (about or {}))
        write_json(path, results)
        typer.echo(
            f"{name:32} {row['px']} px  {row['mean_ap']:.3f}  {row['new_drive_mean_ap']:.3f}"
        )

    judge("student before", lite0, side)
    for teacher, config in _configurations(shared, lite0, side, threads).items():
        student, used_s = work / teacher, _cpu_s()
        done = distil(config, student, work / "stages", minutes, typer.echo)
        about = {"cpu_minutes": rounded((_cpu_s() - used_s) / 60), "losses": done.losses}
        judge(f"student of {teacher}", student, side, about | {"plan": asdict(done.plan)})
    judge("teacher 1: EfficientNet-Lite0", lite0, _TEACHER_SIDE)
    judge("teacher 2: DINOv2-S focus", focus, _TEACHER_SIDE)
    typer.echo(f"{path}")


def _configurations(shared: Path, lite0: Path, side: int, threads: int) -> dict[str, DistillConfig]:
    """The same student of each teacher."""
    onnx = {
        "onnx": shared / "models/efficientnet_lite0.onnx",
        "outputs": {"patches": "features", "logits": "logits"},
    }
    focus = {"folder": shared / "models/dinov2_small_focus", "image_size": _TEACHER_SIDE}
    common: dict[str, Any] = {
        "threads": threads,
        "device": "cpu",
        "recordings": [{"path": shared / "data/camvid/train"}],
        "student": {"folder": lite0, "image_size": side},
        "batch_size": 16,
        "learning_rate": 5e-4,
    }
    return {
        name: DistillConfig.model_validate(common | {"teacher": teacher})
        for name, teacher in (("teacher 1", onnx), ("teacher 2", focus))
    }


def _parts() -> list[Dataset]:
    """CamVid's training pictures and all others, over one vocabulary."""
    tables = [Path(str(TEST_TABLES[0]).replace("_test", "_train")), TEST_TABLES[0]]
    opened = [open_dataset(table) for table in tables]
    whole = union(opened)
    count = len(opened[0].sequences)
    parts = (whole.sequences[:count], whole.sequences[count:])
    return [Dataset(whole.vocabulary, part) for part in parts]


def _lite0(shared: Path, work: Path) -> Path:
    """A backbone's folder that links to the shared weights."""
    folder = work / "lite0"
    EfficientNetLiteConfig().save_pretrained(folder)
    weights = folder / "model.safetensors"
    weights.unlink(missing_ok=True)
    weights.symlink_to(shared.resolve() / "models/efficientnet_lite0.safetensors")
    return folder


def _judged(folder: Path, side: int, datasets: list[Dataset]) -> Results:
    train, test = features_of(folder, side, datasets)
    sequences = _names(datasets[1])
    new = np.flatnonzero(np.array(sequences) == _NEW_DRIVE)
    precisions = average_precisions(train, test)
    return {
        "mean_ap": rounded(float(np.nanmean(precisions))),
        "labels": int(np.isfinite(precisions).sum()),
        "new_drive_mean_ap": rounded(float(np.nanmean(average_precisions(train, test.rows(new))))),
    }


def _names(dataset: Dataset) -> list[str]:
    """The sequence of every picture."""
    return [one.track.name for one in dataset.sequences for _ in range(len(one))]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    os.nice(10)
    run(main)

"""Polymorph beside its rivals on made pictures along real label sequences.

    build/venv/bin/python benchmarks/scenes.py [--labels 60] [--trace epic55_active_nouns_1hz]

Takes the most frequent labels of a trace, draws pictures for stretches of its sequences (each
label has a look of its own that moves smoothly, each sequence a background, and things that are
no labels move too), trains a bundle and its rivals, and evaluates all on sequences of their own.
Run it with 20, 60, 150 and 300 labels for the gain against the size of the vocabulary. A run that
was stopped goes on. Needs ../shared/data/traces.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
import yaml
from parts.whole import compare

from polymorph_ros.data.trace_parts import most_frequent, split, windows
from polymorph_ros.data.traced import traced_scenes
from polymorph_ros.data.traces import Trace, read_trace
from polymorph_ros.progress import progress_bar

ROOT = Path(__file__).resolve().parent.parent
TRACES = ROOT.parent / "shared/data/traces"
SIZE = (96, 96)
STRETCH = 30  # frames of a stretch
ABOUT = {
    "real": "which labels are there, when, for how long and in whose company (the trace)",
    "made": "every pixel, and what each label looks like",
}
_SHARES = (0.7, 0.1, 0.2)  # of sequences, for training, validation and test


def main(
    labels: Annotated[int, typer.Option(min=2, help="Labels, the most frequent.")] = 60,
    trace: Annotated[str, typer.Option(help="A trace of ../shared/data.")] = (
        "epic55_active_nouns_1hz"
    ),
    train: Annotated[int, typer.Option(min=2, help="Training stretches of 30 frames.")] = 800,
    test: Annotated[int, typer.Option(min=2, help="Test stretches of 30 frames.")] = 60,
    contexts: Annotated[int, typer.Option(min=1, help="Contexts at most.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every adapter.")] = 6,
    folder: Annotated[Path | None, typer.Option(help="For what is made on the way.")] = None,
) -> None:
    """Draw, train, evaluate, and write benchmarks/results/scenes-LABELS-MACHINE.json."""
    place = folder or ROOT / f"build/bench_scenes/{trace}-{labels}"
    whole = most_frequent(read_trace(TRACES / f"{trace}.jsonl.gz"), labels)
    counts = (train, max(2, train // 8), test)
    names = ("train", "validation", "test")
    for name, part, count in zip(names, split(whole, _SHARES), counts, strict=True):
        _draw(windows(part, STRETCH, count), place / name)
    config = place / "config.yaml"
    config.write_text(yaml.safe_dump(_config(labels, contexts, epochs), sort_keys=False))
    about = {
        **ABOUT,
        "trace": trace,
        "labels": labels,
        "stretches": dict(zip(names, counts, strict=True)),
    }
    typer.echo(compare(f"scenes-{labels}", config, [place / "test"], place, about))


def _draw(part: Trace, folder: Path) -> None:
    """Pictures and their table; the table comes last, so that a folder with one is whole."""
    table = folder / "labels.csv"
    if table.is_file():
        return
    dataset = traced_scenes(part, size=SIZE)
    rows = []
    with progress_bar() as bars:
        task = bars.add_task(f"draw {folder.name}", total=len(dataset.sequences), note="")
        for sequence in dataset.sequences:
            name = sequence.track.name.replace("/", "_")
            (folder / name).mkdir(parents=True, exist_ok=True)
            for frame, picture in enumerate(sequence.pictures.read()):
                assert isinstance(picture, np.ndarray), "made pictures are never at fault"
                file = f"{name}/{frame:04d}.jpg"
                cv2.imwrite(str(folder / file), picture[:, :, ::-1])
                present = np.flatnonzero(sequence.track.truth[frame] == 1)
                told = "|".join(part.vocabulary.names[label] for label in present)
                rows.append((name, f"{sequence.track.stamps_s[frame]:.3f}", file, told))
            bars.update(task, advance=1)
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("sequence", "stamp", "file", "labels"))
        writer.writerows(rows)


def _config(labels: int, contexts: int, epochs: int) -> dict[str, object]:
    return {
        "name": f"scenes_{labels}",
        "description": f"{labels} labels of a real trace, made pictures; for evaluation only.",
        "seed": 11,
        "data": {
            "sources": [{"path": name, "part": name} for name in ("train", "validation", "test")]
        },
        "backbone": {
            "hidden_size": 128, "layers": 6, "heads": 4, "patch_size": 12, "image_size": SIZE[0],
            "epochs": 10,
        },
        "contexts": {"count": contexts, "labels_per_context": max(8, 2 * labels // contexts)},
        "scout": {"epochs": 6},
        "adapters": {"tail_blocks": 2, "rank": 8, "alpha": 16, "others": 0.3, "epochs": epochs},
    }  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

"""Polymorph beside its baselines on synthetic pictures along real label sequences.

    build/venv/bin/python benchmarks/synthetic_traces.py [--labels 60] [--trace NAME]

Takes the most frequent labels of a trace, draws pictures for stretches of its sequences (each
label has a look of its own that moves smoothly, each sequence a background, and things that are
no labels move too), trains a bundle and its baselines on a backbone that has seen drawn things but
none of the labels, and evaluates all on sequences of their own. Run it with 20, 60, 150 and 300
labels for the gain against the size of the vocabulary. A run that was stopped goes on. Needs
../shared/data/traces.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
import yaml

from parts.foundation import LARGER_WIDTH, SIDE, WIDTH, foundation
from parts.trace_parts import most_frequent, split, windows
from parts.traced import traced_scenes
from parts.traces import Trace, read_trace
from parts.whole import Comparison, Larger, compare, tables
from polymorph_ros.progress import progress_bar

ROOT = Path(__file__).resolve().parent.parent
TRACES = ROOT.parent / "shared/data/traces"
LABELS_PER_CONTEXT = 10
TRAIN_STRETCH, STRETCH = 10, 30  # frames of a stretch: short ones to learn from show more things
CURVE = (
    "all_adapters,oracle_cover,all_label_lora,all_label_lora_same_size,all_label_lora_belief,"
    "polymorph_all_label_weights"
)
ABOUT = {
    "real": "which labels are there, when, for how long and with which others (the trace)",
    "made": "every pixel, what each label looks like, and the pictures that the backbones learned "
    "from, which show none of the labels",
}
_SHARES = (0.7, 0.1, 0.2)  # of sequences, for training, validation and test
_OWN_LABELS = 7.5  # labels for each context, on average; some stand in several


def main(
    labels: Annotated[int, typer.Option(min=2, help="Labels, the most frequent.")] = 60,
    trace: Annotated[str, typer.Option(help="A trace of ../shared/data.")] = (
        "epic55_active_nouns_1hz"
    ),
    train: Annotated[int, typer.Option(min=2, help="Training stretches of 10 frames.")] = 2400,
    test: Annotated[int, typer.Option(min=2, help="Test stretches of 30 frames.")] = 100,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every adapter.")] = 6,
    curve: Annotated[bool, typer.Option(help="Only the methods of the plot.")] = False,
    folder: Annotated[Path | None, typer.Option(help="For what is made on the way.")] = None,
) -> None:
    """Draw, train, evaluate, and write benchmarks/results/synthetic_traces-LABELS-MACHINE.json."""
    place = folder or ROOT / f"build/bench_scenes/{trace}-{labels}-{train}-{test}"
    whole = most_frequent(read_trace(TRACES / f"{trace}.jsonl.gz"), labels)
    counts = (train, max(2, train // 30), test)
    names, lengths = ("train", "validation", "test"), (TRAIN_STRETCH, STRETCH, STRETCH)
    parts = split(whole, _SHARES)
    for name, part, length, count in zip(names, parts, lengths, counts, strict=True):
        _draw(windows(part, length, count), place / name)
    backbone, larger = (foundation(width, place.parent) for width in (WIDTH, LARGER_WIDTH))
    config = place / "config.yaml"
    config.write_text(yaml.safe_dump(_config(labels, backbone, epochs), sort_keys=False))
    about = {
        **ABOUT,
        "trace": trace,
        "labels": labels,
        "stretches": dict(zip(names, counts, strict=True)),
    }
    methods = CURVE if curve else "all"
    one = Comparison(
        f"synthetic_traces-{labels}",
        config,
        tables([place / "test"]),
        place,
        about,
        Larger(str(larger)),
        methods,
    )
    typer.echo(compare(one))


def _draw(part: Trace, folder: Path) -> None:
    """Pictures and their table; the table comes last, so that a folder with one is whole."""
    table = folder / "labels.csv"
    if table.is_file():
        return
    dataset = traced_scenes(part, size=(SIDE, SIDE))
    rows = []
    with progress_bar() as bars:
        task = bars.add_task(f"draw {folder.name}", total=len(dataset.sequences), note="")
        for sequence in dataset.sequences:
            name = sequence.track.name.replace("/", "_")
            (folder / name).mkdir(parents=True, exist_ok=True)
            for frame, picture in enumerate(sequence.pictures.read()):
                assert isinstance(picture, np.ndarray), "synthetic pictures are never at fault"
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


def _config(labels: int, backbone: Path, epochs: int) -> dict[str, object]:
    contexts = max(2, round(labels / _OWN_LABELS))
    return {
        "name": f"scenes_{labels}",
        "description": f"{labels} labels of a real trace, synthetic pictures; for evaluation only.",
        "seed": 11,
        "threads": 1,
        "data": {
            "sources": [{"path": name, "part": name} for name in ("train", "validation", "test")]
        },
        "backbone": {"folder": str(backbone)},
        "tokens": {"augmentations": 1},
        "contexts": {"count": contexts, "labels_per_context": LABELS_PER_CONTEXT},
        "scout": {"epochs": 6, "rank": 8},
        "adapters": {"tail_blocks": 2, "rank": 8, "alpha": 16, "epochs": epochs},
    }  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

"""Polymorph beside its baselines on TAO (Dave et al., ECCV 2020), the data of the paper.

    python benchmarks/tao.py --annotations TAO/annotations --frames TAO/frames \
        --backbone facebook/deit-tiny-patch16-224 --larger-backbone google/vit-base-patch16-224

Trains a bundle on TAO's training videos, its baselines, and evaluates all on the validation
videos: the test videos have no public annotations. A fifth of the training videos chooses
thresholds. What nobody looked for in a video is unknown there, in training and in every metric. A
run that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from parts.whole import RESULTS, Comparison, Larger, compare
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.config import named_backbone

ABOUT = {
    "real": "everything: pixels, time and labels",
    "made": "nothing",
    "mind": "what a video was not searched for is unknown: each label is scored on the videos that "
    "judge it",
}
_LABELS_PER_CONTEXT = 10
_OWN_LABELS = 7.5  # labels for each context, on average; some stand in several


def main(
    annotations: Annotated[Path, typer.Option(help="Folder with TAO's JSON files.")],
    frames: Annotated[Path, typer.Option(help="Folder that their file names count from.")],
    backbone: Annotated[str, typer.Option(help="Folder or Hub name.")],
    larger_backbone: Annotated[str, typer.Option(help="Folder or Hub name.")],
    size: Annotated[
        int | None, typer.Option(min=16, help="Side of all pictures; else the backbone's own.")
    ] = None,
    train: Annotated[str, typer.Option(help="File with the training videos.")] = "train.json",
    test: Annotated[str, typer.Option(help="File with the videos that judge.")] = "validation.json",
    epochs: Annotated[int, typer.Option(min=1, help="Of the scout and of every adapter.")] = 20,
    methods: Annotated[str, typer.Option(help="Names by commas, or all.")] = "all",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    folder: Annotated[Path, typer.Option(help="For what is made on the way.")] = Path("build/tao"),
    results: Annotated[Path, typer.Option(help="Folder of the file with the metrics.")] = RESULTS,
) -> None:
    """Train, evaluate, and write tao-MACHINE.json."""
    for file in (annotations / train, annotations / test):
        if not file.is_file():
            raise PolymorphError("annotations of TAO", "no such file", where=str(file))
    labels = len(open_dataset(frames, labels=annotations / train).vocabulary)
    sources = [(annotations / train, "train"), (annotations / test, "test")]
    document = {
        "name": "tao",
        "description": "TAO; for evaluation only.",
        "seed": 5,
        "data": {
            "sources": [
                {"path": str(frames.resolve()), "labels": str(file.resolve()), "part": part}
                for file, part in sources
            ],
            "validation": 0.2,
        },
        "backbone": named_backbone(_found(backbone), size).model_dump(mode="json"),
        "tokens": {"augmentations": 1},
        "contexts": {
            "count": max(2, round(labels / _OWN_LABELS)),
            "labels_per_context": _LABELS_PER_CONTEXT,
        },
        "scout": {"epochs": epochs, "rank": 8},
        "adapters": {"tail_blocks": 2, "rank": 8, "alpha": 16, "others": 0.3, "epochs": epochs},
    }
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    data = ("--data", frames, "--labels", annotations / test)
    larger = Larger(_found(larger_backbone), size)
    about = {**ABOUT, "backbone": Path(backbone).name}
    typer.echo(
        compare(Comparison("tao", config, data, folder, about, larger, methods, device, results))
    )


def _found(backbone: str) -> str:
    """A folder wherever it is read from; a Hub name as it is."""
    return str(Path(backbone).resolve()) if Path(backbone).is_dir() else backbone


if __name__ == "__main__":
    typer.run(main)

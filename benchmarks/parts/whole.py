"""A whole comparison by the command line: a bundle, its baselines, and all of them side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from parts.machine import machine_name
from parts.metrics import Results, rounded
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.evaluation.baselines.entry import Source
from polymorph_ros.evaluation.baselines.table import METHODS, baselines_beside, method_names
from polymorph_ros.evaluation.methods.method import Method
from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.files import write_json
from polymorph_ros.training.config import read_config
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.pipeline import validation_frames

RESULTS = Path(__file__).resolve().parent.parent / "results"
MOST = (
    "all_adapters,oracle_cover,polymorph_no_filter,all_label_lora,all_label_lora_belief,"
    "larger_backbone"
)
"""What the aims are about; all others for a machine with more time."""
_VALIDATED = ("polymorph", "polymorph_no_filter", "all_label_lora")


@dataclass(frozen=True)
class Larger:
    """The next larger backbone.

    Attributes:
        name: its folder or Hub name; "" for none, or for twice the width of one that is trained
            from scratch.
        size: side of its pictures, pixels; None for the one it was trained with.
    """

    name: str = ""
    size: int | None = None

    def options(self) -> list[object]:
        """As ``polymorph evaluate`` takes it."""
        words: list[object] = ["--larger-backbone", self.name] if self.name else []
        return words + (["--larger-size", self.size] if self.size else [])

    def __str__(self) -> str:
        return f"{Path(self.name).name} at {self.size or 'its own'} px"


Folder = Annotated[Path, typer.Option(help="For what is made on the way, and the report.")]
LargerName = Annotated[str, typer.Option(help="Folder or Hub name of the next larger backbone.")]
LargerSize = Annotated[int | None, typer.Option(help="Side of its pictures, pixels.")]
Methods = Annotated[str, typer.Option(help="What is compared: names by commas, or all.")]


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how.

    Attributes:
        name: of the result.
        config: how the bundle is trained.
        data: what is evaluated, as options of ``polymorph evaluate``.
        folder: for everything on the way, and the report.
        about: what is real and what is synthetic.
        larger: the next larger backbone.
        methods: names by commas, or all.
        device: that it is trained and evaluated on.
        results: folder of the file with the metrics.
    """

    name: str
    config: Path
    data: Sequence[object]
    folder: Path
    about: Results
    larger: Larger = field(default_factory=Larger)
    methods: str = "all"
    device: str = "cpu"
    results: Path = RESULTS


def tables(files: Sequence[Path]) -> list[object]:
    """Tables that name their pictures, as options of ``polymorph evaluate``."""
    return [word for file in files for word in ("--data", file)]


def compare(one: Comparison) -> Path:
    """Train, evaluate, and store the summary; each step goes on where an earlier run stopped.

    Peak memory is not measured: it takes a process for each method.

    Returns:
        the file with the metrics.
    """
    bundle, out, work = one.folder / "bundle", one.folder / "evaluation", one.folder / "work"
    device = ("--device", one.device)
    evaluate = ("evaluate", "--bundle", bundle, "--compare", one.methods, *device)
    _polymorph("train", one.config, "--out", bundle, "--work", work, *device)
    baselines = ("--train-baselines", one.config, "--work", work, *one.larger.options())
    _polymorph(*evaluate, *baselines)
    _polymorph(*evaluate, "--no-memory", "--out", out, *one.data)
    text = (out / "summary.json").read_text()
    # The folder of this machine has no meaning elsewhere.
    root = RESULTS.parents[1]
    summary = json.loads(text.replace(f"{root}/", "").replace(f"{root.parent}/", "../"))
    found = {
        "benchmark": one.name,
        **one.about,
        "larger_backbone": str(one.larger) if one.larger.name else "none",
        "training": read_config(one.config).recipe.model_dump(mode="json"),
        "validation": _validation(one.config, read_bundle(bundle), work, one.device),
        "summary": summary,
    }
    file = one.results / f"{one.name}-{machine_name()}.json"
    write_json(file, found)
    return file


def _validation(config: Path, bundle: Bundle, work: Path, device: str) -> Results:
    """Mean AP on the bundle's own validation part, of some methods.

    It chose calibration, thresholds and the filter over time: it judges no method, but a bundle
    that one LoRA beats even there has contexts that do harm.
    """
    labels = tuple(label.name for label in bundle.manifest.labels)
    frames = validation_frames(read_config(config), labels, work)
    set_up_torch(1, device)
    source = Source(bundle, device, baselines_beside(bundle.path))
    there = method_names("all", source.folder)
    methods = [METHODS[name].make(name, source) for name in _VALIDATED if name in there]
    return {method.name: rounded(_mean_ap(method, frames)) for method in methods}


def _mean_ap(method: Method, frames: LabelledFrames) -> float:
    scores = []
    for part in frames.slices():
        method.reset()
        for index in range(part.start, part.stop):
            stamp_ns = round(float(frames.stamps_s[index]) * 1e9)
            frame = Frame(np.asarray(frames.images[index]), stamp_ns)
            scores.append(method.label(frame, frames.truth[index]).scores)
    return mean_average_precision(np.stack(scores), np.asarray(frames.truth))


def _polymorph(*words: object) -> None:
    """Run the command; the benchmark ends with it where it fails."""
    command = [sys.executable, "-m", "polymorph_ros.cli.main", *map(str, words)]
    done = subprocess.run(command)
    if done.returncode != 0:
        sys.exit(done.returncode)

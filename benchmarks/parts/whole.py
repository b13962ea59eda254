"""A whole comparison by the command line: a bundle, its baselines, and all of them side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from parts.machine import machine_name
from parts.metrics import Results
from polymorph_ros.files import write_json

RESULTS = Path(__file__).resolve().parent.parent / "results"


def compare(
    name: str,
    config: Path,
    data: Sequence[Path],
    folder: Path,
    about: Results,
    larger: str = "",
    methods: str = "all",
) -> Path:
    """Train, evaluate, and keep the summary; each step goes on where an earlier run stopped.

    Args:
        name: of the result.
        config: how the bundle is trained.
        data: what is evaluated.
        folder: for everything on the way, and the report.
        about: what is real and what is made.
        larger: the next larger backbone's folder or Hub name, where it is not trained from
            scratch.
        methods: names by commas, or all.

    Returns:
        the file with the metrics.
    """
    bundle, out, work = folder / "bundle", folder / "evaluation", folder / "work"
    if not (bundle / "manifest.json").is_file():
        _polymorph("train", config, "--out", bundle, "--work", work)
    baselines = ["--train-baselines", config, "--work", work]
    baselines += ["--larger-backbone", larger] if larger else []
    _polymorph("evaluate", "--bundle", bundle, "--compare", methods, *baselines)
    _polymorph(
        "evaluate", "--bundle", bundle, "--out", out, "--compare", methods,
        *(word for path in data for word in ("--data", path)),
    )  # fmt: skip
    text = (out / "summary.json").read_text()
    # The folder of this machine has no meaning elsewhere.
    summary = json.loads(text.replace(f"{RESULTS.parents[1]}/", ""))
    file = RESULTS / f"{name}-{machine_name()}.json"
    write_json(file, {"benchmark": name, **about, "summary": summary})
    return file


def _polymorph(*words: object) -> None:
    """Run the command; the benchmark ends with it where it fails."""
    command = [sys.executable, "-m", "polymorph_ros.cli.main", *map(str, words)]
    done = subprocess.run(command)
    if done.returncode != 0:
        sys.exit(done.returncode)

"""Polymorph's gain against the size of the vocabulary, by synthetic_traces.py's results.

    build/venv/bin/python benchmarks/synthetic_traces_plot.py

Reads benchmarks/results/synthetic_traces-LABELS-*.json; writes docs/images/scenes_gain.png.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from matplotlib.figure import Figure

from parts.whole import RESULTS
from polymorph_ros.evaluation.report.style import BLUE, GREEN, GRID, ORANGE, VERMILION

BASELINES = {
    "all_label_lora": VERMILION,
    "all_label_lora_belief": BLUE,
    "larger_backbone": ORANGE,
    "oracle_cover": GREEN,
}


def main() -> None:
    """Draw a line per baseline: mean AP of Polymorph less the baseline's, with intervals."""
    results = sorted(RESULTS.glob("synthetic_traces-*.json"), key=_labels)
    if not results:
        sys.exit(f"expected results of benchmarks/synthetic_traces.py, found none in {RESULTS}")
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for baseline, colour in BASELINES.items():
        points = [(_labels(file), row) for file in results if (row := _row(file, baseline))]
        if not points:
            continue
        labels = [count for count, _ in points]
        gain = [-row["mean_ap_gain"] for _, row in points]
        low = [row["mean_ap_gain"] - row["mean_ap_gain_low"] for _, row in points]
        high = [row["mean_ap_gain_high"] - row["mean_ap_gain"] for _, row in points]
        axes.errorbar(
            labels, gain, (high, low), color=colour, marker="o", capsize=3, label=baseline
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("labels (synthetic pictures along real label sequences)")
    axes.set_ylabel("mean AP of polymorph less that of")
    axes.grid(color=GRID)
    figure.legend(frameon=False, loc="outside upper center", ncols=len(BASELINES), fontsize=8)
    figure.savefig(RESULTS.parents[1] / "docs/images/scenes_gain.png", dpi=200)


def _labels(file: Path) -> int:
    found = re.match(r"synthetic_traces-(\d+)-", file.name)
    assert found is not None, "the benchmark names its results so"
    return int(found.group(1))


def _row(file: Path, method: str) -> dict[str, float] | None:
    methods = json.loads(file.read_text())["summary"]["methods"]
    return next((one for one in methods if one["method"] == method), None)


if __name__ == "__main__":
    main()

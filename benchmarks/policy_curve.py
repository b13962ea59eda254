"""Draw what coverage costs on label traces: docs/images/policy_curve.png.

    build/venv/bin/python benchmarks/policy_curve.py [benchmarks/results/policy.json]

The rows are those of `benchmarks/policy_on_traces.py --json`: for each trace the policy with its
own threshold, and with several multiples of it. Label sets are real, scores simulated
(docs/belief.md).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer

mpl.use("agg")
import matplotlib.pyplot as plt

_ROOT = Path(__file__).resolve().parents[1]
_WANTED_COVERED, _WANTED_COST = 97.0, 1.35
_COST_SHOWN = (0.95, 2.0)

Row = dict[str, Any]


def main(
    rows: Annotated[Path, typer.Argument()] = _ROOT / "benchmarks/results/policy.json",
    out: Annotated[Path, typer.Option()] = _ROOT / "docs/images/policy_curve.png",
) -> None:
    """Draw one line per trace: covered label-frames against adapters, beside what is wanted."""
    by_trace: dict[str, list[Row]] = {}
    for row in json.loads(rows.read_text(encoding="utf-8")):
        by_trace.setdefault(row["trace"], []).append(row)
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    axes.axvspan(_COST_SHOWN[0], _WANTED_COST, ymin=0.0, color="0.95")
    axes.axhline(_WANTED_COVERED, color="0.6", linewidth=0.8, linestyle=":")
    for trace, its_rows in by_trace.items():
        _draw(axes, trace, its_rows)
    axes.set_xlim(*_COST_SHOWN)
    axes.set_xlabel("adapters per frame, times those of the oracle cover (shaded: at most 1.35)")
    axes.set_ylabel("label-frames covered, %")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=150)


def _draw(axes: plt.Axes, trace: str, rows: list[Row]) -> None:
    """One trace's line, and a dot where its own threshold lies."""
    oracle = next(row for row in rows if row["policy"] == "oracle_cover")["adapters_per_frame"]
    own = next(row for row in rows if row["policy"] == "polymorph")
    curve = [row for row in rows if row["policy"].startswith("polymorph")]
    points = sorted((row["adapters_per_frame"] / oracle, 100.0 * row["covered"]) for row in curve)
    (line,) = axes.plot(*zip(*points, strict=True), label=trace.split("_")[0], linewidth=1.4)
    axes.plot(
        own["adapters_per_frame"] / oracle, 100.0 * own["covered"], "o", color=line.get_color()
    )


if __name__ == "__main__":
    typer.run(main)

"""Plots for papers: PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polymorph_ros.evaluation.method_metrics import MethodMetrics
from polymorph_ros.evaluation.report.label_bars import label_order
from polymorph_ros.evaluation.report.pareto import pareto_front
from polymorph_ros.evaluation.report.scatter import cost_of, cost_words
from polymorph_ros.evaluation.report.style import FAINT, GRID, INK, colour_of

_MARKERS = "osD^vPX*hp"


def write_plots(metrics: Sequence[MethodMetrics], folder: Path) -> None:
    """Write ``accuracy_energy`` and ``labels``, each as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(_front(metrics), folder / "accuracy_energy")
    _save(_labels(metrics[0]), folder / "labels")


def _front(metrics: Sequence[MethodMetrics]) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    points = [(cost_of(one), one.mean_ap) for one in metrics]
    front = [points[index] for index in pareto_front(points)]
    costs, values = [cost for cost, _ in front], [value for _, value in front]
    axes.step(costs, values, where="post", color=FAINT, linestyle=":", zorder=1)
    for number, (one, (cost, mean_ap)) in enumerate(zip(metrics, points, strict=True)):
        between = one.mean_ap_interval
        known = math.isfinite(between.low)
        error = [[mean_ap - between.low], [between.high - mean_ap]] if known else None
        axes.errorbar(
            cost,
            mean_ap,
            _error(error),
            fmt=_MARKERS[number % len(_MARKERS)],
            color=colour_of(one.method),
            label=one.method,
            markersize=7,
            capsize=3,
            elinewidth=1,
            zorder=2 + len(metrics) - number,  # the first method lies on top
        )
    axes.set_xlabel(cost_words(metrics))
    axes.set_ylabel("mean AP")
    axes.set_xlim(left=0)
    _plain(axes)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _error(error: list[list[float]] | None) -> list[list[float]] | None:
    """Error bars never reach the wrong way by a rounding error."""
    return None if error is None else [[max(0.0, value) for value in side] for side in error]


def _labels(one: MethodMetrics) -> Figure:
    labels = label_order(one)
    figure = Figure(figsize=(6.4, max(2.0, 0.24 * len(labels) + 0.8)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(labels, [one.label_ap[label] for label in labels], color=colour_of(one.method))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"average precision of {one.method}")
    axes.margins(y=0.01)
    _plain(axes)
    axes.grid(visible=False, axis="y")
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _save(figure: Figure, stem: Path) -> None:
    figure.savefig(stem.with_suffix(".png"), dpi=200)
    figure.savefig(stem.with_suffix(".svg"))

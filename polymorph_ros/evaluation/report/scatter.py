"""Accuracy against energy, with intervals and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from polymorph_ros.evaluation.method_metrics import MethodMetrics
from polymorph_ros.evaluation.report.pareto import pareto_front
from polymorph_ros.evaluation.report.style import FAINT, GRID, colour_of, layout, symbol_of


def cost_of(one: MethodMetrics) -> float:
    """Millijoules per frame; without joules, milliseconds."""
    joules = one.energy.joules_per_frame
    return 1e3 * (joules if math.isfinite(joules) else one.seconds_per_frame)


def cost_words(metrics: Sequence[MethodMetrics]) -> str:
    """What the axis of costs says."""
    energy = metrics[0].energy
    if not math.isfinite(energy.joules_per_frame):
        return "time per frame (ms; no energy values)"
    return f"energy per frame (mJ, {energy.source.value})"


def scatter(metrics: Sequence[MethodMetrics]) -> go.Figure:
    """One point per method; the line joins those that none beats in both."""
    figure = go.Figure()
    points = [(cost_of(one), one.mean_ap) for one in metrics]
    front = pareto_front(points)
    figure.add_trace(
        go.Scatter(
            x=[points[index][0] for index in front],
            y=[points[index][1] for index in front],
            mode="lines",
            line={"color": FAINT, "dash": "dot", "width": 1.5, "shape": "hv"},
            name="Pareto front",
            hoverinfo="skip",
        )
    )
    for number, (one, (cost, mean_ap)) in enumerate(zip(metrics, points, strict=True)):
        between = one.mean_ap_interval
        known = math.isfinite(between.low)
        figure.add_trace(
            go.Scatter(
                x=[cost],
                y=[mean_ap],
                name=one.method,
                zorder=len(metrics) - number,  # the first method lies on top
                mode="markers",
                marker={
                    "size": 12,
                    "color": colour_of(one.method),
                    "symbol": symbol_of(number),
                    "line": {"width": 1, "color": "white"},
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [between.high - mean_ap if known else 0],
                    "arrayminus": [mean_ap - between.low if known else 0],
                    "color": colour_of(one.method),
                    "thickness": 1.2,
                    "width": 4,
                },
                hovertemplate=(
                    f"<b>{one.method}</b><br>mean AP %{{y:.3f}}<br>%{{x:.2f}} per frame"
                    "<extra></extra>"
                ),
            )
        )
    figure.update_layout(
        layout(height=460, hovermode="closest", legend={"x": 1.01, "y": 1, "font": {"size": 12}})
    )
    figure.update_xaxes(title=cost_words(metrics), gridcolor=GRID, rangemode="tozero")
    figure.update_yaxes(title="mean AP", gridcolor=GRID, tickformat=".3f")
    return figure

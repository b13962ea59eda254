"""Average precision of each label."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from polymorph_ros.evaluation.method_metrics import MethodMetrics
from polymorph_ros.evaluation.report.style import GRID, colour_of, layout, symbol_of


def label_order(one: MethodMetrics) -> list[str]:
    """Labels with positives, the best first."""
    known = {name: value for name, value in one.label_ap.items() if math.isfinite(value)}
    return sorted(known, key=lambda name: -known[name])


def label_bars(metrics: Sequence[MethodMetrics]) -> go.Figure:
    """Bars of the first method; the others are points that the legend shows and hides."""
    first, *others = metrics
    labels = label_order(first)
    figure = go.Figure()
    figure.add_trace(
        go.Bar(
            x=labels,
            y=[first.label_ap[label] for label in labels],
            name=first.method,
            marker={"color": colour_of(first.method), "opacity": 0.85},
            hovertemplate="%{x}: %{y:.3f}<extra>" + first.method + "</extra>",
        )
    )
    for number, one in enumerate(others, start=1):
        figure.add_trace(
            go.Scatter(
                x=labels,
                y=[one.label_ap[label] for label in labels],
                name=one.method,
                mode="markers",
                marker={
                    "size": 8,
                    "color": colour_of(one.method),
                    "symbol": symbol_of(number),
                    "line": {"width": 1, "color": "white"},
                },
                visible=True if number == 1 else "legendonly",
                hovertemplate="%{x}: %{y:.3f}<extra>" + one.method + "</extra>",
            )
        )
    figure.update_layout(
        layout(height=420, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    )
    figure.update_xaxes(tickangle=-50, showgrid=False)
    figure.update_yaxes(title="average precision", range=[0, 1.02], gridcolor=GRID)
    return figure

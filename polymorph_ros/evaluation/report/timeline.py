"""One sequence under one time axis: pictures, labels, adapters, power."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from polymorph_ros.data.dataset import Fault
from polymorph_ros.evaluation.frame_log import FrameLog
from polymorph_ros.evaluation.join import JoinedSequence
from polymorph_ros.evaluation.report.runs import frame_edges, runs
from polymorph_ros.evaluation.report.style import (
    BLUE,
    FAINT,
    GREEN,
    GRID,
    ORANGE,
    PALE,
    VERMILION,
    layout,
)

_PICTURES = 12
_PICTURE_HEIGHT = 96  # pixels
_LABELS = 24  # rows at most
_ROW = 24  # pixels


def timeline(log: FrameLog, sequence: JoinedSequence) -> go.Figure:
    """Pictures, labels (truth and predicted), active adapters and power of a sequence.

    Args:
        log: one method's frames.
        sequence: where the pictures are.
    """
    stamps_s = log.stamps_s
    edges = frame_edges(stamps_s)
    labels, adapters = _shown_labels(log), list(dict.fromkeys(n for a in log.adapters for n in a))
    heights = [84, _ROW * max(2, len(labels)), _ROW * max(2, len(adapters)), 130]
    figure = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.03,
        row_heights=heights,
        subplot_titles=("", "labels", "active adapters", "power"),
    )
    _add_pictures(figure, sequence, log, edges)
    _add_labels(figure, log, labels, edges)
    _add_adapters(figure, log, adapters, edges)
    _add_power(figure, log, edges)
    figure.update_layout(
        layout(
            height=sum(heights) + 190,
            barmode="overlay",
            hovermode="closest",
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        )
    )
    figure.update_annotations(font={"size": 12, "color": FAINT}, x=0, xanchor="left")
    figure.update_xaxes(range=[edges[0], edges[-1]], showgrid=True, gridcolor=GRID, zeroline=False)
    figure.update_xaxes(title="seconds", row=4, col=1, rangeslider={"visible": False})
    return figure


def _shown_labels(log: FrameLog) -> list[int]:
    """Labels that are true or called in the sequence, those that are so longest; best on top."""
    known = (log.truth >= 0).any(axis=0)
    share = ((log.truth == 1) | (log.active & known)).mean(axis=0)
    order = np.argsort(-share, kind="stable")[:_LABELS]
    return [label for label in order.tolist() if share[label] > 0]


def _add_pictures(
    figure: go.Figure, sequence: JoinedSequence, log: FrameLog, edges: NDArray[np.float64]
) -> None:
    count = min(_PICTURES, len(log))
    rows = np.linspace(0, len(log) - 1, count).round().astype(int)
    wanted = {int(log.frames[row]): float(edges[row]) for row in rows}
    width = float(edges[-1] - edges[0]) / count
    for index, picture in enumerate(sequence.pictures.read()):
        if index in wanted and not isinstance(picture, Fault):
            figure.add_layout_image(
                source=_as_jpeg(picture),
                x=min(wanted[index], float(edges[-1]) - width),
                y=0.5,
                sizex=width * 0.97,
                sizey=1,
                xref="x",
                yref="y",
                sizing="contain",
                xanchor="left",
                yanchor="middle",
                layer="above",
            )
        if index >= max(wanted):
            break
    figure.update_yaxes(visible=False, range=[0, 1], fixedrange=True, row=1, col=1)
    # a subplot without a trace has no axis to hang pictures on
    figure.add_trace(go.Scatter(x=[edges[0]], y=[0], opacity=0, showlegend=False), row=1, col=1)


def _as_jpeg(picture: NDArray[np.uint8]) -> str:
    height, width = picture.shape[:2]
    size = (max(1, round(width * _PICTURE_HEIGHT / height)), _PICTURE_HEIGHT)
    small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _add_labels(
    figure: go.Figure, log: FrameLog, labels: Sequence[int], edges: NDArray[np.float64]
) -> None:
    present, absent = log.truth == 1, log.truth == 0
    parts = (
        ("true", present, PALE, 0.86),
        ("called, true", log.active & present, GREEN, 0.42),
        ("called, not true", log.active & absent, VERMILION, 0.42),
        ("called, truth unknown", log.active & (log.truth < 0), ORANGE, 0.42),
    )
    for words, mask, colour, width in parts:
        rows = [(log.labels[label], runs(mask[:, label], edges)) for label in labels]
        _add_bars(figure, rows, words, colour, width, row=2)
    names = [log.labels[label] for label in labels]
    _name_rows(figure, names, row=2)


def _add_adapters(
    figure: go.Figure, log: FrameLog, adapters: Sequence[str], edges: NDArray[np.float64]
) -> None:
    active = {
        name: np.array([name in names for names in log.adapters], np.bool_) for name in adapters
    }
    rows = [(name, runs(mask, edges)) for name, mask in active.items()]
    _add_bars(figure, rows, "adapter runs", BLUE, 0.6, row=3)
    _name_rows(figure, adapters, row=3)


def _add_bars(
    figure: go.Figure,
    rows: Sequence[tuple[str, list[tuple[float, float]]]],
    words: str,
    colour: str,
    width: float,
    *,
    row: int,
) -> None:
    bars = [(name, start, end) for name, stretches in rows for start, end in stretches]
    if not bars:
        return
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=[name for name, _, _ in bars],
            base=[start for _, start, _ in bars],
            x=[end - start for _, start, end in bars],
            customdata=[end for _, _, end in bars],
            width=width,
            name=words,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y}: %{base:.2f} to %{customdata:.2f} s<extra>" + words + "</extra>",
        ),
        row=row,
        col=1,
    )


def _name_rows(figure: go.Figure, names: Sequence[str], *, row: int) -> None:
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=list(reversed(names)),
        range=[-0.6, max(1, len(names)) - 0.4],
        showgrid=False,
        fixedrange=True,
        automargin=True,
        tickfont={"size": 12},
        ticksuffix="  ",
        row=row,
        col=1,
    )


def _add_power(figure: go.Figure, log: FrameLog, edges: NDArray[np.float64]) -> None:
    """Mean power over each frame's time: its joules until the next frame comes."""
    seconds = np.maximum(np.diff(edges), 1e-6)
    known = bool(np.isfinite(log.joules).all())
    watts = (log.joules if known else log.seconds) / seconds
    words = "W" if known else "busy share (no energy values)"
    figure.add_trace(
        go.Scatter(
            x=log.stamps_s,
            y=watts,
            customdata=1e3 * (log.joules if known else log.seconds),
            mode="lines",
            line={"color": BLUE, "width": 1.4, "shape": "hv"},
            name="power",
            showlegend=False,
            hovertemplate="%{x:.2f} s: %{y:.3f} "
            + words
            + (", %{customdata:.1f} mJ" if known else ", %{customdata:.1f} ms")
            + "<extra></extra>",
        ),
        row=4,
        col=1,
    )
    figure.update_yaxes(
        title=words, rangemode="tozero", gridcolor=GRID, fixedrange=True, row=4, col=1
    )

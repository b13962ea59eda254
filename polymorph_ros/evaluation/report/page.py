"""The report: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import plotly.graph_objects as go
from jinja2 import Environment
from plotly.offline import get_plotlyjs

from polymorph_ros.evaluation.baselines.table import POLYMORPH, description_of
from polymorph_ros.evaluation.frame_log import FrameLog
from polymorph_ros.evaluation.report import parts
from polymorph_ros.evaluation.report.label_bars import label_bars
from polymorph_ros.evaluation.report.scatter import scatter
from polymorph_ros.evaluation.report.timeline import timeline
from polymorph_ros.evaluation.session import Outcome
from polymorph_ros.files import write_text

_PAGE = Path(__file__).with_name("page.html")
_CONFIG = {"displaylogo": False, "responsive": True}


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: its id.
        title: its heading.
        text: a sentence below it.
        kind: how the template shows the content.
        content: empty where there is nothing to show.
    """

    anchor: str
    title: str
    text: str
    kind: Literal["plot", "comparison", "parts", "stages", "facts", "list"]
    content: Any


def write_page(outcome: Outcome, file: Path, sequence: str = "") -> None:
    """Write the report, whole or not at all.

    Args:
        sequence: the one of the timeline; without a name, the one in which most happens.
    """
    summary = outcome.summary
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_PAGE.read_text(encoding="utf-8")).render(
        title=f"{summary['bundle']['name']} on {Path(summary['data']['where']).name}",
        subtitle=_subtitle(outcome),
        tiles=parts.tiles(outcome.metrics[0]),
        sections=[section for section in _sections(outcome, sequence) if section.content],
        description_of=description_of,
        plotly=get_plotlyjs(),
        version=summary["polymorph_ros"],
    )
    write_text(file, text + "\n")


def _subtitle(outcome: Outcome) -> str:
    data, machine = outcome.summary["data"], outcome.summary["machine"]
    words = (
        f"{data['frames_scored']} frames of {data['sequences']} sequences, "
        f"{len(data['labels_scored'])} labels with truth, {len(outcome.metrics)} method(s) side "
        f"by side on {machine['cpu']}, {machine['date']}"
    )
    return words if outcome.complete else f"Broken off: not all sequences are in it. {words}"


def _sections(outcome: Outcome, sequence: str) -> list[Section]:
    metrics, summary = outcome.metrics, outcome.summary
    first = metrics[0]
    log = _chosen(outcome.logs[first.method], sequence)
    joined = next(one for one in outcome.data.sequences if one.name == log.sequence)
    return [
        Section(
            "comparison", "Comparison",
            f"Intervals: 95 %, over {first.interval_over}. Methods took turns in one process, "
            "so that the machine's drift hits all alike. A click on a heading sorts.",
            "comparison", parts.comparison(metrics),
        ),
        Section(
            "live", "Live", "The recording played to the real node over DDS.",
            "facts", parts.live(summary),
        ),
        Section(
            "apart", "What each part is worth",
            "Differences on the same draws of sequences.", "parts", parts.parts_worth(metrics),
        ),
        Section(
            "front", "Accuracy against energy",
            "Up and to the left is better; the dotted line joins methods that none beats in both.",
            "plot", _plot(scatter(metrics), "scatter"),
        ),
        Section(
            "timeline", "Timeline",
            f"Sequence {log.sequence}, {POLYMORPH}. Drag to zoom all rows, double-click to see "
            "the whole. Power is each frame's energy over the time until the next.",
            "plot", _plot(timeline(log, joined), "timeline-plot"),
        ),
        Section(
            "labels", "Labels",
            "Average precision of labels that have positives. The legend shows and hides methods.",
            "plot", _plot(label_bars(metrics), "label-bars"),
        ),
        Section("stages", "Stages", f"Seconds of each stage of {first.method}.",
                "stages", parts.stages(first)),
        Section("run", "What this run was", "", "facts", parts.facts(summary, metrics)),
        Section("left-out", "Left out and assumed", "", "list", parts.left_out(summary)),
    ]  # fmt: skip


def _chosen(logs: Sequence[FrameLog], sequence: str) -> FrameLog:
    """The named sequence, or the one with the most changes of labels and adapters."""
    for log in logs:
        if log.sequence == sequence:
            return log
    return max(logs, key=lambda log: int(abs(log.active[1:] ^ log.active[:-1]).sum()))


def _plot(figure: go.Figure, name: str) -> str:
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=_CONFIG)
    return html

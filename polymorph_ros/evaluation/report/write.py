"""Everything that people look at: the page, plots, a Markdown table."""

from __future__ import annotations

from pathlib import Path

from polymorph_ros.evaluation.report.page import write_page
from polymorph_ros.evaluation.report.paper import write_plots
from polymorph_ros.evaluation.session import Outcome
from polymorph_ros.evaluation.tables import markdown


def write_report(outcome: Outcome, folder: Path, sequence: str = "") -> None:
    """Write ``report.html``, ``table.md`` and ``plots/`` into the run's folder.

    Args:
        sequence: the one of the timeline; without a name, the one in which most happens.
    """
    write_page(outcome, folder / "report.html", sequence)
    write_plots(outcome.metrics, folder / "plots")
    (folder / "table.md").write_text(markdown(outcome.metrics), encoding="utf-8")

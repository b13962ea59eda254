"""The live view of a run, and the table at its end."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from polymorph_ros.ros.demo.summary import Summary
from polymorph_ros.ros.harness.listener import Answer, NodeOutput
from polymorph_ros.ros.harness.run import Progress

_LABELS_SHOWN = 12
_RECENT = 50
_BAR_WIDTH = 10


def say_to(console: Console) -> Callable[[str], None]:
    """Print lines on a console, dimmed."""
    return lambda line: console.print(f"[dim]{line}[/dim]")


@contextmanager
def live_screen(console: Console, total: int, *, shown: bool) -> Iterator[Progress]:
    """A function that shows the live view, at its first call and after; or nothing.

    Args:
        console: where to.
        total: images of the recording.
        shown: False to show nothing.
    """
    screen = Live(console=console, auto_refresh=False)

    def show(node: NodeOutput, published: int) -> None:
        if shown:
            screen.start()  # does nothing once it is started
            screen.update(live_view(node, published, total), refresh=True)

    try:
        yield show
    finally:
        screen.stop()


def live_view(node: NodeOutput, published: int, total: int) -> RenderableType:
    """Labels with their scores beside the metrics of the last frames.

    Args:
        node: what the node has published so far.
        published: images sent so far.
        total: images of the recording.
    """
    answers = list(node.answers.values())
    view = Table.grid(padding=(0, 1))
    view.add_row(_labels(answers[-1] if answers else None), _metrics(node, answers, published))
    progress = Text.assemble(("polymorph", "bold"), f"   {published} of {total} images played")
    return Panel(Group(progress, "", view), box=box.ROUNDED, border_style="cyan", expand=False)


def closing_view(summary: Summary) -> RenderableType:
    """The summary as a table."""
    table = _two_columns()
    counts = f"{summary.answered} answered, {summary.dropped} dropped for newer ones"
    latency = f"p50 {_ms(summary.latency_p50_s)}, p95 {_ms(summary.latency_p95_s)}"
    energy = f"{_joules(summary.joules_per_frame)} per frame ({summary.energy_source})"
    table.add_row("recording", summary.recording)
    table.add_row("frames", f"{summary.published} published, {summary.received} received")
    table.add_row("", counts)
    table.add_row("mean AP", _accuracy(summary))
    table.add_row("latency", latency)
    table.add_row("adapters", f"{_number(summary.adapters_per_frame)} per frame")
    table.add_row("energy", energy)
    if not summary.faults:
        return Group(table, Text("every frame is accounted for", style="bold green"))
    return Group(table, *[Text(fault, style="bold red") for fault in summary.faults])


def _accuracy(summary: Summary) -> str:
    if summary.mean_ap is None:
        return "this bag has no truth"
    floor = summary.mean_ap_floor
    stated = f", the bundle's floor is {floor:.3f}" if floor is not None else ""
    return f"{summary.mean_ap:.3f} over {summary.scored_labels} labels{stated}"


def _labels(answer: Answer | None) -> Table:
    """The labels with the best scores."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("label", min_width=12, no_wrap=True)
    table.add_column("", width=_BAR_WIDTH)
    table.add_column("score", justify="right", min_width=5, no_wrap=True)
    scores = answer.scores if answer else {}
    active = frozenset(answer.active) if answer else frozenset()
    best = sorted(scores, key=lambda label: scores[label], reverse=True)[:_LABELS_SHOWN]
    for label in best:
        style = "bold green" if label in active else "dim"
        bar = ProgressBar(
            total=1.0, completed=scores[label], width=_BAR_WIDTH,
            complete_style="green" if label in active else "grey50",
            finished_style="green",
        )  # fmt: skip
        table.add_row(Text(label, style=style), bar, Text(f"{scores[label]:.2f}", style=style))
    for _ in range(_LABELS_SHOWN - len(best)):
        table.add_row("", "", "")
    return table


def _metrics(node: NodeOutput, answers: list[Answer], published: int) -> Table:
    """Counts, latency, adapters and energy."""
    table = _two_columns()
    last = answers[-1].stamp_ns if answers else 0
    recent = [answer.latency_s for answer in answers[-_RECENT:]]
    report = node.energy.get(last)
    table.add_row("published", str(published))
    table.add_row("answered", str(len(answers)))
    table.add_row("dropped", str(node.camera.dropped))
    table.add_row("lost", str(node.camera.lost))
    table.add_row("latency", _ms(statistics.median(recent) if recent else None))
    table.add_row("adapters", "\n".join(node.adapters.get(last, ())) or "none")
    table.add_row("joules per frame", _joules(report.joules if report else None))
    table.add_row("energy source", report.source if report else "-")
    table.add_row("mean power", f"{report.mean_watts:.2f} W" if report else "-")
    return table


def _two_columns() -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(min_width=16)
    return table


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.1f} ms"


def _joules(joules: float | None) -> str:
    return "-" if joules is None else f"{joules:.3f} J"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

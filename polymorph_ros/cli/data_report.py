"""What ``polymorph data check`` says: as tables for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.picture_survey import PictureSurvey
from polymorph_ros.data.survey import LabelSurvey, Survey
from polymorph_ros.files import write_json

_STRONG_LIFT = 1.1

Rows = Sequence[tuple[str, ...]]


def print_report(
    console: Console,
    path: Path,
    dataset: Dataset,
    seen: Survey,
    opened: PictureSurvey | None,
    few: int,
    rows: int | None,
) -> None:
    """Print a summary, and tables of at most ``rows`` rows (None: all)."""
    console.print(f"[bold]{escape(str(path))}[/bold]", highlight=False)
    console.print(_summary(seen, opened))
    for assumption in dataset.assumptions:
        console.print(f"[yellow]assumed:[/yellow] {escape(assumption)}", highlight=False)
    for remark in opened.remarks if opened else ():
        console.print(f"[yellow]noticed:[/yellow] {escape(remark)}", highlight=False)
    faults = all_faults(dataset, opened)
    columns: tuple[str, ...] = ("sequence", "frames", "seconds", "labels", "not readable", "clock")
    _print_table(console, columns, _sequences(dataset, opened), rows)
    columns = ("label", "frames", "of known", "sequences", "stays", "unknown")
    _print_table(console, columns, _labels(seen), rows)
    columns = ("strongest pairs", "", "lift", "frames")
    _print_table(console, columns, _pairs(seen), rows, left=2)
    columns = ("too few examples", "why")
    _print_table(console, columns, _too_few_rows(seen, few), rows, left=2)
    columns = ("left out", "why")
    _print_table(console, columns, _fault_rows(faults, path), rows, left=2)
    if opened is None:
        console.print("[dim]pictures were not opened[/dim]")
    elif not faults:
        console.print("[green]all rows and pictures can be read[/green]")


def write_report(
    file: Path,
    path: Path,
    dataset: Dataset,
    seen: Survey,
    opened: PictureSurvey | None,
    few: int,
) -> None:
    """Write everything as one JSON object; the file appears whole or not at all.

    Raises:
        PolymorphError: it cannot be written.
    """
    readable = opened.readable if opened else [None] * len(dataset.sequences)
    report: dict[str, Any] = {
        "path": str(path),
        **asdict(seen),
        "sequences": [
            {
                "name": track.name,
                "frames": len(track.stamps_s),
                "seconds": float(track.stamps_s[-1] - track.stamps_s[0]),
                "readable": count,
                "clock": sequence.clock.summary() if sequence.clock else None,
            }
            for sequence, count in zip(dataset.sequences, readable, strict=True)
            for track in (sequence.track,)
        ],
        "readable": sum(opened.readable) if opened else None,
        "picture_sizes": [
            {"width": width, "height": height, "frames": frames}
            for (width, height), frames in (opened.sizes if opened else {}).items()
        ],
        "too_few": [
            {"label": label.name, "reason": reason} for label, reason in too_few(seen, few)
        ],
        "assumptions": list(dataset.assumptions),
        "remarks": list(opened.remarks) if opened else [],
        "faults": [asdict(fault) for fault in all_faults(dataset, opened)],
    }
    write_json(file, report)


def all_faults(dataset: Dataset, opened: PictureSurvey | None) -> tuple[Fault, ...]:
    """Of the labels and of the pictures."""
    return (*dataset.faults, *(opened.faults if opened else ()))


def too_few(seen: Survey, few: int) -> list[tuple[LabelSurvey, str]]:
    """The labels that can hardly be learned or checked, and why."""
    poor = []
    for label in seen.labels:
        if label.present < few:
            poor.append((label, f"in {label.present:,} frames only"))
        elif not label.absent:
            poor.append((label, "never known to be absent"))
        elif label.absent < few:
            poor.append((label, f"known to be absent in {label.absent:,} frames only"))
        elif label.sequences == 1 < seen.sequences:
            poor.append((label, "in one sequence only: no other is left to check it"))
    return poor


def _summary(seen: Survey, opened: PictureSurvey | None) -> Table:
    table = Table.grid(padding=(0, 2))
    rate = f"at {seen.hz:.3g} Hz" if seen.hz else "single frames"
    table.add_row("sequences", f"{seen.sequences:,}")
    table.add_row("frames", f"{seen.frames:,}, {_time(seen.seconds)} {rate}")
    if opened:
        sizes = [f"{width}x{height}" for width, height in opened.sizes]
        more = f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""
        table.add_row(
            "pictures", f"{sum(opened.readable):,} readable, {', '.join(sizes[:3])}{more}"
        )
    table.add_row(
        "labels",
        f"{len(seen.labels):,}, {seen.labels_per_frame:.2f} per frame (at most "
        f"{seen.most_labels}), {seen.empty_share:.1%} of frames have none",
    )
    if seen.unknown_share:
        table.add_row("unknown", f"{seen.unknown_share:.1%} of all (frame, label)")
    table.add_row(
        "continuity",
        f"{seen.jaccard:.3f} (Jaccard of neighbouring frames); a label stays "
        f"{seen.mean_run_s:.3g} s",
    )
    return table


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _sequences(dataset: Dataset, opened: PictureSurvey | None) -> Rows:
    rows = []
    for index, sequence in enumerate(dataset.sequences):
        track = sequence.track
        frames = len(track.stamps_s)
        lost = frames - opened.readable[index] if opened else 0
        rows.append(
            (
                escape(track.name),
                f"{frames:,}",
                f"{track.stamps_s[-1] - track.stamps_s[0]:.1f}",
                str(int((track.truth == 1).any(axis=0).sum())),
                f"[red]{lost:,}[/red]" if lost else "" if opened else "?",
                str(sequence.clock or ""),
            )
        )
    return rows


def _labels(seen: Survey) -> Rows:
    rows = []
    for label in sorted(seen.labels, key=lambda label: -label.present):
        known = label.present + label.absent
        rows.append(
            (
                escape(label.name),
                f"{label.present:,}",
                f"{label.present / known:.1%}" if known else "",
                f"{label.sequences:,}",
                f"{label.mean_run_s:.3g} s" if label.present else "",
                f"{1.0 - known / seen.frames:.1%}" if known < seen.frames else "",
            )
        )
    return rows


def _pairs(seen: Survey) -> Rows:
    return [
        (escape(pair.first), escape(pair.second), f"{pair.lift:.2f}", f"{pair.frames:,}")
        for pair in seen.pairs
        if pair.lift >= _STRONG_LIFT
    ]


def _too_few_rows(seen: Survey, few: int) -> Rows:
    poor = sorted(too_few(seen, few), key=lambda one: one[0].present)
    return [(escape(label.name), reason) for label, reason in poor]


def _fault_rows(faults: tuple[Fault, ...], path: Path) -> Rows:
    folder = f"{path if path.is_dir() else path.parent}/"
    return [
        (f"[red]{escape(fault.where.removeprefix(folder))}[/red]", escape(fault.reason))
        for fault in faults
    ]


def _print_table(
    console: Console, columns: tuple[str, ...], rows: Rows, limit: int | None, left: int = 1
) -> None:
    """Print a table whose first columns are text; of a long one the beginning."""
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold cyan")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", overflow="fold")
    shown = rows if limit is None else rows[:limit]
    for row in shown:
        table.add_row(*row)
    console.print()
    console.print(table)
    if len(shown) < len(rows):
        console.print(f"[dim]and {len(rows) - len(shown):,} more (--all shows them)[/dim]")

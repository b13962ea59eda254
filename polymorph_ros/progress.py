"""The progress bar of all long work; where there is no terminal, a line every few seconds."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_EVERY_S = 5.0
_LINE = re.compile(r"(?P<stage>.+): (?P<done>\d+) of (?P<total>\d+)$")


def progress_bar() -> Progress:
    """A bar with count, time and remaining time; each task needs a field ``note``."""
    return _LinesOrBar(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )


class StageProgress(NamedTuple):
    """How far a stage is, as a line of its output says."""

    stage: str
    done: int
    total: int


def read_progress(line: str) -> StageProgress | None:
    """What a line that stands for a bar says; None for any other line.

    >>> read_progress("adapter kitchen: 40 of 200")
    StageProgress(stage='adapter kitchen', done=40, total=200)
    """
    found = _LINE.match(line)
    return StageProgress(found["stage"], int(found["done"]), int(found["total"])) if found else None


class _LinesOrBar(Progress):
    """A bar in a terminal. Elsewhere that would be seen at its end only, so lines say how far."""

    _printed_s = 0.0

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As of the bar; a line if the last one is a while ago, and at the end."""
        super().update(task_id, **changes)
        now_s, task = time.monotonic(), self._tasks[task_id]
        if self.console.is_terminal or not task.total:
            return
        if task.finished or now_s - self._printed_s >= _EVERY_S:
            self._printed_s = now_s
            line = f"{task.description}: {task.completed:.0f} of {task.total:.0f}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

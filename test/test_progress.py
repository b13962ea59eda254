"""Pins that progress is seen where there is no terminal: lines that say how far each stage is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.progress import StageProgress, progress_bar, read_progress


def test_without_a_terminal_lines_say_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as bars:
        task = bars.add_task("adapter kitchen: cups", total=3, note="")
        for _ in range(3):
            bars.update(task, advance=1, note="loss 0.1")

    lines = [read_progress(line) for line in capsys.readouterr().out.splitlines()]
    found = [line for line in lines if line is not None]
    assert found[0] == StageProgress("adapter kitchen: cups", 1, 3)
    assert found[-1] == StageProgress("adapter kitchen: cups", 3, 3)


@given(st.text(max_size=40))
def test_any_line_is_read(line: str) -> None:
    found = read_progress(line)

    assert found is None or f"{found.stage}: " in line

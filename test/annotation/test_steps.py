"""Pins what each step does to the rows, that undo and redo are exact, and what is proposed between
two labelled frames.
"""

from __future__ import annotations

import numpy as np
import pytest

from polymorph_ros.annotation import edits
from polymorph_ros.annotation.book import NOTHING, LabelBook, Row
from polymorph_ros.annotation.proposals import Proposal, find_proposals
from polymorph_ros.annotation.vision import Look
from polymorph_ros.errors import PolymorphError

CUP, BOX, JUG = 0b001, 0b010, 0b100


def book() -> LabelBook:
    return LabelBook(["cup", "box", "jug"], 0b111)


def test_accepting_judges_what_was_asked_and_leaves_the_rest() -> None:
    rows = book()
    edits.accept(rows, (0, 3), present=CUP, unknown=BOX, judged=CUP | BOX | JUG)
    edits.accept(rows, (0, 4), present=CUP, unknown=0, judged=CUP | BOX)

    assert rows.rows[0, 3] == Row(CUP, JUG)
    assert rows.rows[0, 4] == Row(CUP, BOX)
    assert (rows.present, rows.absent) == ([2, 0, 0], [0, 1, 1])


def test_painting_holds_for_all_frames_and_keeps_the_rest() -> None:
    rows = book()
    edits.accept(rows, (0, 2), present=BOX, unknown=0, judged=0b111)

    edits.paint(rows, 0, range(1, 4), 0, "present")

    assert rows.rows == {(0, 1): Row(CUP, 0), (0, 2): Row(CUP | BOX, JUG), (0, 3): Row(CUP, 0)}


def test_a_gap_is_filled_with_what_both_ends_agree_on() -> None:
    rows = book()
    edits.accept(rows, (0, 0), present=CUP | BOX, unknown=0, judged=0b111)
    edits.accept(rows, (0, 4), present=CUP, unknown=0, judged=0b111)
    edits.set_label(rows, (0, 2), 0, "absent")

    edits.fill(rows, 0, 0, 4)

    assert rows.rows[0, 1] == Row(CUP, JUG)
    assert rows.rows[0, 2] == Row(0, CUP | JUG)


def test_settling_leaves_frames_of_which_nothing_can_be_said() -> None:
    rows = book()
    edits.set_label(rows, (0, 0), 0, "present")
    edits.unknown_frame(rows, (0, 1))

    edits.settle(rows, 1)

    assert rows.rows == {(0, 0): Row(CUP, BOX), (0, 1): NOTHING}


def test_undo_and_redo_walk_through_all_steps_exactly() -> None:
    rows = book()
    seen = [(dict(rows.rows), list(rows.names), list(rows.present), list(rows.absent))]
    steps = [
        lambda: edits.set_label(rows, (0, 0), 1, "present"),
        lambda: edits.add_label(rows, "mug"),
        lambda: edits.paint(rows, 0, range(9), 3, "absent"),
        lambda: edits.rename_label(rows, 3, "beaker"),
        lambda: edits.clear(rows, (0, 0)),
    ]
    for step in steps:
        step()
        seen.append((dict(rows.rows), list(rows.names), list(rows.present), list(rows.absent)))

    for before in reversed(seen[:-1]):
        assert rows.undo() is not None
        assert (rows.rows, rows.names, rows.present, rows.absent) == before
    for after in seen[1:]:
        assert rows.redo() is not None
        assert (rows.rows, rows.names, rows.present, rows.absent) == after
    assert rows.redo() is None


def test_a_step_that_changes_nothing_is_none() -> None:
    rows = book()
    edits.set_label(rows, (0, 0), 1, "present")
    version = rows.version

    edits.set_label(rows, (0, 0), 1, "present")

    assert rows.version == version


@pytest.mark.parametrize("name", ["", "  ", "a|b", "a,b", "a;b", "[a]", "x" * 101, "cup", "\x07"])
def test_names_that_a_table_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(PolymorphError):
        edits.add_label(book(), name)


def _look(*features: float) -> Look:
    return Look(np.array(features, np.float32), np.empty(0, np.float32), (), 1.0, False)


def test_only_agreeing_ends_that_look_alike_propose_what_is_between() -> None:
    rows = book()
    for frame, present in ((0, CUP | BOX), (10, CUP), (20, CUP), (30, BOX)):
        edits.accept(rows, (0, frame), present=present, unknown=0, judged=0b111)
    same, other = _look(1.0, 0.0), _look(0.0, 1.0)

    found, missing = find_proposals(rows, 0, lambda key: same if key[1] != 15 else other, 0.5)

    assert found == [Proposal(0, 10, CUP)]
    assert missing == []


def test_frames_that_were_not_looked_at_are_asked_for_first() -> None:
    rows = book()
    for frame in (0, 8):
        edits.set_label(rows, (0, frame), 0, "present")

    found, missing = find_proposals(rows, 0, lambda key: None, 0.5)

    assert found == []
    assert missing == [(0, 0), (0, 2), (0, 4), (0, 6), (0, 8)]

"""The steps that a person takes: each makes rows of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from polymorph_ros.annotation.book import NOTHING, Change, FrameKey, LabelBook, Row, sound_name

State = Literal["present", "absent", "unknown"]
STATES: tuple[State, ...] = ("present", "absent", "unknown")


def accept(book: LabelBook, key: FrameKey, present: int, unknown: int, judged: int) -> Change:
    """Say of a frame: these labels are there, these I cannot tell, the other judged ones are not.

    Args:
        book: what changes.
        key: the frame.
        present, unknown: bit sets of labels.
        judged: bit set of the labels that the answer is about; of others the row stays as it is.
    """
    old = book.rows.get(key, NOTHING)
    judged |= present | unknown
    row = Row(
        (old.present & ~judged) | present,
        (old.absent & ~judged) | (judged & ~present & ~unknown),
    )
    return book.make("accepting a frame", {key: row})


def set_label(book: LabelBook, key: FrameKey, label: int, state: State) -> Change:
    """Set one label of a frame; what was unknown of the others stays so."""
    return _set(book, [key], label, state, f"{state}: {book.names[label]}")


def paint(book: LabelBook, recording: int, frames: range, label: int, state: State) -> Change:
    """Set one label in all frames of a span."""
    what = f"{state} in {len(frames)} frames: {book.names[label]}"
    return _set(book, [(recording, frame) for frame in frames], label, state, what)


def _set(book: LabelBook, keys: Iterable[FrameKey], label: int, state: State, what: str) -> Change:
    bit = 1 << label
    rows: dict[FrameKey, Row | None] = {}
    for key in keys:
        old = book.rows.get(key)
        if old is None and state == "unknown":
            continue  # nothing is known of it anyway
        present, absent = old or NOTHING
        rows[key] = Row(
            present | bit if state == "present" else present & ~bit,
            absent | bit if state == "absent" else absent & ~bit,
        )
    return book.make(what, rows)


def unknown_frame(book: LabelBook, key: FrameKey) -> Change:
    """Say that nothing can be said of a frame."""
    return book.make("unknown: the whole frame", {key: NOTHING})


def clear(book: LabelBook, key: FrameKey) -> Change:
    """Take a frame out of the table."""
    return book.make("clearing a frame", {key: None})


def fill(book: LabelBook, recording: int, start: int, end: int) -> Change:
    """Give the frames between two labelled ones what both agree on.

    What a frame between already says stays.

    Args:
        book: what changes.
        recording: its number.
        start, end: the labelled frames.
    """
    first = book.rows.get((recording, start), NOTHING)
    last = book.rows.get((recording, end), NOTHING)
    present, absent = first.present & last.present, first.absent & last.absent
    rows: dict[FrameKey, Row | None] = {}
    for frame in range(start + 1, end):
        old = book.rows.get((recording, frame), NOTHING)
        free = ~old.judged
        row = Row(old.present | (present & free), old.absent | (absent & free))
        if row.judged:
            rows[recording, frame] = row
    return book.make(f"filling {len(rows)} frames", rows)


def settle(book: LabelBook, label: int) -> Change:
    """Say that a label is absent in every labelled frame in which it is unknown."""
    bit = 1 << label
    rows: dict[FrameKey, Row | None] = {
        key: Row(row.present, row.absent | bit)
        for key, row in book.rows.items()
        if not row.judged & bit and row.judged
    }
    return book.make(f"absent elsewhere: {book.names[label]}", rows)


def add_label(book: LabelBook, name: str) -> Change:
    """Add a label; it is unknown in all rows that are there.

    Raises:
        PolymorphError: the name is taken, or a table cannot hold it.
    """
    clean = sound_name(name, book.names)
    return book.make(f"new label: {clean}", {}, [*book.names, clean])


def rename_label(book: LabelBook, label: int, name: str) -> Change:
    """Give a label another name.

    Raises:
        PolymorphError: the name is taken, or a table cannot hold it.
    """
    clean = sound_name(name, book.names)
    names = list(book.names)
    names[label] = clean
    return book.make(f"new name: {clean}", {}, names)

"""One labelling session: the rows, the table on disk, and what watches over both.

Every change is in the file before it is answered. A change names the version that it was made
on; one from a page that has not seen the last change (a second tab) is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from polymorph_ros.annotation import edits
from polymorph_ros.annotation.book import Change, FrameKey, LabelBook, Row, bits_of, labels_in
from polymorph_ros.annotation.footage import Footage
from polymorph_ros.annotation.table import TableFile
from polymorph_ros.errors import PolymorphError

ENOUGH = 20
"""Frames with a label, and without it, from which ``polymorph data check`` no longer names it."""

Document = dict[str, Any]


class StaleVersionError(PolymorphError):
    """A change was made on rows that another page has changed since."""


@dataclass(frozen=True)
class Desk:
    """The session's state; one change at a time.

    Attributes:
        footage: whose frames are labelled.
        table: where the rows are kept.
        book: the rows.
        lock: held while they change.
    """

    footage: Footage
    table: TableFile
    book: LabelBook
    lock: threading.RLock

    @classmethod
    def of(cls, footage: Footage, table: TableFile, book: LabelBook) -> Desk:
        """A session at its beginning."""
        return cls(footage, table, book, threading.RLock())

    def labelled(self) -> set[FrameKey]:
        """The frames that have a row."""
        with self.lock:
            return set(self.book.rows)

    def change(self, request: Document) -> Document:
        """Make a change, save it, and say what the page has to know of it.

        Raises:
            StaleVersionError: another page has changed something.
            PolymorphError: the request makes no sense, or the table cannot be written: then
                nothing has changed.
        """
        with self.lock:
            version = request.get("version")
            if version != self.book.version:
                raise StaleVersionError(
                    f"version {self.book.version} of the labels", f"version {version}",
                    remedy="another page changed them: they are read anew",
                )  # fmt: skip
            before = self.book.snapshot()
            change = self._step(request)
            if change is None or self.book.version == version:
                return self._answer(())
            try:
                self.table.save(self.book)
            except PolymorphError:
                undone = request.get("action") == "undo"
                self.book.restore(before, change.after if undone else change.before)
                raise
            return self._answer(change.after)

    def _step(self, request: Document) -> Change | None:
        action = request.get("action")
        if action == "undo":
            return self.book.undo()
        if action == "redo":
            return self.book.redo()
        step = _STEPS.get(str(action))
        if step is None:
            raise PolymorphError(f"an action out of {', '.join(_STEPS)}", repr(action))
        return step(_Arguments(request, self.footage, self.book))

    def _answer(self, keys: Iterable[FrameKey]) -> Document:
        rows = [(key, self.book.rows.get(key)) for key in sorted(keys)]
        return {**self.summary(), "runs": _runs(rows)}

    def state(self) -> Document:
        """All that a page needs at its beginning."""
        with self.lock:
            clips = [
                {
                    "name": clip.name,
                    "frames": len(clip),
                    "stamps": _stamps(clip.pictures.stamps_ns),
                }
                for clip in self.footage.clips
            ]
            rows = [(key, self.book.rows[key]) for key in sorted(self.book.rows)]
            return {
                **self.summary(),
                "clips": clips,
                "runs": _runs(rows),
                "table": str(self.table.path),
                "enough": ENOUGH,
                "gone": [_told(row) for row in self.table.gone],
                "faults": [f"{fault.where}: {fault.reason}" for fault in self.footage.faults],
            }

    def summary(self) -> Document:
        """Version, labels and their counts, and what can be undone."""
        book = self.book
        in_table = set(labels_in(book.in_table))
        labels = [
            {
                "name": name,
                "inTable": number in in_table,
                "present": book.present[number],
                "absent": book.absent[number],
            }
            for number, name in enumerate(book.names)
        ]
        return {
            "version": book.version,
            "labels": labels,
            "labelled": len(book.rows),
            "undo": book.undoable,
            "redo": book.redoable,
        }


def _stamps(stamps_ns: Any) -> Document:
    """Stamps from the first on, in whole milliseconds: what a time strip needs."""
    first = int(stamps_ns[0])
    return {"first": first / 1e9, "ms": ((stamps_ns - first) // 1_000_000).tolist()}


def _runs(rows: Sequence[tuple[FrameKey, Row | None]]) -> list[list[Any]]:
    """Neighbouring frames with equal rows as one: clip, first, last, present, absent (or null)."""
    runs: list[list[Any]] = []
    numbered = enumerate(rows)
    for (clip, _, row), members in groupby(
        numbered, lambda item: (item[1][0][0], item[1][0][1] - item[0], item[1][1])
    ):
        frames = [member[1][0][1] for member in members]
        bits = None if row is None else [labels_in(row.present), labels_in(row.absent)]
        runs.append([clip, frames[0], frames[-1], bits])
    return runs


def _told(row: Any) -> str:
    place = row.file or f"{row.sequence} at {row.stamp_s} s"
    return f"{place}: {', '.join(row.present) or 'no label'}"


class _Arguments:
    """What a request says, checked."""

    def __init__(self, request: Document, footage: Footage, book: LabelBook) -> None:
        self._request, self._footage, self.book = request, footage, book

    @property
    def clip(self) -> int:
        return self._number("clip", len(self._footage.clips))

    def frame(self, name: str = "frame") -> int:
        return self._number(name, len(self._footage.clips[self.clip]))

    @property
    def key(self) -> FrameKey:
        return self.clip, self.frame()

    @property
    def label(self) -> int:
        return self._number("label", len(self.book.names))

    def labels(self, name: str) -> int:
        given = self._request.get(name)
        known = range(len(self.book.names))
        if not isinstance(given, list) or any(type(n) is not int or n not in known for n in given):
            raise PolymorphError("numbers of labels", repr(given)[:80], where=name)
        return bits_of(set(given))

    @property
    def state(self) -> edits.State:
        given = self._request.get("state")
        for state in edits.STATES:
            if given == state:
                return state
        raise PolymorphError(" or ".join(edits.STATES), repr(given)[:80], where="state")

    @property
    def name(self) -> str:
        given = self._request.get("name")
        if not isinstance(given, str):
            raise PolymorphError("a name", repr(given)[:80], where="name")
        return given

    def _number(self, name: str, count: int) -> int:
        given = self._request.get(name)
        if type(given) is not int or not 0 <= given < count:
            raise PolymorphError(f"a number from 0 to {count - 1}", repr(given)[:80], where=name)
        return given


def _accept(said: _Arguments) -> Change:
    present, unknown = said.labels("present"), said.labels("unknown")
    if present & unknown:
        raise PolymorphError("a label as present or as unknown", "one as both")
    return edits.accept(said.book, said.key, present, unknown, said.labels("judged"))


def _paint(said: _Arguments) -> Change:
    ends = sorted((said.frame("start"), said.frame("end")))
    frames = range(ends[0], ends[1] + 1)
    return edits.paint(said.book, said.clip, frames, said.label, said.state)


_STEPS: dict[str, Callable[[_Arguments], Change]] = {
    "accept": _accept,
    "set": lambda said: edits.set_label(said.book, said.key, said.label, said.state),
    "unknown": lambda said: edits.unknown_frame(said.book, said.key),
    "clear": lambda said: edits.clear(said.book, said.key),
    "paint": _paint,
    "fill": lambda said: edits.fill(said.book, said.clip, said.frame("start"), said.frame("end")),
    "settle": lambda said: edits.settle(said.book, said.label),
    "add_label": lambda said: edits.add_label(said.book, said.name),
    "rename_label": lambda said: edits.rename_label(said.book, said.label, said.name),
}

"""The CSV that training reads, as the place where labels are kept: read once, written each time.

Rows that name frames which are gone stay in the file as they were.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path, PurePath

import numpy as np

from polymorph_ros.annotation.book import FrameKey, LabelBook, Row, labels_in
from polymorph_ros.annotation.footage import Clip, Footage
from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.joining import nearest_index, placed
from polymorph_ros.data.label_csv import SEPARATOR, LabelRow, LabelTable, read_label_csv
from polymorph_ros.data.open_dataset import DEFAULT_TOLERANCE_S
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import cannot_write, replacing, write_json

_Columns = tuple[str, ...]
_BY_FILE: _Columns = ("file", "labels", "unknown")
_BY_STAMP: _Columns = ("sequence", "stamp", "labels", "unknown")
_NAMES_FILE = "labels.json"  # labels that were typed, and that no row names yet


@dataclass
class TableFile:
    """A label table on disk, and which frame each of its rows is about.

    Attributes:
        path: the CSV.
        footage: whose frames it labels.
        columns: of the file.
        gone: rows whose frame is not there (or has two rows), as they were read.
    """

    path: Path
    footage: Footage
    columns: _Columns
    gone: tuple[LabelRow, ...] = ()
    _stored: tuple[int, int] | None = field(default=None, repr=False)

    @property
    def cache(self) -> Path:
        """The hidden folder beside the table for what can be computed again."""
        return self.path.with_name(f".{self.path.stem}.polymorph")

    def save(self, book: LabelBook) -> None:
        """Write all rows, whole or not at all.

        Raises:
            PolymorphError: it cannot be written, or another program wrote to it meanwhile.
        """
        if _fingerprint(self.path) != self._stored:
            raise PolymorphError(
                "the table as it was written here", "one that another program changed",
                where=str(self.path), remedy="close this page and start it again to read it anew",
            )  # fmt: skip
        with replacing(self.path) as unfinished:
            unfinished.write_text("".join(self._lines(book)), encoding="utf-8", newline="")
        self._stored = _fingerprint(self.path)
        typed = [book.names[label] for label in labels_in(book.in_table)]
        if typed != self._typed():
            write_json(self.cache / _NAMES_FILE, typed)

    def _typed(self) -> list[str]:
        try:
            names = json.loads((self.cache / _NAMES_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        sound = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return names if sound else []

    def _lines(self, book: LabelBook) -> Iterator[str]:
        yield _csv_line(self.columns)

        @cache
        def cells(row: Row) -> tuple[str, str]:
            unknown = book.in_table & ~row.judged
            present, unsure = (
                SEPARATOR.join(book.names[label] for label in labels_in(bits))
                for bits in (row.present, unknown)
            )
            return _cell(present), _cell(unsure)

        for key in sorted(book.rows):
            present, unknown = cells(book.rows[key])
            own = {"labels": present, "unknown": unknown, **self._place(key)}
            yield ",".join(own[column] for column in self.columns) + "\r\n"
        for row in self.gone:
            yield _csv_line([_text_of(row, column) for column in self.columns])

    def _place(self, key: FrameKey) -> dict[str, str]:
        clip, number = self.footage.clips[key[0]], key[1]
        cells = {}
        if "file" in self.columns:
            cells["file"] = _cell(self.footage.file_text(clip, number))
        if "sequence" in self.columns:
            cells["sequence"] = _cell(clip.name)
        if "stamp" in self.columns:
            cells["stamp"] = clip.stamp_text(number)
        return cells


def open_table(path: Path, footage: Footage) -> tuple[TableFile, LabelBook]:
    """Read a table, or begin one; its folder is tried before any work starts.

    Raises:
        PolymorphError: its folder cannot be written, a line of it cannot be understood (a file
            that is written anew would lose it), or it names files where there are none.
    """
    columns = _BY_FILE if footage.names_files else _BY_STAMP
    table = TableFile(path, footage, columns)
    _try_writing(table)
    book = LabelBook([])
    if path.is_file() and _has_rows(path):
        read = read_label_csv(path)
        _check(read, footage)
        places = [one for one in ("sequence", "stamp", "file") if one in read.columns]
        table.columns = (*places, "labels", "unknown")
        book, gone = _book_of(read, footage)
        table.gone = tuple(gone)
    new = [name for name in table._typed() if name not in book.names]
    names = [*book.names, *new]
    book = LabelBook(names, (1 << len(names)) - 1, book.rows)
    table._stored = _fingerprint(path)
    return table, book


def _try_writing(table: TableFile) -> None:
    probe = table.cache / ".probe"
    try:
        table.cache.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
        if table.path.exists() and not os.access(table.path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        with replacing(table.path.with_name(f".{table.path.stem}.probe")) as unfinished:
            unfinished.write_bytes(b"")
        table.path.with_name(f".{table.path.stem}.probe").unlink()
    except OSError as error:
        raise cannot_write(table.path.parent, error) from None


def _has_rows(path: Path) -> bool:
    """Whether there is more than a first line, which is all that a table without labels has."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    lines = [line for line in head.splitlines() if line.strip()]
    return len(lines) > 1


def _check(read: LabelTable, footage: Footage) -> None:
    if read.faults:
        fault = read.faults[0]
        raise PolymorphError(
            "rows that can be understood", fault.reason, where=fault.where,
            remedy="mend this line, or name another table with --labels",
        )  # fmt: skip
    if "file" in read.columns and not footage.names_files:
        raise PolymorphError(
            "a table with the columns sequence,stamp,labels", "one that names picture files",
            where=str(read.path), remedy="name another table with --labels",
        )  # fmt: skip


def _book_of(read: LabelTable, footage: Footage) -> tuple[LabelBook, list[LabelRow]]:
    """The rows by frame, and those whose frame is not there."""
    names = list(dict.fromkeys(name for row in read.rows for name in (*row.present, *row.unknown)))
    bits = {name: 1 << number for number, name in enumerate(names)}
    everything = (1 << len(names)) - 1
    rows: dict[FrameKey, Row] = {}
    gone: list[LabelRow] = []
    by_file = "file" in read.columns
    found = _by_file(read, footage) if by_file else _by_stamp(read, footage)
    for row, key in zip(read.rows, found, strict=True):
        if key is None or key in rows:
            gone.append(row)
            continue
        present = sum(bits[name] for name in row.present)
        unknown = sum(bits[name] for name in row.unknown)
        rows[key] = Row(present, everything & ~present & ~unknown)
    return LabelBook(names, everything, rows), gone


def _by_file(read: LabelTable, footage: Footage) -> list[FrameKey | None]:
    places = {
        footage.file_text(clip, number): (index, number)
        for index, clip in enumerate(footage.clips)
        for number in range(len(clip))
    }
    return [places.get(PurePath(row.file).as_posix()) for row in read.rows]


def _by_stamp(read: LabelTable, footage: Footage) -> list[FrameKey | None]:
    names = {row.sequence for row in read.rows}
    only = len(names) == len(footage.clips) == 1  # as training takes it: no name is needed
    found: list[FrameKey | None] = [None] * len(read.rows)
    for index, clip in enumerate(footage.clips):
        own = [n for n, row in enumerate(read.rows) if only or row.sequence == clip.name]
        for place, frame in zip(own, _frames_at(clip, [read.rows[n] for n in own]), strict=True):
            found[place] = None if frame is None else (index, frame)
    return found


def _frames_at(clip: Clip, rows: Sequence[LabelRow]) -> list[int | None]:
    """The frame nearest to each row's stamp, if one is near enough for training to find it."""
    if not rows:
        return []
    told_s = np.array([row.stamp_s for row in rows if row.stamp_s is not None])
    stamps_s, _ = placed(clip.recording, told_s, DEFAULT_TOLERANCE_S)
    frames_s = clip.pictures.stamps_ns / NS_PER_S
    found: list[int | None] = []
    for stamp_s in stamps_s.tolist():
        frame = nearest_index(frames_s, stamp_s)
        near = abs(float(frames_s[frame]) - stamp_s) <= DEFAULT_TOLERANCE_S
        found.append(frame if near else None)
    return found


def _text_of(row: LabelRow, column: str) -> str:
    if column == "stamp":
        return f"{row.stamp_s:.9f}"
    if column in ("labels", "unknown"):
        return SEPARATOR.join(row.present if column == "labels" else row.unknown)
    return row.file if column == "file" else row.sequence


def _csv_line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


@lru_cache(maxsize=4096)
def _cell(text: str) -> str:
    """A cell as CSV writes it; a comma makes the writer see more than one column."""
    return _csv_line([text, ""])[: -len(",\r\n")]


def _fingerprint(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size

"""Label tables: CSV files that say which labels are true in which picture.

The first line names the columns: ``file,labels`` (``sequence`` and ``stamp`` may be added), or
``sequence,stamp,labels`` where the pictures are in a video or a recording; ``sequence`` may be
left out where there is one only. A column ``unknown`` may hold labels that nobody judged in
that row. Labels within a cell are separated by ``|``::

    sequence,stamp,labels,unknown
    kitchen,0.0,oven|mug,
    kitchen,0.5,oven,mug

Instead of ``labels`` there may be a column for each label, with 1, 0, or nothing for unknown.
Every label that a table names anywhere is absent in the rows that do not name it. Several rows of
one picture are put together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.label_columns import (
    SEPARATOR,
    choose_separator,
    name_columns,
    one_hot_value,
    split_labels,
    stamp_of,
    unquote_list,
)
from polymorph_ros.data.label_names import clean_name, spelling_notes
from polymorph_ros.data.stamp_units import MAX_STAMP_S, unit_of_stamps
from polymorph_ros.errors import PolymorphError

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class LabelRow:
    """What one row says.

    Attributes:
        where: the table and its line, for messages.
        present: labels that are there.
        unknown: labels that were not judged.
        file: the picture as written; empty where the table has no such column.
        sequence: empty where the table has no such column.
        stamp_s: seconds; None where the table has no such column.
    """

    where: str
    present: tuple[str, ...]
    unknown: tuple[str, ...]
    file: str
    sequence: str
    stamp_s: float | None


@dataclass(frozen=True)
class LabelTable:
    """A whole table.

    Attributes:
        path: of the file.
        columns: in their order.
        labels: all that it names, in the order of first appearance.
        rows: the sound ones in their order.
        faults: what is wrong with others.
        assumptions: how it was read where it does not say so itself.
    """

    path: Path
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[LabelRow, ...]
    faults: tuple[Fault, ...]
    assumptions: tuple[str, ...]


@dataclass
class _Reader:
    """How the cells of one table are read, and what comes up on the way."""

    of_labels: tuple[str, ...]
    separator: str
    decimal_comma: bool
    per_second: float = 1.0
    spellings: dict[str, None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def row(self, where: str, cells: dict[str, str]) -> LabelRow | str:
        """The row, or what is wrong with it."""
        stamp_s = None
        if "stamp" in cells:
            stamp_s = stamp_of(cells["stamp"], self.decimal_comma) / self.per_second
            if not abs(stamp_s) < MAX_STAMP_S:
                return f"expected a stamp in seconds, found {cells['stamp']!r:.99}"
        for column in ("file", "sequence"):
            if not cells.get(column, "something"):
                return f"expected a {column}, found an empty cell"
        if self.of_labels:
            present, unknown = self._one_hot(where, cells)
        else:
            present, unknown = self._labels(cells["labels"]), self._labels(cells.get("unknown", ""))
        both = sorted(set(present) & set(unknown))
        if both:
            return f"expected a label as present or as unknown, found {both[0]!r} as both"
        return LabelRow(
            where, present, unknown, cells.get("file", ""), cells.get("sequence", ""), stamp_s
        )

    def _labels(self, cell: str) -> tuple[str, ...]:
        written = split_labels(unquote_list(cell), self.separator)
        self.spellings |= dict.fromkeys(written)
        return tuple(dict.fromkeys(map(clean_name, written)))

    def _one_hot(self, where: str, cells: dict[str, str]) -> tuple[tuple[str, ...], ...]:
        values = {label: one_hot_value(cells[label]) for label in self.of_labels}
        for label, value in values.items():
            if value is None:
                reason = f"{label} is unknown: expected 0 or 1, found {cells[label]!r:.99}"
                self.faults.append(Fault(where, reason))
        return (
            tuple(label for label, value in values.items() if value == 1),
            tuple(label for label, value in values.items() if value in (-1, None)),
        )


def read_label_csv(path: Path, separator: str = SEPARATOR) -> LabelTable:
    """Read a label table: UTF-8 (or UTF-16 with its mark), with commas, semicolons or tabs.

    Args:
        path: the file.
        separator: what stands between the labels of a cell.

    Raises:
        PolymorphError: no such file, other columns, or no sound row.
    """
    text = _text(path)
    delimiter, columns, of_labels = _header(path, text)
    faults: list[Fault] = []
    records: list[tuple[str, dict[str, str]]] = []
    lines = _records(text, delimiter)
    next(lines)
    for line, cells in lines:
        where = f"{path}, line {line}"
        if isinstance(cells, str):
            faults.append(Fault(where, cells))
        elif cells and len(cells) != len(columns):
            faults.append(Fault(where, f"expected {len(columns)} cells, found {len(cells)}"))
        elif cells:
            records.append((where, dict(zip(columns, cells, strict=True))))
    _check_values(path, of_labels, records)
    lists = [
        unquote_list(cells[column])
        for _, cells in records
        for column in ("labels", "unknown")
        if column in cells
    ]
    chosen, separated = choose_separator(lists, separator)
    reader = _Reader(of_labels, chosen, delimiter == ";")
    unit = ""
    if "stamp" in columns:
        stamps = [stamp_of(cells["stamp"], reader.decimal_comma) for _, cells in records]
        reader.per_second, unit = unit_of_stamps(stamps)
    rows: list[LabelRow] = []
    for where, values in records:
        row = reader.row(where, values)
        if isinstance(row, str):
            faults.append(Fault(where, row))
        else:
            rows.append(row)
    faults += reader.faults
    if not rows:
        first = f"none ({faults[0].where}: {faults[0].reason})" if faults else "none"
        raise PolymorphError("rows with labels", first, where=str(path))
    whole, together = _put_together(rows, bool(of_labels))
    labels = of_labels or dict.fromkeys(n for row in rows for n in (*row.present, *row.unknown))
    notes = [unit, separated, together, *spelling_notes(reader.spellings or of_labels)]
    named = tuple(column for column in columns if column)
    assumptions = tuple(note for note in notes if note)
    return LabelTable(path, named, tuple(labels), whole, tuple(faults), assumptions)


def _check_values(
    path: Path, of_labels: tuple[str, ...], records: list[tuple[str, dict[str, str]]]
) -> None:
    """Refuse a column that is no label's, as it has text or numbers but no 0 or 1."""
    for label in of_labels:
        values = {cells[label]: one_hot_value(cells[label]) for _, cells in records}
        other = next((cell for cell, value in values.items() if value is None), None)
        if other is not None and not {0, 1} & set(values.values()):
            raise PolymorphError(
                f"0 or 1 in the column {label!r}",
                f"{other!r:.99}",
                where=str(path),
                remedy="remove the column if it is no label, or name it labels",
            )


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise PolymorphError(
            "a readable CSV file", error.strerror or str(error), where=str(path)
        ) from None
    except UnicodeDecodeError as error:
        raise PolymorphError(
            "text in UTF-8",
            f"byte {error.object[error.start]:#04x} at {error.start}",
            where=str(path),
            remedy="save the file as UTF-8",
        ) from None


def _header(path: Path, text: str) -> tuple[str, list[str], tuple[str, ...]]:
    """The delimiter, the columns and of them the labels; see ``name_columns``."""
    for delimiter in _DELIMITERS:
        _, cells = next(_records(text, delimiter), (1, []))
        found = None if isinstance(cells, str) else name_columns(cells)
        if found:
            return delimiter, *found
    line, cells = next(_records(text, _DELIMITERS[0]), (1, []))
    raise PolymorphError(
        "a first line file,labels or sequence,stamp,labels (more columns: sequence, stamp, "
        "unknown), or a column for each label",
        repr(cells if isinstance(cells, str) else ",".join(cells) or "nothing")[1:-1],
        where=f"{path}, line {line}",
        remedy="name the columns like this, separated by commas",
    )


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Line number and cells of each record, or why it cannot be read."""
    lines = io.StringIO(text.replace("\0", ""), newline="")
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
        else:
            yield reader.line_num, [cell.strip() for cell in cells]


def _put_together(rows: list[LabelRow], explicit: bool) -> tuple[tuple[LabelRow, ...], str]:
    """One row for each picture, and what to say of it.

    A label that a row names is present, though another row of that picture does not name it.
    Where absence is ``explicit``, rows that contradict each other make it unknown.
    """
    pictures: dict[tuple[str, str, float | None], LabelRow] = {}
    for row in rows:
        key = row.sequence, row.file, row.stamp_s
        first = pictures.setdefault(key, row)
        if first is row:
            continue
        present = {*first.present, *row.present}
        unknown = {*first.unknown, *row.unknown} - present
        if explicit:
            judged = [{*one.present, *one.unknown} for one in (first, row)]
            unknown |= present - (judged[0] & judged[1])
        pictures[key] = replace(
            first, present=tuple(sorted(present - unknown)), unknown=tuple(sorted(unknown))
        )
    more = len(rows) - len(pictures)
    note = f"the labels of {more:,} rows were added to those of an earlier row of the same picture"
    return tuple(pictures.values()), note if more else ""

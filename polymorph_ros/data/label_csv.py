"""Label tables: CSV files that say which labels are true in which picture.

The first line names the columns: ``file,labels`` (``sequence`` and ``stamp`` may be added), or
``sequence,stamp,labels`` where the pictures are in a video or a recording; ``sequence`` may be
left out where there is one only. A column ``unknown`` may hold labels that nobody judged in
that row. Labels within a cell are separated by ``|``::

    sequence,stamp,labels,unknown
    kitchen,0.0,oven|mug,
    kitchen,0.5,oven,mug

Every label that a table names anywhere is absent in the rows that do not name it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from polymorph_ros.data.dataset import Fault
from polymorph_ros.errors import PolymorphError

SEPARATOR = "|"
COLUMNS = ("sequence", "stamp", "file", "labels", "unknown")


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
    """A whole table: its columns, its sound rows in their order, and what is wrong with others."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[LabelRow, ...]
    faults: tuple[Fault, ...]


def read_label_csv(path: Path, separator: str = SEPARATOR) -> LabelTable:
    """Read a label table (UTF-8, commas).

    Args:
        path: the file.
        separator: what stands between the labels of a cell.

    Raises:
        PolymorphError: no such file, other columns, or no sound row.
    """
    records = _records(path)
    columns = _checked_header(path, next(records, (1, [])))
    rows: list[LabelRow] = []
    faults: list[Fault] = []
    for line, cells in records:
        where = f"{path}, line {line}"
        if isinstance(cells, str):
            faults.append(Fault(where, cells))
        elif cells:
            row = _row(where, columns, cells, separator)
            if isinstance(row, str):
                faults.append(Fault(where, row))
            else:
                rows.append(row)
    if not rows:
        raise PolymorphError(
            "rows with labels",
            f"none ({faults[0].where}: {faults[0].reason})" if faults else "none",
            where=str(path),
        )
    return LabelTable(path, columns, tuple(rows), tuple(faults))


def _records(path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """Line number and cells of each record, or why it cannot be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
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
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
        else:
            yield reader.line_num, [cell.strip() for cell in cells]


def _checked_header(path: Path, record: tuple[int, list[str] | str]) -> tuple[str, ...]:
    line, cells = record
    names = cells if isinstance(cells, list) else []
    sound = (
        "labels" in names
        and ("file" in names or "stamp" in names)
        and set(names) <= set(COLUMNS)
        and len(set(names)) == len(names)
    )
    if not sound:
        raise PolymorphError(
            "a first line file,labels or sequence,stamp,labels (more columns: sequence, stamp, "
            "unknown)",
            cells if isinstance(cells, str) else ",".join(cells) or "nothing",
            where=f"{path}, line {line}",
            remedy="name the columns like this, separated by commas",
        )
    return tuple(names)


def _row(where: str, columns: tuple[str, ...], values: list[str], separator: str) -> LabelRow | str:
    """The row, or what is wrong with it."""
    if len(values) != len(columns):
        return f"expected {len(columns)} cells, found {len(values)}"
    cells = dict(zip(columns, values, strict=True))
    stamp: float | None = None
    if "stamp" in cells:
        try:
            stamp = float(cells["stamp"])
        except ValueError:
            stamp = math.nan
        if not math.isfinite(stamp):
            return f"expected a stamp in seconds, found {cells['stamp']!r}"
    for column in ("file", "sequence"):
        if not cells.get(column, "something"):
            return f"expected a {column}, found an empty cell"
    present = _labels(cells["labels"], separator)
    unknown = _labels(cells.get("unknown", ""), separator)
    both = sorted(set(present) & set(unknown))
    if both:
        return f"expected a label as present or as unknown, found {both[0]!r} as both"
    return LabelRow(
        where, present, unknown, cells.get("file", ""), cells.get("sequence", ""), stamp
    )


def _labels(cell: str, separator: str) -> tuple[str, ...]:
    names: Sequence[str] = [name.strip() for name in cell.split(separator)]
    return tuple(dict.fromkeys(name for name in names if name))

"""What the columns of a label table are, and how their cells are read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from polymorph_ros.data.label_names import clean_name

SEPARATOR = "|"
COLUMNS = ("sequence", "stamp", "file", "labels", "unknown")
_OTHER_NAMES = {
    "file": ("filename", "file_name", "filepath", "image"),
    "stamp": ("timestamp",),
    "labels": ("label",),
}
_ONE_HOT = {
    1: ("1", "1.0", "true", "yes"),
    0: ("0", "0.0", "false", "no"),
    -1: ("", "-1", "-1.0", "nan", "na", "none", "null", "?"),
}
_VALUES = {text: value for value, texts in _ONE_HOT.items() for text in texts}


def name_columns(header: Sequence[str]) -> tuple[list[str], tuple[str, ...]] | None:
    """The columns of a table, and of them the labels where each label has a column of its own.

    Names may be in capitals, and a first column without a name (pandas' index) is named ``""``.

    Returns:
        Names, where known those of ``COLUMNS``, and the labels; or None if it is no such table.

    >>> name_columns(["", "File", "cup"])
    (['', 'file', 'cup'], ('cup',))
    """
    names = [clean_name(cell) for cell in header]
    index = bool(names) and (names[0] == "" or names[0].lower().startswith(("unnamed:", "index")))
    folded = [name.lower() for name in names[index:]]
    for column, others in _OTHER_NAMES.items():
        found = [other for other in others if other in folded]
        if column == "labels":  # FiftyOne's, as ground_truth.label
            found += [name for name in folded if name.endswith(".label")]
        if column not in folded and len(found) == 1:
            folded[folded.index(found[0])] = column
    named = [
        fold if fold in COLUMNS else name for fold, name in zip(folded, names[index:], strict=True)
    ]
    of_labels = () if "labels" in named else tuple(n for n in named if n not in COLUMNS[:3])
    sound = (
        ("file" in named or "stamp" in named)
        and ("labels" in named or bool(of_labels))
        and ("labels" not in named or set(named) <= set(COLUMNS))
        and len(set(named)) == len(named)
        and "" not in named
    )
    return ([""] * index + named, of_labels) if sound else None


def one_hot_value(cell: str) -> int | None:
    """1 present, 0 absent, -1 unknown; None for anything else."""
    return _VALUES.get(cell.lower())


def stamp_of(cell: str, decimal_comma: bool) -> float:
    """A finite number, or NaN for anything else."""
    try:
        stamp = float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return math.nan
    return stamp if math.isfinite(stamp) else math.nan


def choose_separator(cells: Sequence[str], separator: str) -> tuple[str, str]:
    """What stands between labels, and what to say of it.

    A comma or semicolon does only where no cell has the separator, which is how other tools write
    lists. Where one has it, a comma is part of a label's name.
    """
    if separator != SEPARATOR or any(separator in cell for cell in cells):
        return separator, ""
    for other in (",", ";"):
        if any(other in cell for cell in cells):
            note = f"labels are separated by {other!r}, as no cell has a {separator!r}"
            return other, note
    return separator, ""


def unquote_list(cell: str) -> str:
    """A list in brackets, as pandas writes it, without brackets and quotes.

    >>> unquote_list("['cup', 'dog']")
    'cup,dog'
    """
    if not (cell.startswith("[") and cell.endswith("]")):
        return cell
    return ",".join(part.strip(" '\"") for part in cell[1:-1].split(","))


def split_labels(cell: str, separator: str) -> list[str]:
    """The labels of a cell as they are written, without empty ones."""
    return [part for part in cell.split(separator) if clean_name(part)]

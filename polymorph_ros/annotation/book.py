"""What is labelled so far: one row per frame, each label present, absent or unknown, and undo.

A row is two bit sets over the list of labels. A label in neither set is unknown, which is what a
new label is in every row that was there before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from polymorph_ros.data.label_columns import (
    SEPARATOR,
    choose_separator,
    split_labels,
    unquote_list,
)
from polymorph_ros.data.label_names import clean_name
from polymorph_ros.errors import PolymorphError

LONGEST_NAME = 100
_UNDO_STEPS = 500

FrameKey = tuple[int, int]
"""Number of the recording, and of the frame in it."""


class Row(NamedTuple):
    """Bit sets over the labels: bit n stands for label n."""

    present: int
    absent: int

    @property
    def judged(self) -> int:
        """The labels that are not unknown."""
        return self.present | self.absent


NOTHING = Row(0, 0)
"""A frame that was looked at and about which nothing can be said."""


@dataclass(frozen=True)
class Change:
    """A step that can be undone: what it was about, and the rows and names before and after."""

    what: str
    before: Mapping[FrameKey, Row | None]
    after: Mapping[FrameKey, Row | None]
    names_before: tuple[str, ...]
    names_after: tuple[str, ...]


class Snapshot(NamedTuple):
    """The steps, names and version at one moment."""

    done: tuple[Change, ...]
    undone: tuple[Change, ...]
    names: tuple[str, ...]
    version: int


@dataclass
class LabelBook:
    """Rows and labels, as they change.

    Attributes:
        names: the labels; their order never changes, and new ones come last.
        in_table: bit set of the labels that the table names: present somewhere, or typed.
        rows: what is known of each frame that was labelled.
        version: goes up by one with each change.
        present: per label, in how many rows it is present.
        absent: per label, in how many rows it is absent.
    """

    names: list[str]
    in_table: int = 0
    rows: dict[FrameKey, Row] = field(default_factory=dict)
    version: int = 0
    present: list[int] = field(init=False)
    absent: list[int] = field(init=False)
    _done: list[Change] = field(default_factory=list, init=False, repr=False)
    _undone: list[Change] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.present = [0] * len(self.names)
        self.absent = [0] * len(self.names)
        self._count(Counter(self.rows.values()))

    def make(
        self, what: str, after: Mapping[FrameKey, Row | None], names: Iterable[str] | None = None
    ) -> Change:
        """Change rows, and the names of labels; a change that changes nothing is no step."""
        before = {key: self.rows.get(key) for key in after}
        names_now = tuple(self.names)
        names_after = names_now if names is None else tuple(names)
        change = Change(what, before, after, names_now, names_after)
        if before != dict(after) or names_now != names_after:
            self._apply(change.after, names_after)
            self._done = [*self._done[-_UNDO_STEPS:], change]
            self._undone.clear()
        return change

    def undo(self) -> Change | None:
        """Take the last step back; None where there is none."""
        if not self._done:
            return None
        change = self._done.pop()
        self._apply(change.before, change.names_before)
        self._undone.append(change)
        return change

    def redo(self) -> Change | None:
        """Take the last undone step again; None where there is none."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._apply(change.after, change.names_after)
        self._done.append(change)
        return change

    def snapshot(self) -> Snapshot:
        """What ``restore`` needs to make a step not have happened."""
        return Snapshot(tuple(self._done), tuple(self._undone), tuple(self.names), self.version)

    def restore(self, snapshot: Snapshot, rows: Mapping[FrameKey, Row | None]) -> None:
        """Make the last step not have happened: it could not be saved.

        Args:
            snapshot: of before.
            rows: of before, all that the step changed.
        """
        self._apply(rows, snapshot.names)
        self._done, self._undone = list(snapshot.done), list(snapshot.undone)
        self.version = snapshot.version

    @property
    def undoable(self) -> str:
        """What undo would take back; empty where there is nothing."""
        return self._done[-1].what if self._done else ""

    @property
    def redoable(self) -> str:
        """What redo would take again; empty where there is nothing."""
        return self._undone[-1].what if self._undone else ""

    def all_labels(self) -> int:
        """The bit set of all labels."""
        return (1 << len(self.names)) - 1

    def _apply(self, rows: Mapping[FrameKey, Row | None], names: tuple[str, ...]) -> None:
        for added in range(len(self.names), len(names)):
            self.in_table |= 1 << added
        if len(names) > len(self.present):
            more = [0] * (len(names) - len(self.present))
            self.present, self.absent = self.present + more, self.absent + more
        shifts: Counter[Row] = Counter()
        for key, row in rows.items():
            shifts[self.rows.get(key, NOTHING)] -= 1
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
                shifts[row] += 1
        self._count(shifts)
        self.names[:] = names
        self.present, self.absent = self.present[: len(names)], self.absent[: len(names)]
        self.in_table &= self.all_labels()
        self.version += 1

    def _count(self, shifts: Counter[Row]) -> None:
        """Enter so many more (or fewer) of each row."""
        for row, more in shifts.items():
            if more > 0:
                self.in_table |= row.present
            for counts, bits in ((self.present, row.present), (self.absent, row.absent)):
                for label in labels_in(bits):
                    counts[label] += more


def labels_in(bits: int) -> list[int]:
    """The labels of a bit set, ascending.

    >>> labels_in(0b1010)
    [1, 3]
    """
    found = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return found


def bits_of(labels: Iterable[int]) -> int:
    """The bit set of some labels.

    >>> bits_of([1, 3]) == 0b1010
    True
    """
    bits = 0
    for label in labels:
        bits |= 1 << label
    return bits


def sound_name(name: str, taken: Iterable[str]) -> str:
    """A label's name as tables are read: one form of letters, single spaces.

    Raises:
        PolymorphError: a table cannot hold it, or another label has it.
    """
    clean = clean_name(name)
    expected = f"a name of 1 to {LONGEST_NAME} characters"
    if not clean or len(clean) > LONGEST_NAME:
        raise PolymorphError(expected, f"{len(clean)} characters", where="label")
    separator, _ = choose_separator([clean], SEPARATOR)
    if split_labels(unquote_list(clean), separator) != [clean]:
        raise PolymorphError(
            "a name that is not read as a list of labels", repr(clean), where="label",
            remedy="leave out | , ; and brackets around it",
        )  # fmt: skip
    if clean in taken:
        raise PolymorphError("a new name", f"{clean!r}, which is there already", where="label")
    return clean

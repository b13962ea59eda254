"""Rows of an SQLite file of which only the beginning is left.

SQLite itself finds rows through a tree whose upper pages may lie anywhere, so a file that was cut
can lose all its rows to it. The rows lie in leaf pages, which can be found without the tree:
https://www.sqlite.org/fileformat2.html, sections 1.5, 1.6 and 2.1.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = b"SQLite format 3\0"
_TABLE_LEAF = 0x0D
_HEADER = 100  # bytes at the beginning of the first page
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # by kind
_LONGEST_HEAD = 32  # of a record with four columns


@dataclass(frozen=True)
class _Cell:
    row_id: int
    size: int
    start: int  # of the payload, in the file


class SqlitePages:
    """The whole rows of the form (integer key, integer, integer, blob), as rosbag2's messages are.

    Args:
        data: the file, or what is left of it.

    Raises:
        ValueError: it does not begin as an SQLite file does.
    """

    def __init__(self, data: bytes | mmap.mmap) -> None:
        if len(data) < _HEADER or data[: len(_MAGIC)] != _MAGIC:
            raise ValueError("no SQLite file")
        self._data = data
        size = int.from_bytes(data[16:18], "big")
        self._page = 65536 if size == 1 else size
        self._usable = self._page - data[20]
        if self._page < 512 or self._usable < 480:
            raise ValueError("no SQLite page size")

    def rows(self) -> Iterator[tuple[int, bytes]]:
        """First integer column and blob of each row that is whole, in the order of keys."""
        cells: dict[int, _Cell] = {}
        for page in range(len(self._data) // self._page):
            for cell in self._cells(page * self._page):
                if _form(self._data[cell.start : cell.start + _LONGEST_HEAD]):
                    cells.setdefault(cell.row_id, cell)
        for row_id in sorted(cells):
            payload = self._payload(cells[row_id])
            if payload is not None:
                yield _row(payload)

    def _cells(self, page: int) -> Iterator[_Cell]:
        head = page + (_HEADER if page == 0 else 0)
        if self._data[head] != _TABLE_LEAF:
            return
        count = self._number(head + 3, 2)
        for index in range(count):
            pointer = head + 8 + 2 * index
            if pointer + 2 > page + self._page:
                return
            place = page + self._number(pointer, 2)
            size, place = self._varint(place)
            row_id, place = self._varint(place)
            if place + self._local(size) <= page + self._page:
                yield _Cell(row_id, size, place)

    def _local(self, size: int) -> int:
        """How many bytes of a payload lie in its leaf page."""
        most = self._usable - 35
        if size <= most:
            return size
        least = (self._usable - 12) * 32 // 255 - 23
        fit = least + (size - least) % (self._usable - 4)
        return fit if fit <= most else least

    def _payload(self, cell: _Cell) -> bytes | None:
        """The bytes of a row, gathered from its overflow pages; None where one is missing."""
        local = self._local(cell.size)
        parts = [self._data[cell.start : cell.start + local]]
        left = cell.size - local
        following = self._number(cell.start + local, 4) if left else 0
        while left > 0:
            page = (following - 1) * self._page
            if following < 2 or page + self._page > len(self._data):
                return None
            take = min(left, self._usable - 4)
            parts.append(self._data[page + 4 : page + 4 + take])
            following = self._number(page, 4)
            left -= take
        return b"".join(parts)

    def _number(self, place: int, size: int) -> int:
        return int.from_bytes(self._data[place : place + size], "big")

    def _varint(self, place: int) -> tuple[int, int]:
        return _varint(self._data[place : place + 9], place)


def _varint(data: bytes, place: int = 0) -> tuple[int, int]:
    """A number of one to nine bytes at the start of the data, and the place behind it."""
    value = 0
    for index, byte in enumerate(data[:9]):
        if index == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + index + 1
    return value, place + len(data)


def _form(head: bytes) -> tuple[int, int, int, int] | None:
    """Where the columns of a (NULL, integer, integer, blob) begin, and where the blob ends.

    The key stands as NULL in the record; None if the record is of another form.
    """
    length, place = _varint(head)
    kinds = []
    while place < min(length, len(head)):
        kind, place = _varint(head[place : place + 9], place)
        kinds.append(kind)
    integers = len(kinds) == 4 and kinds[0] == 0 and set(kinds[1:3]) <= set(_INTEGER_BYTES)
    if not integers or kinds[3] < 12 or kinds[3] % 2:
        return None
    second = length + _INTEGER_BYTES[kinds[1]]
    blob = second + _INTEGER_BYTES[kinds[2]]
    return length, second, blob, blob + (kinds[3] - 12) // 2


def _row(payload: bytes) -> tuple[int, bytes]:
    """First integer column and blob of a record that has the form."""
    first, second, blob, end = _form(payload[:_LONGEST_HEAD]) or (0, 0, 0, 0)
    constant = payload[2] - 8  # the integers 0 and 1 are told by their kind alone
    number = int.from_bytes(payload[first:second], "big", signed=True)
    return number if second > first else constant, payload[blob:end]

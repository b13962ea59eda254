"""Write large arrays to disk row after row, and continue where an earlier attempt stopped."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class Row:
    """One row of an array: its type and shape."""

    dtype: DTypeLike
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape))


class RowWriter:
    """``.npy`` files that grow by rows, all alike; they can be mapped once they are closed.

    Rows are written, not mapped: on a full disk a write says so, where a map would end the process.

    Args:
        folder: of the files; those that are there are continued, with the rows that all have.
        rows: what a row of each is; the files are called ``<name>.npy``.
        whole: of the rows that are there, only a multiple of this many stays.

    Attributes:
        rows: how many there are.
    """

    def __init__(self, folder: Path, rows: Mapping[str, Row], *, whole: int = 1) -> None:
        self._files = {name: _File(folder / f"{name}.npy", row) for name, row in rows.items()}
        self.cut(min(file.rows for file in self._files.values()) // whole * whole)

    def cut(self, rows: int) -> None:
        """Keep only the first rows."""
        self.rows = rows
        for file in self._files.values():
            file.cut(rows)

    def read(self, name: str) -> NDArray[Any]:
        """The rows of one array that are there."""
        return self._files[name].read()

    def append(self, **rows: NDArray[Any]) -> None:
        """Add rows to every array: the same number to each."""
        for name, file in self._files.items():
            file.append(rows[name])
        self.rows = min(file.rows for file in self._files.values())

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close(whole=error is None)


class _File:
    """One growing array."""

    def __init__(self, path: Path, row: Row) -> None:
        self._path = path
        self._row = row
        self._row_bytes = row.size
        there = path.stat().st_size if path.is_file() else 0
        # Unbuffered: what was appended stays when the process is killed.
        self._stream = path.open("r+b" if there else "w+b", buffering=0)
        # NumPy leaves room in a header for more rows, so that its length does not change.
        self._start = len(self._header(0))
        self.rows = max(0, there - self._start) // self._row_bytes

    def cut(self, rows: int) -> None:
        """Keep only the first rows."""
        self.rows = rows
        self._write(self._header(rows), 0)
        self._stream.truncate(self._start + rows * self._row_bytes)

    def read(self) -> NDArray[Any]:
        """The rows that are there."""
        count = self.rows * int(np.prod(self._row.shape))
        flat = np.fromfile(self._path, self._row.dtype, count, offset=self._start)
        return flat.reshape(self.rows, *self._row.shape)

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows behind those that are there."""
        assert rows.shape[1:] == self._row.shape, "every row has the same shape"
        data = np.ascontiguousarray(rows, self._row.dtype)
        self._write(data.data.cast("B"), self._start + self.rows * self._row_bytes)
        self.rows += len(rows)

    def close(self, *, whole: bool) -> None:
        """Write how many rows there are, and wait until the disk has them."""
        if whole:
            self._write(self._header(self.rows), 0)
            os.fsync(self._stream.fileno())
        self._stream.close()

    def _write(self, data: bytes | memoryview, place: int) -> None:
        left = memoryview(data)
        while left:
            written = os.pwrite(self._stream.fileno(), left, place)
            left, place = left[written:], place + written

    def _header(self, rows: int) -> bytes:
        stream = io.BytesIO()
        content = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(self._row.dtype)),
            "fortran_order": False,
            "shape": (rows, *self._row.shape),
        }
        np.lib.format.write_array_header_1_0(stream, content)
        return stream.getvalue()

"""What image decoders write to the process's standard error: taken out of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# libjpeg, libpng and libtiff write a line for each damaged picture; OpenCV cannot switch that off.
_BEGINNINGS = (
    b"Corrupt JPEG data", b"Premature end of JPEG", b"Invalid SOS parameters",
    b"Inconsistent progression", b"Unknown Adobe color", b"Unsupported marker",
    b"Warning: unknown JFIF", b"libpng ", b"TIFF",
)  # fmt: skip
_STDERR = 2

_lock = threading.Lock()
_between = os.memfd_create("decoder_output")


@contextmanager
def decoder_output() -> Iterator[list[bytes]]:
    """Collect the lines that decoders write meanwhile; those of all others still appear.

    Standard error belongs to the process: it is led into memory, and what other threads wrote
    is written to the real one at the end.

    Yields:
        a list that holds the decoders' lines when the context has ended.
    """
    lines: list[bytes] = []
    with _lock:
        real = os.dup(_STDERR)
        os.dup2(_between, _STDERR)
        try:
            yield lines
        finally:
            os.dup2(real, _STDERR)
            os.close(real)
            _sort(lines)


def _sort(lines: list[bytes]) -> None:
    size = os.lseek(_between, 0, os.SEEK_CUR)
    if size == 0:
        return
    written = os.pread(_between, size, 0)
    os.lseek(_between, 0, os.SEEK_SET)
    os.ftruncate(_between, 0)
    for line in written.splitlines(keepends=True):
        if line.startswith(_BEGINNINGS):
            lines.append(line)
        else:
            os.write(_STDERR, line)

"""Pins arrays that grow by rows: what is mapped afterwards, and what is kept of a begun file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.training.rows import Row, RowWriter

ROWS = {"pictures": Row(np.uint8, (2, 3)), "stamps": Row(np.float64)}


def some_rows(first: int, count: int) -> dict[str, np.ndarray]:
    numbers = np.arange(first, first + count)
    pictures = np.broadcast_to(numbers[:, None, None], (count, 2, 3)).astype(np.uint8)
    return {"pictures": pictures, "stamps": numbers * 0.5}


def test_the_rows_are_those_that_were_added(tmp_path: Path) -> None:
    with RowWriter(tmp_path, ROWS) as writer:
        writer.append(**some_rows(0, 3))
        writer.append(**some_rows(3, 2))

    assert np.array_equal(np.load(tmp_path / "stamps.npy"), some_rows(0, 5)["stamps"])
    mapped = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    assert np.array_equal(mapped, some_rows(0, 5)["pictures"])


@given(written=st.integers(0, 12), cut=st.integers(0, 40), whole=st.integers(1, 4))
def test_a_file_that_broke_off_is_continued_with_whole_rows(
    tmp_path_factory, written: int, cut: int, whole: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    writer = RowWriter(folder, ROWS)
    for index in range(written):
        writer.append(**some_rows(index, 1))
    # The process ends here without a word, and the last of one file are not on the disk.
    pictures = folder / "pictures.npy"
    with pictures.open("r+b") as stream:
        stream.truncate(max(0, pictures.stat().st_size - cut))

    with RowWriter(folder, ROWS, whole=whole) as again:
        kept = again.rows
        assert np.array_equal(again.read("stamps"), some_rows(0, kept)["stamps"])
        again.append(**some_rows(kept, 15 - kept))

    assert kept % whole == 0
    assert kept <= max(0, written - cut // 6)
    assert np.array_equal(np.load(pictures), some_rows(0, 15)["pictures"])
    assert np.array_equal(np.load(folder / "stamps.npy"), some_rows(0, 15)["stamps"])

"""Pins the rows that can be had from an SQLite file of which only the beginning is left."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from polymorph_ros.data.sqlite_pages import SqlitePages

MESSAGES = (
    "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)"
)


def database(path: Path, rows: list[tuple[int, int, bytes]], page: int) -> bytes:
    """As rosbag2 writes it: topics and an index beside the messages."""
    with sqlite3.connect(path) as base:
        base.execute(f"PRAGMA page_size = {page}")
        base.execute("CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT, type TEXT)")
        base.execute(MESSAGES)
        base.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
        base.execute("INSERT INTO topics VALUES (1, '/cam', 'sensor_msgs/msg/Image')")
        base.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
    base.close()
    return path.read_bytes()


def messages(count: int, largest: int) -> list[tuple[int, int, bytes]]:
    rng = np.random.default_rng(count)
    sizes = rng.integers(1, largest, count).tolist()
    topics = rng.choice([0, 1, 2, 300, 70_000], count).tolist()
    return [(topics[n], n * 10**9, rng.bytes(sizes[n])) for n in range(count)]


# blobs inside their page, over few pages and over many; a tree of one, two and three levels
@pytest.mark.parametrize(("count", "largest"), [(5, 100), (400, 30_000), (8_000, 60)])
@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_a_whole_file_gives_all_and_a_part_gives_whole_rows(
    tmp_path: Path, count: int, largest: int, page: int
) -> None:
    rows = messages(count, largest)
    expected = [(topic, blob) for topic, _, blob in rows]
    data = database(tmp_path / "b.db3", rows, page)
    assert list(SqlitePages(data).rows()) == expected

    for share in (0.2, 0.7):
        part = list(SqlitePages(data[: int(len(data) * share)]).rows())
        assert set(part) <= set(expected)
        if len(data) > 100 * page:
            assert len(part) >= (share - 0.1) * count


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"x" * 500])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="SQLite"):
        SqlitePages(data)


def test_rot_gives_no_error(tmp_path: Path) -> None:
    data = bytearray(database(tmp_path / "b.db3", messages(200, 3000), 4096))
    rng = np.random.default_rng(0)
    for place in rng.integers(100, len(data), 2000):
        data[place] = rng.integers(256)
    assert len(list(SqlitePages(bytes(data)).rows())) <= 400

"""Traces: what a line means, plain and compressed, and how a bad file is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from parts.traces import read_trace
from polymorph_ros.errors import PolymorphError

_LINES = (
    '{"seq": "a", "fps": 0.5, "frames": [["pan"], [], ["oven", "pan"]]}\n'
    '{"seq": "b", "fps": 10, "frames": [["car"]]}\n'
)


@pytest.mark.parametrize("name", ["kitchen.jsonl", "kitchen.jsonl.gz"])
def test_a_line_is_a_sequence(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    content = _LINES.encode()
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    trace = read_trace(file)

    assert trace.name == "kitchen"
    assert trace.vocabulary.names == ("car", "oven", "pan")
    assert [track.name for track in trace.tracks] == ["a", "b"]
    np.testing.assert_array_equal(trace.tracks[0].truth, [[0, 0, 1], [0, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(trace.tracks[0].stamps_s, [0.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("not json\n", "one JSON object"),
        ('{"seq": "a", "frames": []}\n', "line 1"),
        ('{"seq": "a", "fps": 0, "frames": [["x"]]}\n', "positive"),
        ('{"seq": "a", "fps": 1, "frames": [[1]]}\n', "lists of labels"),
        ('{"seq": "a", "fps": 1, "frames": [[]]}\n', "with labels"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(content)

    with pytest.raises(PolymorphError, match=told):
        read_trace(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match=r"none\.jsonl.*no such file"):
        read_trace(tmp_path / "none.jsonl")

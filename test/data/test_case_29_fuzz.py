"""Pins that no label file whatever ends in a traceback: it is read, or refused by a PolymorphError.

Valid files are altered by bytes and in their structure; what comes of them is surveyed and written
as a report too. Leaves open what each altered file should mean.
"""

from __future__ import annotations

import json
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from polymorph_ros.cli.data_report import print_report, write_report
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.picture_survey import survey_pictures
from polymorph_ros.data.survey import survey
from polymorph_ros.errors import PolymorphError

TABLES = (
    "sequence,stamp,file,labels,unknown\ns,0,0.png,cup|dog,bed\ns,1.5,1.png,,\nt,2,0.png,bed,cup\n",
    'file,labels\n0.png,"cup, dog"\n1.png,"[\'bed\']"\n',
    ",File,cup,dog\n0,0.png,1,0\n1,1.png,True,\n",
    "stamp;file;labels\n0,5;0.png;cup\n1700000000000;a\\1.png;dog\n",
)
DOCUMENT: dict[str, Any] = {
    "info": {"fps": 10},
    "categories": [{"id": 1, "name": "cup", "merged": [{"id": 3}]}, {"id": 2, "name": "dog"}],
    "videos": [
        {"id": 1, "name": "clip", "fps": 5, "neg_category_ids": [2]},
        {"id": 2, "not_exhaustive_category_ids": [1]},
    ],
    "images": [
        {"id": 1, "video_id": 1, "frame_index": 0, "file_name": "0.png"},
        {"id": 2, "video_id": 1, "frame_index": 5, "file_name": "1.png"},
        {"id": 3, "video_id": 2, "frame_id": 0, "file_name": "a\\0.png", "neg_category_ids": [1]},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "video_id": 1},
        {"id": 2, "image_id": 3, "category_id": 3},
    ],
}

# what tends to break readers, beside anything
ODD_BYTES = [b"\0", b"\xff", b'"', b"\r", b",", b";", b"|", b"[", b"\xed\xa0\x80", b"9" * 400]
ODD_VALUES: list[Any] = [
    None, True, -1, 0, 2**80, 1e300, float("inf"), float("nan"), "", "\0", "\ud800", "a/" * 3000,
    "..", "/", "\\", "C:\\", "1e5", "9" * 5000, [], {}, [[[]]], {"id": 1}, "\u200b", "-0",
]  # fmt: skip
values = st.sampled_from(ODD_VALUES) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
cells = st.text(max_size=12) | st.sampled_from(
    ["1e400", "-1e18", "nan", "1_0", "\u0661", "[]", "['", "\0", "a|b,c;d", "C:\\x", "/dev/zero"]
)
places = st.lists(st.integers(0, 10**6), min_size=1, max_size=4)
many = settings(max_examples=150, deadline=None)


def altered_bytes(data: bytes, where: list[int], what: list[bytes]) -> bytes:
    """Bytes replaced, or inserted, or all that follows left out."""
    for place, new in zip(where, what, strict=False):
        at = place % (len(data) + 1)
        data = data[:at] if new == b"[" else data[:at] + new + data[at + place % 3 :]
    return data


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value of a document."""
    inner: Any = ()
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for key, one in inner for found in paths_of(one, (*path, key)))]


def altered_document(document: Any, where: list[int], what: list[Any]) -> Any:
    """A copy with some values replaced, and some left out."""
    document = json.loads(json.dumps(document))
    for place, new in zip(where, what, strict=False):
        paths = paths_of(document)[1:]
        if not paths:
            break
        *way, last = paths[place % len(paths)]
        owner = document
        for key in way:
            owner = owner[key]
        if place % 5 == 0:
            del owner[last]
        else:
            owner[last] = deepcopy(new)  # else later changes would make it hold itself
    return document


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory() as name:
        for number in range(2):
            assert cv2.imwrite(f"{name}/{number}.png", np.zeros((4, 6, 3), np.uint8))
        yield Path(name)


def check(folder: Path, name: str, data: bytes) -> None:
    """Do all that ``polymorph data check`` does."""
    file = folder / name
    file.write_bytes(data)
    try:
        dataset = open_dataset(file)
        seen = survey(dataset.tracks(), dataset.vocabulary)
        opened = survey_pictures(dataset, lambda: None)
    except PolymorphError:
        return
    with (folder / "printed.txt").open("w", encoding="utf-8") as printed:
        print_report(Console(file=printed), file, dataset, seen, opened, 20, None)
    write_report(folder / "report.json", file, dataset, seen, opened, 20)
    json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for track in dataset.tracks():
        assert np.isfinite(track.stamps_s).all() and (np.diff(track.stamps_s) > 0).all()
        assert np.isin(track.truth, (-1, 0, 1)).all()


@pytest.mark.parametrize("text", TABLES, ids=["all", "quoted", "one-hot", "semicolons"])
@many
@given(where=places, what=st.lists(st.sampled_from(ODD_BYTES) | st.binary(max_size=3), min_size=4))
def test_case_29_tables_of_altered_bytes(
    folder: Path, text: str, where: list[int], what: list[bytes]
) -> None:
    check(folder, "labels.csv", altered_bytes(text.encode(), where, what))


@pytest.mark.parametrize("text", TABLES, ids=["all", "quoted", "one-hot", "semicolons"])
@many
@given(where=places, what=st.lists(cells, min_size=4))
def test_case_29_tables_of_altered_cells(
    folder: Path, text: str, where: list[int], what: list[str]
) -> None:
    rows = [line.split(",") for line in text.splitlines()]
    for place, new in zip(where, what, strict=False):
        row = rows[place % len(rows)]
        row[place // 7 % len(row)] = new
    lines = "\n".join(",".join(row) for row in rows)
    check(folder, "labels.csv", lines.encode("utf-8", "replace"))


@many
@given(where=places, what=st.lists(st.sampled_from(ODD_BYTES) | st.binary(max_size=3), min_size=4))
def test_case_29_documents_of_altered_bytes(
    folder: Path, where: list[int], what: list[bytes]
) -> None:
    check(folder, "labels.json", altered_bytes(json.dumps(DOCUMENT).encode(), where, what))


@pytest.mark.parametrize("videos", [True, False])
@settings(max_examples=400, deadline=None)
@given(where=places, what=st.lists(values, min_size=4))
def test_case_29_documents_of_altered_structure(
    folder: Path, videos: bool, where: list[int], what: list[Any]
) -> None:
    document = DOCUMENT if videos else {**DOCUMENT, "videos": []}
    altered = altered_document(document, where, what)
    check(folder, "labels.json", json.dumps(altered).encode())


@many
@given(data=st.binary(max_size=200))
@pytest.mark.parametrize("name", ["labels.csv", "labels.json"])
def test_case_29_files_of_noise(folder: Path, name: str, data: bytes) -> None:
    check(folder, name, data)

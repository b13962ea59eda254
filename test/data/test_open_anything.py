"""Pins that no label file, however odd, ends in a traceback: it is read, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.data.dataset import Dataset
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.survey import survey
from polymorph_ros.errors import PolymorphError


def opened(path: Path) -> Dataset | None:
    """The data set, sound in itself; None if the file is refused."""
    try:
        dataset = open_dataset(path)
    except PolymorphError:
        return None
    assert dataset.sequences
    for track in dataset.tracks():
        assert track.truth.shape == (len(track.stamps_s), len(dataset.vocabulary))
        assert (track.stamps_s[1:] > track.stamps_s[:-1]).all()
    survey(dataset.tracks(), dataset.vocabulary)
    return dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


cells = st.sampled_from(["a.png", "b/c.png", "mug", "mug|oven", "1", "2.5", "-1e9", "nan", "", '"'])
lines = st.lists(cells, min_size=1, max_size=5).map(",".join)
headers = st.permutations(["sequence", "stamp", "file", "labels", "unknown"]).flatmap(
    lambda names: st.integers(2, 5).map(lambda count: ",".join(names[:count]))
)


@settings(deadline=None)
@given(headers, st.lists(lines, max_size=12), st.binary(max_size=8))
def test_tables(folder: Path, header: str, rows: list[str], noise: bytes) -> None:
    path = folder / "labels.csv"
    path.write_bytes("\n".join([header, *rows]).encode() + noise)
    opened(path)


ids = st.integers(0, 3)
odd = st.one_of(
    ids,
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.one_of(ids, st.text(max_size=2), st.lists(ids, max_size=1)), max_size=3),
    st.dictionaries(st.sampled_from(["id", "fps"]), ids, max_size=1),
)


def entries(*names: str) -> st.SearchStrategy[Any]:
    entry = st.fixed_dictionaries({}, optional=dict.fromkeys(("id", *names), odd))
    return st.one_of(st.lists(st.one_of(entry, odd), max_size=5), odd)


documents = st.fixed_dictionaries(
    {
        "videos": entries("name", "fps", "neg_category_ids", "not_exhaustive_category_ids"),
        "images": entries("video_id", "frame_index", "file_name"),
        "annotations": entries("image_id", "category_id", "track_id"),
        "categories": entries("name", "merged"),
    },
    optional={"info": odd},
)


@settings(deadline=None)
@given(documents)
def test_annotation_files(folder: Path, document: dict[str, Any]) -> None:
    path = folder / "train.json"
    path.write_text(json.dumps(document))
    opened(path)


sound = st.fixed_dictionaries(
    {
        "videos": st.lists(
            st.fixed_dictionaries(
                {"id": ids},
                optional={
                    "neg_category_ids": st.lists(ids),
                    "not_exhaustive_category_ids": st.lists(ids),
                    "fps": st.floats(),
                },
            ),
            min_size=1,
        ),
        "images": st.lists(
            st.fixed_dictionaries(
                {"id": st.integers(0, 9), "video_id": ids, "frame_index": st.integers(0, 5)}
            ).map(lambda image: image | {"file_name": f"{image['id']}.png"}),
            min_size=3,
        ),
        "annotations": st.lists(
            st.fixed_dictionaries({"image_id": st.integers(0, 9), "category_id": ids}), min_size=3
        ),
        "categories": st.just([{"id": number, "name": f"label {number}"} for number in range(4)]),
    }
)


@settings(deadline=None)
@given(sound)
def test_nothing_is_absent_unless_somebody_looked(folder: Path, document: dict[str, Any]) -> None:
    path = folder / "sound.json"
    path.write_text(json.dumps(document))
    dataset = opened(path)
    if dataset is None:
        return
    videos = {str(video["id"]): video for video in reversed(document["videos"])}
    for track in dataset.tracks():
        video = videos[track.name]
        for column, label in enumerate(dataset.vocabulary):
            truth, number = track.truth[:, column], int(label[-1])
            if (truth == 0).any():
                assert number not in video.get("not_exhaustive_category_ids", [])
            if (truth == 0).any() and not (truth == 1).any():
                images = {entry["id"] for entry in document["images"]}
                assert number in video.get("neg_category_ids", []) or any(
                    entry["category_id"] == number and entry["image_id"] in images
                    for entry in document["annotations"]
                )

"""Pins annotations in COCO's way, above all that "not annotated" is absent only where TAO says so.

The files are small ones that the tests write; TAO's own are not at hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError

CATEGORIES = [
    {"id": 7, "name": "dog"},
    {"id": 3, "name": "cat"},
    {"id": 5, "name": "cow"},
    {"id": 9, "name": "kite"},
]


def image(key: int, video: int, index: int, **more: Any) -> dict[str, Any]:
    name = f"v{video}/{index:04d}.png"
    return {"id": key, "video_id": video, "frame_index": index, "file_name": name, **more}


def seen(image_id: int, category: int) -> dict[str, int]:
    return {"id": 1000 + image_id, "image_id": image_id, "track_id": 1, "category_id": category}


def video(key: int, neg: tuple[int, ...] = (), partly: tuple[int, ...] = (), **more: Any) -> Any:
    lists = {"neg_category_ids": list(neg), "not_exhaustive_category_ids": list(partly)}
    return {"id": key, "name": f"clip {key}", **lists, **more}


def write(folder: Path, **sections: Any) -> Path:
    document = {"categories": CATEGORIES, "annotations": [], "images": [], "videos": []}
    path = folder / "train.json"
    path.write_text(json.dumps(document | sections))
    return path


def truth(dataset: Dataset, sequence: int) -> dict[str, list[int]]:
    columns = dataset.tracks()[sequence].truth.T.tolist()
    return dict(zip(dataset.vocabulary, columns, strict=True))


def test_what_is_not_annotated_is_absent_only_where_somebody_looked(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        videos=[video(1, neg=(3,), partly=(5,)), video(2, neg=(7,))],
        images=[image(10, 1, 0), image(11, 1, 30), image(12, 1, 60), image(20, 2, 0)],
        annotations=[seen(10, 7), seen(10, 7), seen(11, 5), seen(11, 7), seen(20, 9)],
    )

    dataset = open_dataset(path)

    assert dataset.vocabulary.names == ("dog", "cat", "cow", "kite")
    assert truth(dataset, 0) == {
        "dog": [1, 1, 0],  # annotated, and exhaustively so: absent in the last frame
        "cat": [0, 0, 0],  # looked for, not there
        "cow": [-1, 1, -1],  # annotated, but not all of them
        "kite": [-1, -1, -1],  # nobody looked
    }
    assert truth(dataset, 1) == {"dog": [0], "cat": [-1], "cow": [-1], "kite": [1]}
    assert [track.name for track in dataset.tracks()] == ["clip 1", "clip 2"]
    np.testing.assert_array_equal(dataset.tracks()[0].stamps_s, [0.0, 1.0, 2.0])
    assert dataset.faults == ()
    assert dataset.assumptions == ("30 frames per second",)


def test_a_category_that_no_video_judges_is_no_label(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        videos=[video(1, neg=(3,), partly=(9,))],
        images=[image(10, 1, 0)],
        annotations=[seen(10, 7)],
    )
    assert open_dataset(path).vocabulary.names == ("dog", "cat")


def test_without_lists_nothing_is_taken_for_absent_in_other_videos(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        videos=[{"id": 1, "fps": 10}, {"id": 2, "fps": 10}],
        images=[image(10, 1, 0), image(11, 1, 1), image(20, 2, 0)],
        annotations=[seen(10, 7), seen(20, 3)],
    )

    dataset = open_dataset(path)

    assert truth(dataset, 0) == {"dog": [1, 0], "cat": [-1, -1]}
    assert [track.name for track in dataset.tracks()] == ["1", "2"]
    assert dataset.assumptions == ("a category that is not annotated in a video is unknown there",)


@pytest.mark.parametrize(
    ("sections", "second"),
    [
        ({"videos": [video(1, neg=(3,), fps=10)]}, 0.5),
        ({"videos": [video(1, neg=(3,))], "info": {"fps": 20}}, 0.25),
        ({"videos": [video(1, neg=(3,), fps=10)], "info": {"fps": 20}}, 0.5),
        ({"videos": [video(1, neg=(3,))]}, 1.0),
    ],
)
def test_stamps_follow_the_rate_that_is_given(
    tmp_path: Path, sections: dict[str, Any], second: float
) -> None:
    images = [image(11, 1, 5), image(10, 1, 0)]
    path = write(tmp_path, images=images, annotations=[seen(10, 7)], **sections)

    dataset = open_dataset(path, fps=5.0)

    np.testing.assert_array_equal(dataset.tracks()[0].stamps_s, [0.0, second])
    assert dataset.tracks()[0].truth[0, 0] == 1
    assert bool(dataset.assumptions) == (second == 1.0)


def test_merged_categories_are_one_label(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        categories=[{"id": 1, "name": "person", "merged": [{"id": 2}]}, {"id": 2, "name": "baby"}],
        videos=[video(1, neg=()), video(2, neg=(2,))],
        images=[image(10, 1, 0), image(20, 2, 0)],
        annotations=[seen(10, 2)],
    )

    dataset = open_dataset(path)

    assert dataset.vocabulary.names == ("person",)
    assert [track.truth.tolist() for track in dataset.tracks()] == [[[1]], [[0]]]


@pytest.mark.parametrize("layout", ["beside", "tao", "given"])
def test_pictures_are_found(tmp_path: Path, layout: str) -> None:
    folder = {"beside": "annotations", "tao": "frames", "given": "elsewhere"}[layout]
    picture = tmp_path / folder / "v1/0000.png"
    picture.parent.mkdir(parents=True)
    assert cv2.imwrite(str(picture), np.full((4, 6, 3), 9, np.uint8))
    (tmp_path / "annotations").mkdir(exist_ok=True)
    path = write(
        tmp_path / "annotations",
        videos=[video(1)],
        images=[image(10, 1, 0), image(11, 1, 1)],
        annotations=[seen(10, 7)],
    )

    if layout == "given":
        dataset = open_dataset(tmp_path / folder, labels=path)
    else:
        dataset = open_dataset(path)

    first, second = dataset.sequences[0].pictures.read()
    assert not isinstance(first, Fault) and first.shape == (4, 6, 3)
    assert isinstance(second, Fault) and second.where.endswith("v1/0001.png")


def test_bad_entries_are_named_and_the_others_stay(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        videos=[video(1, neg=(7, 3)), video(1), "nonsense", {"id": 4, "neg_category_ids": 3}],
        images=[
            image(10, 1, 0),
            image(10, 1, 1),
            image(11, 8, 0),
            {"id": 12, "video_id": 1, "file_name": "x.png"},
            image(13, 1, 0),
            None,
        ],
        annotations=[seen(10, 7), seen(10, 99), seen(77, 7)],
    )

    dataset = open_dataset(path)

    assert len(dataset.sequences) == 1 and len(dataset.sequences[0]) == 1
    told = [(fault.where.removeprefix(f"{path}, "), fault.reason) for fault in dataset.faults]
    assert told == [
        ("video 1", "expected an id of its own"),
        ("video None", "expected an id of its own"),
        ("video 4", "expected lists of category ids"),
        ("image 10", "expected an id of its own"),
        ("image 11", "expected a known video, found 8"),
        ("image 12", "expected a frame_index and a file_name"),
        ("image None", "expected an id of its own"),
        ("annotation 1010", "expected a known category, found 99"),
        ("annotation 1077", "expected a known image, found 77"),
        ("video clip 1", "v1/0000.png: another picture has frame 0 too"),
        ("video clip 1", "expected no annotation of 'dog', which is in neg_category_ids"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "a JSON file"),
        ("[]", "found none of them"),
        ('{"images": [], "annotations": []}', "found images, annotations"),
        ('{"images": [], "annotations": [], "videos": [], "categories": []}', "pictures"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(PolymorphError, match=told) as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)

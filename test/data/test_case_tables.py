"""Pins label tables and COCO files as other tools write them: public reports 08 and 25 to 29.

Each test says what the labels are in the end, and that the reading is stated where it is a guess.
Leaves open dates as stamps, and what a table means whose own author would not know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from polymorph_ros.cli.data import data_app
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError

EPOCH = 1_700_000_000


def paint(path: Path) -> Path:
    """A small picture file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((4, 6, 3), 90, np.uint8))
    return path


def table(folder: Path, text: str | bytes, name: str = "labels.csv", **options: Any) -> Dataset:
    """The data set of a table."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_dataset(folder / name, **options)


def truth(dataset: Dataset, sequence: int = 0) -> dict[str, list[int]]:
    columns = dataset.tracks()[sequence].truth.T.tolist()
    return dict(zip(dataset.vocabulary, columns, strict=True))


def stated(dataset: Dataset, words: str) -> bool:
    return any(words in note for note in dataset.assumptions)


def readable(dataset: Dataset) -> int:
    return sum(
        not isinstance(picture, Fault)
        for sequence in dataset.sequences
        for picture in sequence.pictures.read()
    )


UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("style", ["{}", "{}.0", "{:.6e}"])
def test_case_08_large_stamps_are_told_by_their_size(tmp_path: Path, unit: str, style: str) -> None:
    stamps = [(EPOCH + index * 1000) * UNITS[unit] for index in range(4)]
    rows = "".join(f"{i}.jpg,{style.format(stamp)},cup\n" for i, stamp in enumerate(stamps))

    dataset = table(tmp_path, "file,stamp,labels\n" + rows)

    gaps = np.diff(dataset.tracks()[0].stamps_s)
    np.testing.assert_allclose(gaps, 1000.0)
    np.testing.assert_allclose(dataset.tracks()[0].stamps_s[0], EPOCH)
    assert stated(dataset, f"stamps are {unit}")


def test_case_08_seconds_stay_seconds_in_silence(tmp_path: Path) -> None:
    dataset = table(tmp_path, f"file,stamp,labels\na.jpg,{EPOCH},cup\nb.jpg,{EPOCH}.5,\n")
    assert dataset.tracks()[0].stamps_s.tolist() == [EPOCH, EPOCH + 0.5]
    assert dataset.assumptions == ()


def test_case_08_one_wrong_stamp_does_not_change_the_unit(tmp_path: Path) -> None:
    rows = "".join(f"{i}.jpg,{EPOCH + i},cup\n" for i in range(5))
    dataset = table(tmp_path, f"file,stamp,labels\n{rows}z.jpg,{EPOCH}000000000,cup\n")
    assert dataset.tracks()[0].stamps_s.tolist() == [EPOCH + i for i in range(5)]
    assert "stamp in seconds" in dataset.faults[0].reason


def test_case_08_nanoseconds_since_a_start_are_told_by_their_gaps(tmp_path: Path) -> None:
    rows = "".join(f"{i}.jpg,{i * 33_333_333},cup\n" for i in range(5))
    dataset = table(tmp_path, "file,stamp,labels\n" + rows)
    np.testing.assert_allclose(np.diff(dataset.tracks()[0].stamps_s), 0.033333333)
    assert stated(dataset, "stamps are nanoseconds")


def test_case_08_frames_that_lie_far_apart_are_stated(tmp_path: Path) -> None:
    dataset = table(tmp_path, "file,stamp,labels\na.jpg,0,cup\nb.jpg,500,\nc.jpg,1000,\n")
    assert stated(dataset, "stamps are seconds, 500 s apart")


def test_case_08_nanoseconds_join_pictures_by_their_names(tmp_path: Path) -> None:
    for index in range(3):
        paint(tmp_path / f"cam/{EPOCH + index}000000000.png")
    rows = "".join(f"cam,{EPOCH + index}000000000,cup\n" for index in range(3))
    (tmp_path / "labels.csv").write_text("sequence,stamp,labels\n" + rows)

    dataset = open_dataset(tmp_path)

    assert readable(dataset) == 3
    assert stated(dataset, "stamps are nanoseconds")
    assert stated(dataset, "stamps from file names, in nanoseconds")


@pytest.mark.parametrize("unit", UNITS)
def test_case_08_names_of_files_in_other_units(tmp_path: Path, unit: str) -> None:
    rows = "".join(f"{(EPOCH + index) * UNITS[unit]}.jpg,cup\n" for index in range(3))
    dataset = table(tmp_path, "file,labels\n" + rows)
    np.testing.assert_allclose(dataset.tracks()[0].stamps_s, [EPOCH, EPOCH + 1, EPOCH + 2])
    assert stated(dataset, unit)


CATEGORIES = [{"id": 1, "name": "cup"}, {"id": 2, "name": "dog"}]


def coco(folder: Path, **changed: Any) -> Path:
    """A file with one video of four frames; the cup is annotated in all, the dog in the first."""
    images = [
        {"id": n, "video_id": 1, "frame_index": n, "file_name": f"{n}.png"} for n in range(1, 5)
    ]
    seen = [{"id": n, "image_id": n, "category_id": 1} for n in range(1, 5)]
    document = {
        "categories": CATEGORIES,
        "videos": [{"id": 1, "name": "clip", "fps": 1}],
        "images": images,
        "annotations": [*seen, {"id": 9, "image_id": 1, "category_id": 2}],
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(document | changed))
    return path


def annotation(image: Any, category: Any, **more: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": image, "category_id": category, **more}


def test_case_25_ids_as_text_and_floats_are_integers(tmp_path: Path) -> None:
    seen = [annotation(1, 1), annotation("2", 1), annotation(3.0, 1), annotation(" 4 ", "1.0")]
    dataset = open_dataset(coco(tmp_path, annotations=seen))
    assert truth(dataset) == {"cup": [1, 1, 1, 1]}
    assert dataset.faults == ()


@pytest.mark.parametrize("form", [float, str, lambda value: f"{value}.0"])
def test_case_25_a_file_in_which_all_numbers_are_of_another_form(tmp_path: Path, form: Any) -> None:
    document = json.loads(coco(tmp_path).read_text())
    for section in ("categories", "videos", "images", "annotations"):
        for entry in document[section]:
            for key, value in entry.items():
                if isinstance(value, int):
                    entry[key] = form(value)

    dataset = open_dataset(coco(tmp_path, **document))

    assert truth(dataset) == {"cup": [1, 1, 1, 1], "dog": [1, 0, 0, 0]}
    assert dataset.tracks()[0].stamps_s.tolist() == [1, 2, 3, 4]
    assert dataset.faults == ()


DOG_FIRST = [annotation(1, 2)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], [1, 0, 0, 0]),
        ([annotation(3, 99)], [1, 0, -1, 0]),  # it may be a dog
        ([annotation(3, None)], [1, 0, -1, 0]),
        ([annotation(3, "dog")], [1, 0, -1, 0]),
        ([annotation(3, 2.5)], [1, 0, -1, 0]),
        ([annotation(99, 2)], [1, -1, -1, -1]),  # it may be in any frame
        ([annotation(None, 2)], [1, -1, -1, -1]),
        ([annotation([3], 2, video_id=1)], [1, -1, -1, -1]),
        ([annotation(99, 1)], [1, 0, 0, 0]),  # it is no dog
        (["nonsense", None, 3], [1, 0, 0, 0]),
    ],
)
def test_case_25_what_cannot_be_used_is_unknown_and_never_absent(
    tmp_path: Path, more: list[Any], expected: list[int]
) -> None:
    dataset = open_dataset(coco(tmp_path, annotations=[annotation(1, 1), *DOG_FIRST, *more]))
    assert truth(dataset)["dog"] == expected
    assert len(dataset.faults) == len(more)


def test_case_25_an_annotation_of_a_dropped_picture_casts_no_doubt_on_others(
    tmp_path: Path,
) -> None:
    images = json.loads(coco(tmp_path).read_text())["images"]
    images[3]["frame_index"] = "soon"
    seen = [*DOG_FIRST, annotation(4, 2)]
    assert truth(open_dataset(coco(tmp_path, images=images, annotations=seen)))["dog"] == [1, 0, 0]


def test_case_25_pictures_with_one_id_are_unknown(tmp_path: Path) -> None:
    images = json.loads(coco(tmp_path).read_text())["images"]
    images.append(dict(images[1], frame_index=9, file_name="9.png"))
    dataset = open_dataset(coco(tmp_path, images=images))
    assert truth(dataset) == {"cup": [1, -1, 1, 1], "dog": [1, -1, 0, 0]}


def test_case_25_entries_that_contradict_each_other_claim_nothing(tmp_path: Path) -> None:
    twice = [{"id": 1, "name": "clip", "neg_category_ids": [2]}, {"id": 1, "name": "other"}]
    dataset = open_dataset(coco(tmp_path, videos=twice))
    assert truth(dataset)["dog"] == [1, -1, -1, -1]
    categories = [*CATEGORIES, {"id": 2, "name": "cat"}]
    dataset = open_dataset(coco(tmp_path, categories=categories))
    assert truth(dataset) == {"cup": [1, 1, 1, 1]}
    partly = [{"id": 1, "not_exhaustive_category_ids": [None]}]
    dataset = open_dataset(coco(tmp_path, videos=partly))
    assert truth(dataset)["dog"] == [1, -1, -1, -1]


def test_case_25_a_second_picture_of_one_frame_is_unknown_where_it_says_more(
    tmp_path: Path,
) -> None:
    images = json.loads(coco(tmp_path).read_text())["images"]
    other = {"id": 50, "video_id": 1, "frame_index": 2, "file_name": "right/2.png"}
    seen = [annotation(1, 1), *DOG_FIRST, annotation(50, 2)]
    dataset = open_dataset(coco(tmp_path, images=[*images, other], annotations=seen))
    assert truth(dataset)["dog"] == [1, -1, 0, 0]
    same = dict(other, file_name="2.png")
    dataset = open_dataset(coco(tmp_path, images=[*images, same], annotations=seen))
    assert truth(dataset)["dog"] == [1, 1, 0, 0]


def test_case_25_rows_of_one_picture_are_put_together(tmp_path: Path) -> None:
    dataset = table(tmp_path, "file,labels\na.jpg,cup\na.jpg,dog\nb.jpg,cup\n")
    assert truth(dataset) == {"cup": [1, 1], "dog": [1, 0]}
    assert stated(dataset, "labels of 1 rows were added")
    dataset = table(tmp_path, "file,cup,dog\na.jpg,1,0\na.jpg,0,0\nb.jpg,,1\nb.jpg,1,1\n")
    assert truth(dataset) == {"cup": [-1, 1], "dog": [0, 1]}


def test_case_25_a_dropped_row_is_unknown_and_never_absent(tmp_path: Path) -> None:
    dataset = table(tmp_path, "stamp,file,labels\n1,left.jpg,cup\n1,right.jpg,dog\n2,c.jpg,dog\n")
    assert truth(dataset) == {"cup": [1, 0], "dog": [-1, 1]}


@pytest.mark.parametrize(
    "written",
    ["frames\\a\\1.png", ".\\frames\\a\\1.png", "C:\\data\\set\\frames\\a\\1.png",
     "C:/data/frames/a/1.png", "\\\\server\\share\\frames\\a\\1.png", "/home/other/frames/a/1.png"],
)  # fmt: skip
def test_case_26_paths_of_other_systems_are_found(tmp_path: Path, written: str) -> None:
    paint(tmp_path / "frames/a/1.png")
    paint(tmp_path / "1.png")

    dataset = table(tmp_path, f"file,labels\n{written},cup\n")

    assert readable(dataset) == 1
    assert dataset.tracks()[0].name == "frames/a"
    assert stated(dataset, "1 paths of another system")
    images = [{"id": 1, "video_id": 1, "frame_index": 1, "file_name": written}]
    dataset = open_dataset(coco(tmp_path, images=images))
    assert readable(dataset) == 1 and stated(dataset, "1 paths of another system")


def test_case_26_a_backslash_may_be_part_of_a_name(tmp_path: Path) -> None:
    paint(tmp_path / "a\\b.png")
    dataset = table(tmp_path, "file,labels\na\\b.png,cup\n")
    assert readable(dataset) == 1 and not stated(dataset, "another system")


def test_case_26_the_cause_is_named_where_nothing_is_found(tmp_path: Path) -> None:
    paint(tmp_path / "other.png")
    dataset = table(tmp_path, "file,labels\nD:\\data\\1.png,cup\n")
    (fault,) = dataset.sequences[0].pictures.read()
    assert isinstance(fault, Fault)
    assert "no such file" in fault.reason and "a path of Windows" in fault.reason


@pytest.mark.parametrize(
    "text",
    [
        "file,cup,dog\na.jpg,1,0\nb.jpg,0,\nc.jpg,,1\n",
        "FILE,cup,dog\na.jpg,1.0,0.0\nb.jpg,0.0,nan\nc.jpg,,1.0\n",
        "filename, cup, dog\na.jpg, True, False\nb.jpg, false,\nc.jpg,-1, TRUE\n",
        ",file,cup,dog\n0,a.jpg,1,0\n1,b.jpg,0,\n2,c.jpg,,1\n",
        "Unnamed: 0,file,cup,dog\n0,a.jpg,1,0\n1,b.jpg,0,\n2,c.jpg,,1\n",
        "file;cup;dog\na.jpg;1;0\nb.jpg;0;\nc.jpg;;1\n",
        "\ufefffile\tcup\tdog\r\na.jpg\t1\t0\r\nb.jpg\t0\t\r\nc.jpg\t\t1\r\n",
        'file,cup," dog "\n"a.jpg","yes","no"\n"b.jpg","no",""\n"c.jpg",None,"1"\n',
    ],
)
def test_case_27_a_column_for_each_label(tmp_path: Path, text: str) -> None:
    dataset = table(tmp_path, text)
    assert dataset.vocabulary.names == ("cup", "dog")
    assert truth(dataset) == {"cup": [1, 0, -1], "dog": [0, -1, 1]}
    assert dataset.faults == ()


def test_case_27_a_cell_that_is_no_value_is_unknown_and_named(tmp_path: Path) -> None:
    dataset = table(tmp_path, "file,cup,dog\na.jpg,1,2\nb.jpg,0,0\n")
    assert truth(dataset) == {"cup": [1, 0], "dog": [-1, 0]}
    assert [fault.reason for fault in dataset.faults] == [
        "dog is unknown: expected 0 or 1, found '2'"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,lbls\na.jpg,cup\nb.jpg,dog\n", "column 'lbls', found 'cup'; remove"),
        ("file,cup,split\na.jpg,1,train\nb.jpg,0,test\n", "column 'split', found 'train'"),
        ("file,cup,width\na.jpg,1,640\nb.jpg,0,640\n", "column 'width', found '640'"),
    ],
)
def test_case_27_a_column_without_0_and_1_is_not_a_label(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(PolymorphError, match=told):
        table(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "File,Labels\na.jpg,cup|dog\nb.jpg,dog\n",
        ",FILE,LABELS\n0,a.jpg,cup|dog\n1,b.jpg,dog\n",
        "file;labels\na.jpg;cup|dog\nb.jpg;dog\n",
        'file,labels\na.jpg,"cup, dog"\nb.jpg,dog\n',
        "file;labels\na.jpg;cup,dog\nb.jpg;dog\n",
        "file,labels\na.jpg,cup;dog\nb.jpg,dog\n",
        "file,labels\na.jpg,\"['cup', 'dog']\"\nb.jpg,['dog']\n",
        "file,labels\na.jpg,cup | dog |\nb.jpg,\u200bdog\u00a0\n",
        "filename\tlabel\na.jpg\tcup|dog\nb.jpg\tdog\n",
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_case_27_lists_of_labels_in_other_dress(tmp_path: Path, text: str, codec: str) -> None:
    dataset = table(tmp_path, text.encode(codec))
    assert truth(dataset) == {"cup": [1, 0], "dog": [1, 1]}
    assert dataset.faults == ()


def test_case_27_a_comma_separates_only_where_nothing_else_does(tmp_path: Path) -> None:
    dataset = table(tmp_path, 'file,labels\na.jpg,"cup, dog"\n')
    assert dataset.vocabulary.names == ("cup", "dog")
    assert stated(dataset, "labels are separated by ','")
    dataset = table(tmp_path, 'file,labels\na.jpg,"cup, red|dog"\nb.jpg,"cup, red"\n')
    assert dataset.vocabulary.names == ("cup, red", "dog")
    dataset = table(tmp_path, 'file,labels\na.jpg,"cup, red;dog"\n', separator=";")
    assert dataset.vocabulary.names == ("cup, red", "dog")
    assert not stated(dataset, "separated")


def test_case_27_a_decimal_comma_beside_semicolons(tmp_path: Path) -> None:
    dataset = table(tmp_path, "stamp;file;labels\n0,5;a.jpg;cup\n1,25;b.jpg;\n")
    assert dataset.tracks()[0].stamps_s.tolist() == [0.5, 1.25]


def test_case_27_labels_that_only_look_different_are_one(tmp_path: Path) -> None:
    spellings = ["caf\u00e9 cup", "cafe\u0301 cup", "caf\u00e9  cup", "caf\u00e9\u00a0cup\u200d"]
    rows = "".join(f"{n}.jpg,{text}\n" for n, text in enumerate(spellings))
    dataset = table(tmp_path, "file,labels\n" + rows)
    assert truth(dataset) == {"caf\u00e9 cup": [1, 1, 1, 1]}
    assert stated(dataset, "4 spellings of the label 'caf\u00e9 cup' are one")


def test_case_27_labels_that_differ_in_case_stay_two_and_are_stated(tmp_path: Path) -> None:
    dataset = table(tmp_path, "file,labels\na.jpg,Cup\nb.jpg,cup\n")
    assert dataset.vocabulary.names == ("Cup", "cup")
    assert stated(dataset, "'Cup' and 'cup' differ in case only")


def test_case_27_categories_that_only_look_different_are_one_label(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "cup\u200b"}, {"id": 2, "name": " cup"}]
    dataset = open_dataset(coco(tmp_path, categories=categories))
    assert truth(dataset) == {"cup": [1, 1, 1, 1]}
    assert stated(dataset, "2 spellings")


@pytest.mark.parametrize("videos", [None, [], "absent"])
def test_case_27_plain_coco_is_one_video_for_each_folder(tmp_path: Path, videos: Any) -> None:
    names = ["b/2.png", "b/1.png", "a/00030.png", "a/00000.png", "a/00060.png"]
    images = [{"id": n, "file_name": name, "width": 6} for n, name in enumerate(names)]
    seen = [annotation(0, 1), annotation(3, 2)]
    path = coco(tmp_path, images=images, annotations=seen, videos=videos)
    if videos == "absent":
        document = json.loads(path.read_text())
        del document["videos"]
        path.write_text(json.dumps(document))

    dataset = open_dataset(path, fps=30.0)

    assert [track.name for track in dataset.tracks()] == ["a", "b"]
    assert [track.stamps_s.tolist() for track in dataset.tracks()] == [
        [0.0, 1.0, 2.0],
        [1 / 30, 2 / 30],
    ]
    assert truth(dataset, 0) == {"cup": [-1, -1, -1], "dog": [1, 0, 0]}
    assert truth(dataset, 1) == {"cup": [0, 1], "dog": [-1, -1]}
    assert stated(dataset, "the pictures of a folder are one video")
    assert stated(dataset, "stamps from file names, at 30 Hz")
    assert dataset.faults == ()


def test_case_27_plain_coco_with_two_entries_of_one_file(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": name} for n, name in enumerate(["1.png", "1.png", "2.png"])]
    seen = [annotation(0, 1), annotation(1, 2)]
    dataset = open_dataset(coco(tmp_path, images=images, annotations=seen, videos=[]))
    assert truth(dataset) == {"cup": [1, 0], "dog": [1, 0]}


def test_case_27_lists_of_negatives_for_each_picture_are_followed(tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "1.png", "neg_category_ids": [2]},
        {"id": 2, "file_name": "2.png", "neg_category_ids": []},
    ]
    seen = [annotation(1, 1)]
    dataset = open_dataset(coco(tmp_path, images=images, annotations=seen, videos=[]))
    assert truth(dataset) == {"cup": [1, -1], "dog": [0, -1]}


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"images":' * 100_000, '{"images": [' + "[" * 100_000, "[" * 900 + "]" * 900],
    ids=["lists", "objects", "section", "closed"],
)
def test_case_29_deep_nesting_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(PolymorphError) as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)


def test_case_29_nested_and_odd_values_in_entries_are_faults(tmp_path: Path) -> None:
    nested: Any = []
    for _ in range(400):
        nested = [nested]
    odd = [nested, {"a": nested}, True, 1e300, "\ud800\x07\n", "9" * 4000, float("nan")]
    images = json.loads(coco(tmp_path).read_text())["images"]
    images += [{"id": n + 100, "video_id": one, "frame_index": 3} for n, one in enumerate(odd)]
    images += [{"id": 200 + n, "video_id": 1, "frame_index": one, "file_name": one}
               for n, one in enumerate(odd)]  # fmt: skip
    seen = [annotation(1, 1), *(annotation(one, one) for one in odd)]
    path = coco(tmp_path, images=images, annotations=seen)

    result = CliRunner().invoke(data_app, ["check", str(path), "--json", str(tmp_path / "o.json")])

    assert isinstance(result.exception, PolymorphError)  # none of the pictures is there
    report = json.loads((tmp_path / "o.json").read_text())
    assert len(report["faults"]) >= 3 * len(odd)
    assert all(fault["reason"].isprintable() for fault in report["faults"])

"""Pins the formats of labelling tools: what is read of files as the tools write them, that a data
set comes back from each format as it went in, and which bad files are refused. Open: imports by the
tools themselves, which are not on this machine.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polymorph_ros.data.dataset import Dataset, LabelledSequence
from polymorph_ros.data.export import LABELS_FILES, write_dataset
from polymorph_ros.data.image_files import ImageFiles
from polymorph_ros.data.label_columns import COLUMNS
from polymorph_ros.data.label_names import clean_name
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><name>t</name><labels>
 <label><name>cup</name><color>#aa</color><attributes></attributes></label>
 <label><name>dog &amp; bone</name>
  <attributes><attribute><name>size</name></attribute></attributes></label>
 <label><name>bed</name></label>
</labels><owner><username>me</username></owner></task><dumped>now</dumped></meta>
<image id="0" name="a/000000.jpg" width="8" height="6">
 <tag label="cup" source="manual"><attribute name="size">big</attribute></tag>
 <box label="dog &amp; bone" xtl="1" ytl="1" xbr="2" ybr="2" z_order="0"></box>
 <tag label="bed" source="manual"><attribute name="unknown">true</attribute></tag>
</image>
<image id="1" name="a/000030.jpg" width="8" height="6"></image>
</annotations>
"""

DATUMARO = {
    "info": {},
    "categories": {"label": {"labels": [{"name": "cup", "parent": ""}, {"name": "dog"}]}},
    "items": [
        {
            "id": "a/000000",
            "annotations": [
                {"id": 0, "type": "label", "attributes": {}, "group": 0, "label_id": 1},
                {"id": 1, "type": "bbox", "label_id": 1, "bbox": [0, 0, 1, 1]},
                {"id": 2, "type": "label", "label_id": 7},
            ],
            "image": {"path": "a/000000.jpg", "size": [6, 8]},
        },
        {"id": "a/000030", "annotations": [], "image": {"path": "a/000030.jpg"}},
    ],
}


def truth_of(dataset: Dataset) -> dict[tuple[str, float], dict[str, int]]:
    """What is said of each picture, by its sequence and stamp; columns without a judgement left."""
    found = {}
    for sequence in dataset.sequences:
        for truth, stamp_s in zip(
            sequence.track.truth.tolist(), sequence.track.stamps_s.tolist(), strict=True
        ):
            values = zip(dataset.vocabulary.names, truth, strict=True)
            found[sequence.track.name, stamp_s] = dict(sorted(values))
    return found


def test_cvat_tags_and_shapes_are_present_and_other_labels_of_the_task_absent(
    tmp_path: Path,
) -> None:
    (tmp_path / "annotations.xml").write_text(CVAT)

    dataset = open_dataset(tmp_path / "annotations.xml")

    assert truth_of(dataset) == {
        ("a", 0.0): {"cup": 1, "dog & bone": 1, "bed": -1},
        ("a", 1.0): {"cup": 0, "dog & bone": 0, "bed": 0},
    }
    assert "a label that a picture has no tag of is absent there" in dataset.assumptions


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<annotations>", "no element found"),
        ("not xml", "syntax error"),
        ("<annotations/>", "no image"),
        ("<annotations><track id='0' label='cup'/></annotations>", "for video"),
        (
            '<!DOCTYPE a [<!ENTITY x "aa"><!ENTITY y "&x;&x;">]><annotations>&y;</annotations>',
            "DOCTYPE",
        ),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
            "DOCTYPE",
        ),
        ("<?xml version='1.0' encoding='klingon'?><annotations/>", "unknown encoding"),
    ],
)
def test_bad_xml_is_refused_in_one_line(tmp_path: Path, text: str, found: str) -> None:
    file = tmp_path / "bad.xml"
    file.write_text(text)
    with pytest.raises(PolymorphError, match=found) as error:
        open_dataset(file)
    assert str(file) in str(error.value)


def test_datumaro_items(tmp_path: Path) -> None:
    file = tmp_path / "default.json"
    file.write_text(json.dumps(DATUMARO))

    dataset = open_dataset(file)

    assert truth_of(dataset) == {
        ("a", 0.0): {"cup": 0, "dog": 1},
        ("a", 1.0): {"cup": 0, "dog": 0},
    }
    assert [fault.reason for fault in dataset.faults] == ["expected a known label_id, found 7"]


@pytest.mark.parametrize(
    "document",
    [
        {"items": [], "categories": {}},
        {"items": [3, None, {"id": 5}], "categories": {"label": {"labels": [{"name": "cup"}]}}},
        {"items": [{"id": "a"}], "categories": {"label": {"labels": "cup"}}},
    ],
)
def test_bad_datumaro_is_refused(tmp_path: Path, document: dict) -> None:
    file = tmp_path / "default.json"
    file.write_text(json.dumps(document))
    with pytest.raises(PolymorphError, match="Datumaro"):
        open_dataset(file)


@pytest.mark.parametrize("column", ["ground_truth.label", "ground_truth.classifications.label"])
def test_fiftyone_tables(tmp_path: Path, column: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f'filepath,{column}\na/000000.jpg,"cup,dog"\na/000030.jpg,cup\n')
    assert truth_of(open_dataset(table)) == {
        ("a", 0.0): {"cup": 1, "dog": 1},
        ("a", 1.0): {"cup": 1, "dog": 0},
    }


def test_fiftyone_coco_has_its_pictures_in_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    cv2.imwrite(str(tmp_path / "data/a.jpg"), np.zeros((6, 8, 3), np.uint8))
    document = {
        "categories": [{"id": 0, "name": "cup"}],
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 0, "bbox": [0, 0, 1, 1]}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))

    (sequence,) = open_dataset(tmp_path).sequences

    assert [isinstance(one, np.ndarray) for one in sequence.pictures.read()] == [True]


# ---- there and back

LABELS = st.text(min_size=1, max_size=12).filter(
    lambda name: clean_name(name) == name and name.isprintable() and "|" not in name
)
ONE_HOT_LABELS = LABELS.filter(
    lambda name: name.lower() not in {*COLUMNS, "filename", "file_name", "filepath", "image",
                                      "timestamp", "label"}
    and not name.lower().endswith(".label")
)  # fmt: skip


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Sequences of pictures whose labels are present, absent or unknown; each label judged once."""
    names = draw(st.lists(ONE_HOT_LABELS, min_size=1, max_size=4, unique=True))
    sequences = []
    for number in range(draw(st.integers(1, 2))):
        stamps = draw(
            st.lists(st.integers(0, 2**41), min_size=1, max_size=4, unique=True).map(sorted)
        )
        values = st.lists(
            st.lists(st.sampled_from([1, 0, -1]), min_size=len(names), max_size=len(names)),
            min_size=len(stamps), max_size=len(stamps),
        )  # fmt: skip
        truth = np.array(draw(values), np.int8)
        track = Track(truth, np.array(stamps) / 1000, f"trip/{number}")
        sequences.append((track, len(stamps)))
    sequences[0][0].truth[0] = 1  # a label that is never judged has no place in some formats
    picture = Path(PICTURE)
    labelled = (
        LabelledSequence(track, ImageFiles((picture,) * count)) for track, count in sequences
    )
    return Dataset(Vocabulary(tuple(names)), tuple(labelled))


PICTURE = "picture.jpg"


@pytest.mark.parametrize("kind", LABELS_FILES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=datasets())
def test_a_data_set_comes_back_from_each_format(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, kind: str,
    dataset: Dataset,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("there")
    monkeypatch.chdir(folder)
    cv2.imwrite(PICTURE, np.zeros((6, 8, 3), np.uint8))
    out = folder / "out"

    assert write_dataset(dataset, out, kind) == ()

    again = open_dataset(out)
    assert truth_of(again) == truth_of(dataset)
    assert again.faults == ()
    for sequence in again.sequences:
        assert all(isinstance(one, np.ndarray) for one in sequence.pictures.read())


def one_picture(tmp_path: Path, *labels: str, file: str = "a.jpg") -> Dataset:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((6, 8, 3), np.uint8))
    track = Track(np.ones((1, len(labels)), np.int8), np.zeros(1), "../../etc/x:y")
    pictures = ImageFiles((tmp_path / file,))
    return Dataset(Vocabulary(labels), (LabelledSequence(track, pictures),))


def test_a_sequence_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    write_dataset(one_picture(tmp_path, "cup"), tmp_path / "out", "cvat")
    assert (tmp_path / "out/etc/x_y/0.000000000.jpg").is_file()


@pytest.mark.parametrize(("kind", "label"), [("one-hot", "File"), ("csv", "a|b")])
def test_a_label_without_a_place_in_the_format_is_refused_before_anything_is_written(
    tmp_path: Path, kind: str, label: str
) -> None:
    with pytest.raises(PolymorphError, match="choose another format"):
        write_dataset(one_picture(tmp_path, label), tmp_path / "out", kind)
    assert not (tmp_path / "out").exists()


def test_pictures_that_cannot_be_read_are_named_and_none_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="no such file"):
        write_dataset(one_picture(tmp_path, "cup", file="gone.jpg"), tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()

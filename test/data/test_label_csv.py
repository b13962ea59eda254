"""Pins label tables: which columns there are, what a row means, and that a bad row is named.

Leaves open what the rows are joined with; see the tests of each source of pictures.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from polymorph_ros.data.label_csv import LabelTable, read_label_csv
from polymorph_ros.errors import PolymorphError


def table(tmp_path: Path, text: str | bytes) -> LabelTable:
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_label_csv(path)


def test_rows_of_files(tmp_path: Path) -> None:
    read = table(tmp_path, "file,labels\na.jpg,mug|oven\n\nb.jpg,\n")

    assert [(row.file, row.present) for row in read.rows] == [
        ("a.jpg", ("mug", "oven")),
        ("b.jpg", ()),
    ]
    assert read.columns == ("file", "labels")
    assert read.faults == ()


def test_rows_of_stamps_in_any_order_of_columns(tmp_path: Path) -> None:
    read = table(tmp_path, "labels,unknown,stamp,sequence\ncup | cup|, bed ,1.5,kitchen\n")

    (row,) = read.rows
    assert (row.present, row.unknown) == (("cup",), ("bed",))
    assert (row.stamp_s, row.sequence, row.file) == (1.5, "kitchen", "")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbffile,labels\r\na.jpg,mug\r\n",  # as spreadsheets save it
        'file,labels\n"a.jpg","mug"\n',
        "file , labels\na.jpg,mug",
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, text: str | bytes) -> None:
    (row,) = table(tmp_path, text).rows
    assert (row.file, row.present) == ("a.jpg", ("mug",))


def test_another_separator(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,labels\na.jpg,mug;oven\n")

    (row,) = read_label_csv(path, ";").rows

    assert row.present == ("mug", "oven")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("s,1,a.jpg,mug", "expected 5 cells, found 4"),
        ("s,soon,a.jpg,mug,", "stamp in seconds, found 'soon'"),
        ("s,nan,a.jpg,mug,", "stamp in seconds, found 'nan'"),
        ("s,,a.jpg,mug,", "stamp in seconds, found ''"),
        ("s,1,,mug,", "expected a file"),
        (",1,a.jpg,mug,", "expected a sequence"),
        ("s,1,a.jpg,mug,mug", "'mug' as both"),
        ('s,1,a.jpg,"mug"s,', "expected after"),
    ],
)
def test_a_bad_row_is_named_and_the_others_stay(tmp_path: Path, line: str, told: str) -> None:
    read = table(
        tmp_path, f"sequence,stamp,file,labels,unknown\ns,0,x.jpg,mug,\n{line}\ns,2,y.jpg,mug,\n"
    )

    assert [row.file for row in read.rows] == ["x.jpg", "y.jpg"]
    (fault,) = read.faults
    assert fault.where == f"{tmp_path / 'labels.csv'}, line 3"
    assert told in fault.reason


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("picture,tags\na.jpg,mug\n", "found picture,tags"),
        ("file,labels,weight\na.jpg,mug,1\n", "found file,labels,weight"),
        ("file,labels,labels\na.jpg,mug,1\n", "found file,labels,labels"),
        ("sequence,labels\na,mug\n", "found sequence,labels"),
        ("file:labels\na.jpg:mug\n", "found file:labels"),
        ("", "found nothing"),
        ("file,labels\n", "rows with labels, found none"),
        ("stamp,labels\nsoon,mug\n", "line 2: expected a stamp"),
        (b"file,labels\na.jpg,caf\xe9\n", "UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    with pytest.raises(PolymorphError, match=told) as caught:
        table(tmp_path, text)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match=r"none\.csv.*No such file"):
        read_label_csv(tmp_path / "none.csv")

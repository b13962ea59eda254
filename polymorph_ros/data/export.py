"""Write a data set in the formats of labelling tools, with its pictures as files.

Pictures are named ``<sequence>/<stamp in seconds>.<suffix>``, since most formats have no place for
sequences and stamps: every reader here takes both from the names again.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.captures import as_jpeg
from polymorph_ros.data.cvat_xml import cvat_text
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.datumaro_json import datumaro_document
from polymorph_ros.data.image_files import ImageFiles, read_image
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.data.label_columns import COLUMNS, SEPARATOR
from polymorph_ros.data.label_csv import LabelRow
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import new_folder, write_json, write_text

LABELS_FILES = {
    "csv": "labels.csv",
    "one-hot": "_classes.csv",
    "coco": "annotations.json",
    "fiftyone": "labels.json",
    "cvat": "annotations.xml",
    "datumaro": "annotations/default.json",
}
"""Each format's file of labels."""

_PICTURES = {"fiftyone": "data", "datumaro": "images/default"}
_ODD = re.compile(r"[^\w .()+-]")


def write_dataset(
    dataset: Dataset, out: Path, kind: str, advance: Callable[[], None] = lambda: None
) -> tuple[Fault, ...]:
    """Write a data set into a new folder.

    Picture files are copied as they are; those of videos and recordings become JPEG of quality 95.

    Args:
        dataset: what to write.
        out: the folder; it must not exist.
        kind: one of ``LABELS_FILES``.
        advance: called after each frame.

    Returns:
        The pictures that could not be read; they are left out.

    Raises:
        PolymorphError: the folder exists or cannot be written, a label's name has no place in the
            format, or no picture can be read.
    """
    labels = dataset.vocabulary.names
    _check_names(labels, kind)
    faults: list[Fault] = []
    names = folder_names([sequence.track.name for sequence in dataset.sequences])
    with new_folder(out) as folder:
        pictures = folder / _PICTURES.get(kind, "")
        rows: list[LabelRow] = []
        for sequence, name in zip(dataset.sequences, names, strict=True):
            for row in _rows(sequence, name, labels, pictures):
                if isinstance(row, Fault):
                    faults.append(row)
                else:
                    rows.append(row)
                advance()
        if not rows:
            found = f"{faults[0].where}: {faults[0].reason}" if faults else "none"
            raise PolymorphError("a picture that can be read", found, where=str(out))
        _write_labels(folder / LABELS_FILES[kind], kind, labels, rows)
    return tuple(faults)


def _check_names(labels: Sequence[str], kind: str) -> None:
    if kind not in LABELS_FILES:
        raise PolymorphError(f"one of {', '.join(LABELS_FILES)}", repr(kind), where="format")
    for label in labels:
        if kind == "one-hot" and label.lower() in COLUMNS:
            reason = f"the label {label!r}, which is the name of another column"
        elif kind == "csv" and SEPARATOR in label:
            reason = f"the label {label!r}, in which the separator stands"
        else:
            continue
        raise PolymorphError(
            f"labels that fit into the format {kind}", reason, remedy="choose another format"
        )


def folder_names(sequences: Sequence[str]) -> list[str]:
    """A relative folder for each sequence by its name, each another one.

    >>> folder_names(["trips/monday", "../etc", "etc"])
    ['trips/monday', 'etc', 'etc (2)']
    """
    names: list[str] = []
    for sequence in sequences:
        parts = [_ODD.sub("_", part).strip(" .") for part in sequence.split("/")]
        name = "/".join(part for part in parts if part) or "pictures"
        free, number = name, 2
        while free in names:
            free, number = f"{name} ({number})", number + 1
        names.append(free)
    return names


def _rows(
    sequence: LabelledSequence, name: str, labels: Sequence[str], pictures: Path
) -> Iterator[LabelRow | Fault]:
    """The frames of a sequence, after writing the picture of each."""
    (pictures / name).mkdir(parents=True, exist_ok=True)
    written = _written(sequence, pictures / name)
    for truth, stamp_s, file in zip(
        sequence.track.truth, sequence.track.stamps_s.tolist(), written, strict=True
    ):
        if isinstance(file, Fault):
            yield file
            continue
        present, unknown = (
            tuple(labels[column] for column in np.flatnonzero(truth == value).tolist())
            for value in (1, -1)
        )
        relative = f"{name}/{file.name}"
        yield LabelRow(relative, present, unknown, relative, sequence.track.name, stamp_s)


def _written(sequence: LabelledSequence, folder: Path) -> Iterator[Path | Fault]:
    """The file of each frame; files are copied, other pictures encoded."""
    stamps_s = sequence.track.stamps_s.tolist()
    if isinstance(sequence.pictures, ImageFiles):
        for stamp_s, source in zip(stamps_s, sequence.pictures.paths, strict=True):
            found = read_image(source, ImageStream())
            file = folder / f"{stamp_s:.9f}{source.suffix.lower()}"
            if not isinstance(found, Fault):
                shutil.copyfile(source, file)
            yield found if isinstance(found, Fault) else file
        return
    for stamp_s, picture in zip(stamps_s, sequence.pictures.read(), strict=True):
        yield picture if isinstance(picture, Fault) else write_jpeg(folder, stamp_s, picture)


def write_jpeg(folder: Path, stamp_s: float, picture: NDArray[np.uint8]) -> Path:
    """Write a picture under the name of its stamp (seconds); returns its file."""
    file = folder / f"{stamp_s:.9f}.jpg"
    file.write_bytes(as_jpeg(picture))
    return file


def _write_labels(file: Path, kind: str, labels: Sequence[str], rows: Sequence[LabelRow]) -> None:
    if kind == "cvat":
        write_text(file, cvat_text(labels, rows))
    elif kind == "datumaro":
        write_json(file, datumaro_document(labels, rows))
    elif kind in ("coco", "fiftyone"):
        write_json(file, coco_document(labels, rows))
    elif kind == "one-hot":
        write_text(file, one_hot_text(labels, rows))
    else:
        write_text(file, label_csv_text(rows))


def label_csv_text(rows: Sequence[LabelRow]) -> str:
    """A label table with the columns ``sequence,stamp,file,labels,unknown``.

    Args:
        rows: with sequence, stamp and file.
    """
    join = SEPARATOR.join
    # A lone separator is an empty list that says: commas in this table belong to names.
    names = {name for row in rows for name in _names(row)}
    only = SEPARATOR if any("," in name or ";" in name for name in names) else ""
    lines = [["sequence", "stamp", "file", "labels", "unknown"]]
    for row in rows:
        cells = join(row.present) or only, join(row.unknown) or only
        lines.append([row.sequence, f"{row.stamp_s:.9f}", row.file, *cells])
    return _csv_text(lines)


def one_hot_text(labels: Sequence[str], rows: Sequence[LabelRow]) -> str:
    """A table with a column for each label: 1, 0, or nothing for unknown."""
    lines = [["file", *labels]]
    for row in rows:
        values = {**dict.fromkeys(row.present, "1"), **dict.fromkeys(row.unknown, "")}
        lines.append([row.file, *(values.get(label, "0") for label in labels)])
    return _csv_text(lines)


def coco_document(labels: Sequence[str], rows: Sequence[LabelRow]) -> dict[str, Any]:
    """COCO's JSON: an annotation without a box for each label that is present.

    What is absent stands in the picture's ``neg_category_ids`` (as in LVIS), so that what is in
    neither stays unknown.
    """
    ids = {label: number for number, label in enumerate(labels, 1)}
    images, annotations = [], []
    for number, row in enumerate(rows, 1):
        absent = [ids[label] for label in labels if label not in _names(row)]
        images.append({"id": number, "file_name": row.file, "neg_category_ids": absent})
        annotations += [{"image_id": number, "category_id": ids[label]} for label in row.present]
    return {
        "info": {},
        "licenses": [],
        "categories": [{"id": number, "name": label} for label, number in ids.items()],
        "images": images,
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
    }


def _names(row: LabelRow) -> set[str]:
    return {*row.present, *row.unknown}


def _csv_text(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()

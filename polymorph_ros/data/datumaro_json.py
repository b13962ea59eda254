"""Datumaro's JSON: items with annotations, each with the number of a label.

A label of the file that an item is not annotated with is absent there. Unknown labels are
annotations of type ``label`` with the attribute ``unknown``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polymorph_ros.data.coco_entries import mapping
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.label_csv import LabelRow, LabelTable
from polymorph_ros.data.label_names import clean_name, printable
from polymorph_ros.errors import PolymorphError

UNKNOWN = "unknown"

_KIND = "a Datumaro file with items and categories.label.labels"


def is_datumaro(document: Mapping[str, Any]) -> bool:
    """Whether a JSON document is Datumaro's and not COCO's."""
    return isinstance(document.get("items"), list) and isinstance(document.get("categories"), dict)


def read_datumaro(path: Path, document: Mapping[str, Any]) -> LabelTable:
    """A document as a label table.

    Raises:
        PolymorphError: it has no labels or no usable item.
    """
    section = mapping(mapping(document.get("categories")).get("label")).get("labels")
    names = [mapping(one).get("name") for one in section] if isinstance(section, list) else []
    labels = [clean_name(name) if isinstance(name, str) else "" for name in names]
    rows: list[LabelRow] = []
    faults: list[Fault] = []
    for number, entry in enumerate(document["items"]):
        where = f"{path}, item {number}"
        row = _row(where, mapping(entry), labels, faults)
        if row is None:
            faults.append(Fault(where, "expected an image with a path, or an id"))
        else:
            rows.append(row)
    named = tuple(dict.fromkeys(label for label in labels if label))
    if not named or not rows:
        raise PolymorphError(_KIND, "no label" if not named else "no item", where=str(path))
    absent = "a label that an item is not annotated with is absent there"
    columns = ("file", "labels", "unknown")
    return LabelTable(path, columns, named, tuple(rows), tuple(faults), (absent,))


def datumaro_root(path: Path) -> Path:
    """The folder of a file's pictures: ``images/<subset>`` beside ``annotations``, or ``images``.

    The file's own folder, where there is neither.
    """
    images = path.parent.parent / "images"
    for place in (images / path.stem, images, path.parent / "images"):
        if place.is_dir():
            return place
    return path.parent


def _row(
    where: str, entry: Mapping[str, Any], labels: Sequence[str], faults: list[Fault]
) -> LabelRow | None:
    file = mapping(entry.get("image")).get("path") or entry.get("id")
    if not isinstance(file, str) or not file:
        return None
    present: dict[str, None] = {}
    unknown: dict[str, None] = {}
    annotations = entry.get("annotations")
    for one in annotations if isinstance(annotations, list) else []:
        index = mapping(one).get("label_id")
        if not (isinstance(index, int) and 0 <= index < len(labels) and labels[index]):
            if index is not None:
                faults.append(Fault(where, f"expected a known label_id, found {index!r:.99}"))
            continue
        doubtful = mapping(mapping(one).get("attributes")).get(UNKNOWN) is True
        (unknown if doubtful else present)[labels[index]] = None
    left = tuple(label for label in unknown if label not in present)
    return LabelRow(where, tuple(present), left, printable(file), "", None)


def datumaro_document(labels: Sequence[str], rows: Iterable[LabelRow]) -> dict[str, Any]:
    """A document with all labels and the annotations of each picture."""
    numbers = {label: number for number, label in enumerate(labels)}
    items = []
    for row in rows:
        attributes_of = {
            **{label: {} for label in row.present},
            **{label: {UNKNOWN: True} for label in row.unknown},
        }
        annotations = [
            {"id": number, "type": "label", "attributes": attributes, "group": 0,
             "label_id": numbers[label]}
            for number, (label, attributes) in enumerate(attributes_of.items())
        ]  # fmt: skip
        identity = row.file.rpartition(".")[0] or row.file
        items.append({"id": identity, "annotations": annotations, "image": {"path": row.file}})
    entries = [{"name": label, "parent": "", "attributes": [UNKNOWN]} for label in labels]
    categories = {"label": {"labels": entries, "attributes": []}}
    return {"info": {}, "categories": categories, "items": items}

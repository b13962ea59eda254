"""CVAT's XML "for images": the labels of pictures as tags, and as shapes with a label.

A label of the task that a picture has no tag or shape of is absent there. Unknown labels, which
CVAT does not have, are tags with the attribute ``unknown`` set to ``true``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.label_csv import LabelRow, LabelTable
from polymorph_ros.data.label_names import clean_name, printable
from polymorph_ros.errors import PolymorphError

UNKNOWN = "unknown"

_LABELLED = frozenset(
    {"tag", "box", "polygon", "polyline", "points", "mask", "cuboid", "ellipse", "skeleton"}
)
_KIND = 'a file of CVAT\'s format "for images"'


@dataclass
class _Picture:
    """An element ``image`` of the file: the labels of its tags and shapes."""

    name: str
    line: int
    present: dict[str, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)


class _Reader:
    """Takes the elements of a file in their order."""

    def __init__(self, path: Path) -> None:
        self.pictures: list[_Picture] = []
        self.labels: dict[str, None] = {}
        self._path = path
        self._open: list[str] = []
        self._picture: _Picture | None = None
        self._label = ""
        self._is_unknown = False
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse_types
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    def _refuse_types(self, *_: object) -> None:
        """Without a declaration of types there are no entities that could grow or name files."""
        raise PolymorphError(_KIND, "a DOCTYPE, which it never has", where=str(self._path))

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._open.append(name)
        self._text.clear()
        if name == "track" and len(self._open) == 2:
            raise PolymorphError(
                _KIND, 'tracks of the format "for video"', where=str(self._path),
                remedy='export the task again as "CVAT for images 1.1"',
            )  # fmt: skip
        if name == "image" and len(self._open) == 2:
            line = self.parser.CurrentLineNumber
            self._picture = _Picture(attributes.get("name", ""), line)
            self.pictures.append(self._picture)
        elif name in _LABELLED and len(self._open) == 3:
            self._label, self._is_unknown = clean_name(attributes.get("label", "")), False
        elif name == "attribute" and len(self._open) == 4:
            self._open[-1] = f"attribute {attributes.get('name')}"

    def _end(self, name: str) -> None:
        opened = self._open.pop()
        text = clean_name("".join(self._text))
        if opened == "name" and self._open[-2:] == ["labels", "label"] and text:
            self.labels[text] = None
        elif opened == f"attribute {UNKNOWN}" and text.lower() == "true":
            self._is_unknown = True
        elif name in _LABELLED and len(self._open) == 2 and self._picture and self._label:
            chosen = self._picture.unknown if self._is_unknown else self._picture.present
            chosen[self._label] = None
            self.labels.setdefault(self._label)
        self._text.clear()


def read_cvat(path: Path) -> LabelTable:
    """Read a file as a label table.

    Raises:
        PolymorphError: it cannot be read, is no such file, or has no usable picture.
    """
    reader = _Reader(path)
    try:
        with path.open("rb") as stream:
            reader.parser.ParseFile(stream)
    except OSError as error:
        found = error.strerror or str(error)
        raise PolymorphError("a readable XML file", found, where=str(path)) from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise PolymorphError("XML", printable(str(error)), where=str(path)) from None
    rows: list[LabelRow] = []
    faults: list[Fault] = []
    for picture in reader.pictures:
        where = f"{path}, line {picture.line}"
        if not picture.name:
            faults.append(Fault(where, "expected an image with a name"))
            continue
        unknown = tuple(label for label in picture.unknown if label not in picture.present)
        rows.append(
            LabelRow(where, tuple(picture.present), unknown, printable(picture.name), "", None)
        )
    if not rows:
        raise PolymorphError(_KIND, "no image with a name", where=str(path))
    absent = "a label that a picture has no tag of is absent there"
    columns = ("file", "labels", "unknown")
    return LabelTable(path, columns, tuple(reader.labels), tuple(rows), tuple(faults), (absent,))


def cvat_text(labels: Sequence[str], rows: Iterable[LabelRow]) -> str:
    """A file with all labels and the tags of each picture; CVAT reads it for a task with these."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "<version>1.1</version>",
        "<meta><task><labels>",
        *(f"<label><name>{escape(label)}</name>{_ATTRIBUTES}</label>" for label in labels),
        "</labels></task></meta>",
    ]
    for number, row in enumerate(rows):
        lines.append(f'<image id="{number}" name={quoteattr(row.file)}>')
        lines += [f'<tag label={quoteattr(label)} source="manual"/>' for label in row.present]
        lines += [
            f'<tag label={quoteattr(label)} source="manual">'
            f'<attribute name="{UNKNOWN}">true</attribute></tag>'
            for label in row.unknown
        ]
        lines.append("</image>")
    return "\n".join([*lines, "</annotations>", ""])


_ATTRIBUTES = (
    f"<attributes><attribute><name>{UNKNOWN}</name><mutable>False</mutable>"
    "<input_type>checkbox</input_type><default_value>false</default_value><values>false</values>"
    "</attribute></attributes>"
)

"""Pictures in files, with a label table that names them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.image_paths import is_windows_path, path_note, picture_name
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.data.label_csv import LabelRow, LabelTable
from polymorph_ros.data.labelling import sort_rows, track_of, vocabulary_of
from polymorph_ros.data.pixels import ImageError, image_from_jpeg
from polymorph_ros.data.stamp_units import unit_by_size

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)

_NUMBER_AT_END = re.compile(r"^(.*?)(\d{1,30}(?:\.\d{1,30})?)$", re.ASCII | re.DOTALL)
_NANOSECONDS_DIGITS = 16  # as many digits are nanoseconds, not a frame's number


@dataclass(frozen=True)
class ImageFiles:
    """Pictures of one sequence, one file each, opened one after the other.

    Attributes:
        paths: in order of time.
        remarks: what was noticed while they were read, see ``ImageStream``.
    """

    paths: tuple[Path, ...]
    remarks: Counter[str] = field(default_factory=Counter, compare=False)

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        stream = ImageStream(remarks=self.remarks)
        for path in self.paths:
            yield read_image(path, stream)


def read_image(path: Path, stream: ImageStream) -> NDArray[np.uint8] | Fault:
    """A picture file as uint8 RGB (height, width, 3), or why it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            return Fault(str(path), "expected a file, found a folder or device")
        return image_from_jpeg(path.read_bytes(), path.suffix[1:], stream)
    except OSError as error:
        foreign = "; a path of Windows, no end of it is a file beside the labels"
        reason = (error.strerror or str(error)).lower()
        return Fault(str(path), reason + (foreign if is_windows_path(path.name) else ""))
    except ValueError as error:  # of paths that no system has
        return Fault(ascii(str(path)), str(error))
    except ImageError as error:
        return Fault.of(error, str(path))


def labelled_files(table: LabelTable, root: Path, fps: float) -> Dataset:
    """The data set of a table with a column ``file``.

    A row without ``sequence`` belongs to the sequence of its file's folder, as written (of the
    table's name where there is no folder). Stamps that the table lacks come from
    ``stamps_of_names``. A file may be absolute or lead out of the folder with ``..``; paths
    of another system are read as ``picture_name`` says. It is only ever decoded as a picture.

    Args:
        table: with the column ``file``.
        root: what relative files are relative to.
        fps: frames per second where no stamps are given.

    Raises:
        PolymorphError: no label in any row.
    """
    vocabulary = vocabulary_of(table)
    faults = list(table.faults)
    sequences = []
    names = [picture_name(root, row.file) for row in table.rows]
    moved = path_note(root, [row.file for row in table.rows], names)
    rows_found = [replace(row, file=name) for row, name in zip(table.rows, names, strict=True)]
    bases: dict[str, None] = {}
    for name, rows in sorted(_by_sequence(rows_found, table.path.stem).items()):
        stamps, basis = _stamps_of(rows, fps)
        bases[basis] = None
        sound, stamps_s, doubles = sort_rows(rows, stamps)
        faults += doubles
        pictures = ImageFiles(tuple(root / row.file for row in sound))
        sequences.append(LabelledSequence(track_of(sound, stamps_s, name, vocabulary), pictures))
    assumed = tuple(note for note in (*table.assumptions, moved, *bases) if note)
    return Dataset(vocabulary, tuple(sequences), tuple(faults), assumed)


def _by_sequence(rows: Sequence[LabelRow], default: str) -> dict[str, list[LabelRow]]:
    groups: dict[str, list[LabelRow]] = {}
    for row in rows:
        folder = PurePath(row.file).parent.as_posix()
        name = row.sequence or (default if folder == "." else folder)
        groups.setdefault(name, []).append(row)
    return groups


def _stamps_of(rows: Sequence[LabelRow], fps: float) -> tuple[list[float], str]:
    given = [row.stamp_s for row in rows if row.stamp_s is not None]
    if given:
        return given, ""
    return stamps_of_names([PurePath(row.file).stem for row in rows], fps)


def stamps_of_names(names: Sequence[str], fps: float) -> tuple[list[float], str]:
    """Stamps in seconds of pictures that have only names (without suffix), and where they are from.

    Where the names differ only in the number at their end, it is the stamp: seconds if it has a
    decimal point, milli-, micro- or nanoseconds if it is that large or has 16 digits or more,
    else the frame's number, to be divided by ``fps``. Otherwise pictures are taken ``1 / fps``
    apart in the given order.

    >>> stamps_of_names(["left_1500000000000000000", "left_1500000000500000000"], 30.0)
    ([1500000000.0, 1500000000.5], 'stamps from file names, in nanoseconds')
    >>> stamps_of_names(["00000", "00015"], 30.0)
    ([0.0, 0.5], 'stamps from file names, at 30 Hz')
    >>> stamps_of_names(["sofa", "chair"], 10.0)
    ([0.0, 0.1], 'stamps from file names, at 10 Hz')
    """
    by_rate = f"stamps from file names, at {fps:g} Hz"
    matches = [_NUMBER_AT_END.match(name) for name in names]
    parts = [match.groups() for match in matches if match]
    if len({prefix for prefix, _ in parts}) != 1 or len(set(parts)) != len(names):
        return [index / fps for index in range(len(names))], by_rate
    numbers = [number for _, number in parts]
    values = [float(number) for number in numbers]
    if any("." in number for number in numbers):
        return values, "stamps from file names, in seconds"
    per_second, unit = unit_by_size(values)
    if per_second == 1.0 and min(map(len, numbers)) >= _NANOSECONDS_DIGITS:
        per_second, unit = float(NS_PER_S), "nanoseconds"
    if per_second == 1.0:
        return [value / fps for value in values], by_rate
    return [int(number) / per_second for number in numbers], f"stamps from file names, in {unit}"

"""Stage: decode unlabelled recordings once, shrunk to what teacher and student need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.joining import Recording
from polymorph_ros.data.open_dataset import DEFAULT_FPS
from polymorph_ros.data.recordings import find_recordings
from polymorph_ros.distillation.config import RecordingConfig
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.rows import Row, RowWriter

_IMAGES = "images"
_NAMES_FILE = "pictures.json"


@dataclass(frozen=True)
class Source:
    """A recording, and each so many-th picture of it."""

    recording: Recording
    every: int


@dataclass(frozen=True)
class PicturesStage:
    """Pictures of all sources, one after the other.

    Attributes:
        side: of the squares that are stored, pixels.
        content: a hash of the files' names, sizes and times, and of ``every``.
        sources: in order.
    """

    side: int
    content: str
    sources: tuple[Source, ...] = field(metadata={"decides": False})
    name: ClassVar[str] = "pictures"

    def write(self, folder: Path) -> None:
        """Decode, after the sources that an earlier attempt decoded.

        Raises:
            PolymorphError: fewer than two pictures can be used.
        """
        rows = {_IMAGES: Row(np.uint8, (self.side, self.side, 3)), "source": Row(np.int32)}
        notes = folder / _NAMES_FILE
        with RowWriter(folder, rows) as writer, progress_bar() as bars:
            names, faults, start = _earlier(notes, writer)
            task = bars.add_task(
                "decode", total=len(self.sources), completed=start, note=f"{len(names)} pictures"
            )
            for number, source in enumerate(self.sources[start:], start):
                for picture in self._shrunk(source, faults):
                    writer.append(images=picture[1][None], source=np.array([number]))
                    names.append(picture[0])
                write_json(notes, {"sources": number + 1, "names": names, "faults": faults})
                bars.update(task, advance=1, note=f"{len(names)} pictures")
        if len(names) < 2:
            first = f": {faults[0][0]}: {faults[0][1]}" if faults else ""
            raise PolymorphError(
                "pictures to learn from", f"{len(names)}{first}", where="recordings"
            )

    def _shrunk(
        self, source: Source, faults: list[list[str]]
    ) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Name and small square of each picture that can be read; the others become faults."""
        preprocessor = Preprocessor(
            Preprocessing(size=self.side, mean=(0, 0, 0), std=(1, 1, 1)), "cpu"
        )
        try:
            for number, moment in enumerate(source.recording.moments()):
                if number % source.every:
                    continue
                picture = moment.decode()
                if isinstance(picture, Fault):
                    faults.append([picture.where, picture.reason])
                else:
                    name = f"{source.recording.path}, picture {number} at {moment.stamp_s:.3f} s"
                    yield name, preprocessor.shrunk(picture)
        except PolymorphError as error:  # a recording that breaks off: what came before is used
            fault = Fault.of(error, str(source.recording.path))
            faults.append([fault.where, fault.reason])


def pictures_stage(recordings: tuple[RecordingConfig, ...], side: int) -> PicturesStage:
    """The stage for what a configuration names.

    Raises:
        PolymorphError: a place holds no pictures.
    """
    sources = []
    for config in recordings:
        found, _ = find_recordings(config.path, topic=config.topic, fps=DEFAULT_FPS, quick=True)
        sources += [Source(recording, config.every) for recording in found]
    digest = hashlib.sha256()
    for source in sources:
        place = source.recording.path
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            stat = file.stat()
            digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns} {source.every}".encode())
    return PicturesStage(side, digest.hexdigest(), tuple(sources))


def load_pictures(pictures: Artifact) -> NDArray[np.uint8]:
    """Map the pictures, uint8 RGB (pictures, side, side, 3)."""
    images: NDArray[np.uint8] = np.load(pictures.folder / f"{_IMAGES}.npy", mmap_mode="r")
    return images


def names_of(pictures: Artifact) -> list[str]:
    """What to call each picture."""
    return _read_notes(pictures.folder / _NAMES_FILE)[0]


def faults_of(pictures: Artifact) -> list[Fault]:
    """What could not be read, and why."""
    return [Fault(where, why) for where, why in _read_notes(pictures.folder / _NAMES_FILE)[1]]


def _read_notes(file: Path) -> tuple[list[str], list[list[str]], int]:
    """Names, faults, and the number of sources that were decoded."""
    document = json.loads(file.read_text(encoding="utf-8"))
    return document["names"], document["faults"], document["sources"]


def _earlier(notes: Path, writer: RowWriter) -> tuple[list[str], list[list[str]], int]:
    """Names, faults and number of the sources that an earlier attempt finished."""
    if not notes.is_file():
        writer.cut(0)
        return [], [], 0
    names, faults, sources = _read_notes(notes)
    writer.cut(len(names))
    return names, faults, sources

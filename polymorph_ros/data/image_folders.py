"""Folders of pictures whose stamps are told by the names of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from polymorph_ros.data.image_files import IMAGE_SUFFIXES, read_image, stamps_of_names
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.data.joining import Moment
from polymorph_ros.data.label_names import printable


@dataclass(frozen=True)
class ImageFolder:
    """The pictures of a folder as a recording; stamps as ``stamps_of_names`` says."""

    path: Path
    name: str
    fps: float
    frame_id: str = ""
    remarks: Counter[str] = field(default_factory=Counter, compare=False)

    @property
    def clock(self) -> None:
        """None: a folder tells one time only."""
        return None

    def moments(self) -> Iterator[Moment]:
        """Its pictures by ascending stamp."""
        stream = ImageStream(remarks=self.remarks)
        for stamp_s, file in self.stamped_files():
            yield Moment(stamp_s, partial(read_image, file, stream))

    def stamped_files(self) -> list[tuple[float, Path]]:
        """Its pictures with their stamps in seconds, by ascending stamp."""
        files = self._files()
        stamps, _ = self._stamps(files)
        return sorted(zip(stamps, files, strict=True))

    def basis(self) -> str:
        """Where its stamps are from, in words."""
        return self._stamps(self._files())[1]

    def _files(self) -> list[Path]:
        return sorted(file for file in self.path.iterdir() if _is_image(file))

    def _stamps(self, files: Sequence[Path]) -> tuple[list[float], str]:
        return stamps_of_names([file.stem for file in files], self.fps)


def find_image_folders(path: Path, fps: float) -> list[ImageFolder]:
    """A folder and those below it that hold pictures.

    A folder bears its name below the given one (``trips/monday``), the given one its own.
    """
    folders = sorted({file.parent for file in path.rglob("*") if _is_image(file)})
    names = {folder: folder.relative_to(path).as_posix() for folder in folders}
    return [
        ImageFolder(folder, printable(path.resolve().name if folder == path else name), fps)
        for folder, name in names.items()
    ]


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()

"""The recordings that are labelled together, as training will find them: one place, many clips."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.joining import Recording
from polymorph_ros.data.recordings import find_recordings
from polymorph_ros.data.seeking import FolderPictures, Pictures, open_pictures
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
        name: as the column ``sequence`` names it.
        recording: where its pictures are.
        pictures: of it, by number.
    """

    name: str
    recording: Recording
    pictures: Pictures

    def __len__(self) -> int:
        return len(self.pictures.stamps_ns)

    def stamp_text(self, number: int) -> str:
        """A frame's stamp in seconds, to the nanosecond, which a float cannot hold.

        >>> from polymorph_ros.data.seeking import FolderPictures
        >>> pictures = FolderPictures(np.array([1_500_000_000_000_000_001]), (Path("a.jpg"),))
        >>> Clip("a", None, pictures).stamp_text(0)
        '1500000000.000000001'
        """
        stamp_ns = int(self.pictures.stamps_ns[number])
        sign, (seconds, rest) = "-" * (stamp_ns < 0), divmod(abs(stamp_ns), NS_PER_S)
        return f"{sign}{seconds}.{rest:09d}"


@dataclass(frozen=True)
class Footage:
    """All recordings of a session.

    Attributes:
        place: the path that training takes: the recording, or the folder that holds all.
        clips: in the order of their names; none is empty.
        faults: what cannot be used.
        topic: of the images, as it was asked for.
    """

    place: Path
    clips: tuple[Clip, ...]
    faults: tuple[Fault, ...]
    topic: str | None

    @property
    def names_files(self) -> bool:
        """Whether its table names picture files rather than stamps."""
        return all(isinstance(clip.pictures, FolderPictures) for clip in self.clips)

    def file_text(self, clip: Clip, number: int) -> str:
        """A picture's file, relative to the place, as a table names it."""
        assert isinstance(clip.pictures, FolderPictures)
        return clip.pictures.files[number].relative_to(self.place).as_posix()

    @property
    def frames(self) -> int:
        """How many there are in all."""
        return sum(len(clip) for clip in self.clips)


def open_footage(places: Sequence[Path], *, topic: str | None, fps: float) -> Footage:
    """Open recordings, videos and folders of pictures; no picture is decoded.

    Several places are taken as parts of the folder that holds them all, and named below it.

    Args:
        places: bags, videos, or folders with these or with pictures.
        topic: of the images, needed where a bag has several.
        fps: frames per second of pictures whose names do not say when they were taken.

    Raises:
        PolymorphError: there is nothing with pictures in it, or files and recordings are mixed.
    """
    whole = [place.resolve() for place in dict.fromkeys(places)]
    root = whole[0] if len(whole) == 1 else Path(os.path.commonpath(whole))
    clips: dict[str, Clip] = {}
    faults: list[Fault] = []
    for place in whole:
        found, bad = find_recordings(place, topic=topic, fps=fps, quick=True)
        faults += bad
        for recording in found:
            if len(whole) > 1:
                recording = _named_below(root, place, recording)
            pictures = open_pictures(recording)
            if len(pictures.stamps_ns):
                clips[recording.name] = Clip(recording.name, recording, pictures)
            else:
                faults.append(Fault(recording.name, "there is no picture"))
    if not clips:
        raise PolymorphError("pictures to label", "none", where=str(places[0]))
    footage = Footage(root, tuple(clips[name] for name in sorted(clips)), tuple(faults), topic)
    if not footage.names_files and any(
        isinstance(clip.pictures, FolderPictures) for clip in footage.clips
    ):
        raise PolymorphError(
            "either recordings or folders of pictures", "both", where=str(root),
            remedy="label them one after the other: training reads one kind at a time",
        )  # fmt: skip
    return footage


def _named_below(root: Path, place: Path, recording: Any) -> Recording:
    """The recording with the name that it has when all are opened from their common folder."""
    path: Path = recording.path
    below = path if path.is_dir() else path.with_name(place_name(path, recording.name))
    named: Recording = replace(recording, name=below.relative_to(root).as_posix())
    return named


def place_name(path: Path, name: str) -> str:
    """The last part of a recording's name; that of its folder where a name is of several parts."""
    last = name.rsplit("/", 1)[-1]
    return last if path.name.startswith(last) else path.stem


def spread_frames(footage: Footage, limit: int) -> list[tuple[int, int]]:
    """Frames all over the footage, at most so many, coarse first: any beginning covers it all."""
    ends = np.cumsum([len(clip) for clip in footage.clips])
    count = min(limit, int(ends[-1]))
    places = np.unique(np.linspace(0, int(ends[-1]) - 1, count).round().astype(np.int64))
    clips = np.searchsorted(ends, places, side="right")
    starts = ends - [len(clip) for clip in footage.clips]
    keys = list(zip(clips.tolist(), (places - starts[clips]).tolist(), strict=True))
    return [keys[index] for index in _coarse_first(len(keys))]


def _coarse_first(count: int) -> list[int]:
    """The numbers below ``count`` in the order of their reversed bits.

    >>> _coarse_first(5)
    [0, 4, 2, 1, 3]
    """
    bits = max(1, (count - 1).bit_length())
    reverse = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(1 << bits))
    return [number for number in reverse if number < count]

"""Join labels with the pictures of videos and recordings: by stamps, within a tolerance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import NS_PER_S, Image
from polymorph_ros.data.clock import Clock
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.label_csv import LabelRow, LabelTable
from polymorph_ros.data.labelling import sort_rows, track_of, vocabulary_of
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Moment:
    """A picture that need not be looked at: its stamp, and how to decode it.

    Attributes:
        stamp_s: seconds, in the recording's time.
        decode: gives uint8 RGB (height, width, 3), or why there is none; it works until the next
            moment is taken.
        exact_ns: the stamp in nanoseconds, where the recording has it: a float cannot hold it.
    """

    stamp_s: float
    decode: Callable[[], Image | Fault]
    exact_ns: int | None = None

    @property
    def stamp_ns(self) -> int:
        """The stamp, nanoseconds."""
        return round(self.stamp_s * NS_PER_S) if self.exact_ns is None else self.exact_ns


class Recording(Protocol):
    """Something with the pictures of one sequence: a video, an image topic, a folder."""

    @property
    def path(self) -> Path:
        """Its file or folder."""
        ...

    @property
    def name(self) -> str:
        """The sequence's name."""
        ...

    @property
    def frame_id(self) -> str:
        """Of the camera's image messages; empty where there are none."""
        ...

    @property
    def clock(self) -> Clock | None:
        """How the time of its pictures was decided; None where only one time is known."""
        ...

    def moments(self) -> Iterator[Moment]:
        """Its pictures by ascending stamp.

        Raises:
            PolymorphError: it breaks off; what came before can be used.
        """
        ...


@dataclass(frozen=True)
class JoinedPictures:
    """The picture of a recording for each labelled stamp, found and decoded in one pass.

    Attributes:
        recording: where the pictures are.
        stamps_s: float64 of shape (frames,), ascending, in the recording's time.
        wheres: where each frame's labels come from, for messages.
        tolerance_s: how far a picture's stamp may be from its labels'.
    """

    recording: Recording
    stamps_s: NDArray[np.float64]
    wheres: Sequence[str]
    tolerance_s: float

    @property
    def remarks(self) -> Mapping[str, int]:
        """What decoding brought, of recordings that tell."""
        return getattr(self.recording, "remarks", {})

    def read(self) -> Iterator[Image | Fault]:
        """Per stamp the nearest of the pictures that are not nearer to another stamp."""
        seen_s: list[float] = []
        breaks: list[str] = []
        waiting, found = 0, None
        moments = self._moments(seen_s, breaks)
        for frame, own in groupby(moments, lambda one: nearest_index(self.stamps_s, one.stamp_s)):
            # the first picture of this frame has been seen: none nearer to those before can come
            yield from self._answers(range(waiting, frame), found, seen_s)
            waiting, found = frame, self._nearest(frame, own)
        yield from self._answers(range(waiting, len(self.stamps_s)), found, seen_s, "".join(breaks))

    def _moments(self, seen_s: list[float], breaks: list[str]) -> Iterator[Moment]:
        """Up to the first one after the last stamp; notes their times, and why they break off."""
        try:
            for moment in self.recording.moments():
                seen_s.append(moment.stamp_s)
                yield moment
                if moment.stamp_s > self.stamps_s[-1] + self.tolerance_s:
                    return
        except PolymorphError as error:
            breaks.append(f"; {error}")

    def _nearest(self, frame: int, moments: Iterable[Moment]) -> Image | Fault | None:
        """The picture nearest to a frame's stamp, if one is within the tolerance."""
        found, nearest_s = None, np.inf
        for moment in moments:
            gap_s = abs(moment.stamp_s - float(self.stamps_s[frame]))
            if gap_s <= self.tolerance_s and gap_s < nearest_s:
                found, nearest_s = moment.decode(), gap_s
        return found

    def _answers(
        self, frames: range, found: Image | Fault | None, seen_s: list[float], end: str = ""
    ) -> Iterator[Image | Fault]:
        """What was found for the first of some frames, and why there is nothing for others."""
        for frame in frames:
            if found is not None and frame == frames[0]:
                yield found
            else:
                yield Fault(self.wheres[frame], self._reason(frame, seen_s) + end)

    def _reason(self, frame: int, seen_s: list[float]) -> str:
        if not seen_s:
            return "there is no picture"
        stamp_s = float(self.stamps_s[frame])
        after = bisect_left(seen_s, stamp_s)
        nearest_s = min(abs(one - stamp_s) for one in seen_s[max(0, after - 1) : after + 1])
        if nearest_s <= self.tolerance_s:
            return "the nearest picture is nearer to other labels"
        limit = f"{self.tolerance_s:g} s"
        return f"no picture within {limit}, the nearest is {nearest_s:.4g} s away"


def nearest_index(ascending: NDArray[np.float64], value: float) -> int:
    """The place of the value nearest to a given one; of two equally near ones the first.

    >>> nearest_index(np.array([0.0, 1.0, 5.0]), 2.0)
    1
    """
    after = int(np.searchsorted(ascending, value))
    if after == 0:
        return 0
    if after == len(ascending):
        return after - 1
    return after - int(value - ascending[after - 1] <= ascending[after] - value)


def placed(
    recording: Recording, stamps_s: NDArray[np.float64], tolerance_s: float
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The stamps of labels in the time of a recording's pictures, and what was assumed for it."""
    clock = recording.clock
    if clock is None:
        return stamps_s, ()
    times_s, as_log = clock.place(stamps_s, tolerance_s)
    assumed = []
    if clock.reason:
        instead = "all pictures have log time" if clock.used == "log" else (
            "those pictures have the log's time in step with the rest"
        )  # fmt: skip
        assumed.append(f"{recording.name}: {clock.reason}; {instead}")
    if as_log:
        assumed.append(f"{recording.name}: the stamps of its labels are taken as log times")
    return times_s, tuple(assumed)


def labelled_recordings(
    table: LabelTable, recordings: Sequence[Recording], tolerance_s: float
) -> Dataset:
    """The data set of a table whose column ``sequence`` names recordings.

    Where there is one recording only, the table need not name it: a single sequence, or none,
    is meant for it. What one side names and the other has not is a fault.

    Args:
        table: with the column ``stamp``: header or log times of a bag, a video's own time.
        recordings: each with a name of its own.
        tolerance_s: how far a picture's stamp may be from its row's.

    Raises:
        PolymorphError: no label in any row, or no row for any recording.
    """
    vocabulary = vocabulary_of(table)
    groups: dict[str, list[LabelRow]] = {}
    for row in table.rows:
        groups.setdefault(row.sequence, []).append(row)
    if len(recordings) == len(groups) == 1:
        (only,) = groups.values()
        groups = {recordings[0].name: only}
    faults = list(table.faults)
    assumptions: list[str] = []
    sequences = []
    for recording in sorted(recordings, key=lambda recording: recording.name):
        rows = groups.pop(recording.name, [])
        if not rows:
            faults.append(Fault(recording.name, f"no row of {table.path} names it"))
            continue
        stamps = [row.stamp_s for row in rows if row.stamp_s is not None]
        times_s, assumed = placed(recording, np.array(stamps), tolerance_s)
        assumptions += assumed
        sound, stamps_s, doubles = sort_rows(rows, times_s.tolist())
        faults += doubles
        wheres = tuple(row.where for row in sound)
        pictures = JoinedPictures(recording, stamps_s, wheres, tolerance_s)
        track = track_of(sound, stamps_s, recording.name, vocabulary)
        sequences.append(LabelledSequence(track, pictures, recording.frame_id, recording.clock))
    faults += [
        Fault(rows[0].where, f"no video or recording of the name {name!r} for {len(rows)} rows")
        for name, rows in groups.items()
    ]
    if not sequences:
        raise PolymorphError(
            f"rows for {', '.join(recording.name for recording in recordings)}",
            f"the sequences {', '.join(repr(name) for name in groups)}",
            where=str(table.path),
            remedy="name the recordings in the column sequence as their files are named",
        )
    return Dataset(vocabulary, tuple(sequences), tuple(faults), tuple(assumptions))

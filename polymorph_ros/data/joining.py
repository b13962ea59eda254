"""Join labels with the pictures of videos and recordings: by stamps, within a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import NS_PER_S, Image
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
    def name(self) -> str:
        """The sequence's name."""
        ...

    @property
    def frame_id(self) -> str:
        """Of the camera's image messages; empty where there are none."""
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

    def read(self) -> Iterator[Image | Fault]:
        """Per stamp the nearest of the pictures that are not nearer to another stamp."""
        frame, found, nearest, before_s, end = 0, None, np.inf, -np.inf, ""
        try:
            for moment in self.recording.moments():
                belongs = nearest_index(self.stamps_s, moment.stamp_s)
                while frame < belongs:
                    nearest = min(nearest, self._gap(frame, moment.stamp_s))
                    yield self._result(frame, found, nearest)
                    frame, found, nearest = frame + 1, None, self._gap(frame + 1, before_s)
                before_s = moment.stamp_s
                gap = self._gap(frame, before_s)
                if gap <= self.tolerance_s and (found is None or gap < nearest):
                    found = moment.decode()
                nearest = min(nearest, gap)
                if before_s > self.stamps_s[-1] + self.tolerance_s:
                    break
        except PolymorphError as error:
            end = f"; {error}"
        while frame < len(self.stamps_s):
            yield self._result(frame, found, nearest, end)
            frame, found = frame + 1, None
            nearest = self._gap(min(frame, len(self.stamps_s) - 1), before_s)

    def _gap(self, frame: int, stamp_s: float) -> float:
        return abs(stamp_s - float(self.stamps_s[frame]))

    def _result(
        self, frame: int, found: Image | Fault | None, nearest: float, end: str = ""
    ) -> Image | Fault:
        if found is not None:
            return found
        if not np.isfinite(nearest):
            reason = "there is no picture"
        elif nearest <= self.tolerance_s:
            reason = "the nearest picture is nearer to other labels"
        else:
            limit = f"{self.tolerance_s:g} s"
            reason = f"no picture within {limit}, the nearest is {nearest:.4g} s away"
        return Fault(self.wheres[frame], reason + end)


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


def labelled_recordings(
    table: LabelTable, recordings: Sequence[Recording], tolerance_s: float
) -> Dataset:
    """The data set of a table whose column ``sequence`` names recordings.

    Where there is one recording only, the table need not name it: a single sequence, or none,
    is meant for it. What one side names and the other has not is a fault.

    Args:
        table: with the column ``stamp``, in the time of the recordings.
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
    sequences = []
    for recording in sorted(recordings, key=lambda recording: recording.name):
        rows = groups.pop(recording.name, [])
        if not rows:
            faults.append(Fault(recording.name, f"no row of {table.path} names it"))
            continue
        stamps = [row.stamp_s for row in rows if row.stamp_s is not None]
        sound, stamps_s, doubles = sort_rows(rows, stamps)
        faults += doubles
        wheres = tuple(row.where for row in sound)
        pictures = JoinedPictures(recording, stamps_s, wheres, tolerance_s)
        track = track_of(sound, stamps_s, recording.name, vocabulary)
        sequences.append(LabelledSequence(track, pictures, recording.frame_id))
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
    return Dataset(vocabulary, tuple(sequences), tuple(faults))

"""Labelled video as every reader gives it: sequences of pictures with stamps and truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.clock import Clock
from polymorph_ros.data.label_names import printable
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Fault:
    """Something that was left out of a data set: where it is, and why, each in plain words."""

    where: str
    reason: str

    def __post_init__(self) -> None:
        for name in ("where", "reason"):  # they quote files, which may hold anything
            object.__setattr__(self, name, printable(getattr(self, name)))

    @classmethod
    def of(cls, error: PolymorphError, where: str = "") -> Fault:
        """What an error says, as a fault; at ``where``, if that is known better."""
        remedy = f"; {error.remedy}" if error.remedy else ""
        return cls(where or error.where, f"expected {error.expected}, found {error.found}{remedy}")


class Pictures(Protocol):
    """Where the pictures of a sequence come from: files, a video, a recording."""

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        """One item per frame, in order: uint8 RGB (height, width, 3), or why it cannot be read."""
        ...


@dataclass(frozen=True)
class LabelledSequence:
    """One drive, clip or recording: its truth and its pictures, frame by frame.

    Attributes:
        track: its truth.
        pictures: one for each frame of the track.
        frame_id: of the camera's image messages; empty where there are none.
        clock: which time its pictures have, where a recording has two; None elsewhere.
    """

    track: Track
    pictures: Pictures
    frame_id: str = ""
    clock: Clock | None = None

    def __len__(self) -> int:
        return len(self.track.stamps_s)


@dataclass(frozen=True)
class Dataset:
    """Sequences over one vocabulary.

    Attributes:
        vocabulary: the labels; a sequence's truth has a column for each.
        sequences: in the order of their names.
        faults: rows, files or messages that could not be used; the rest can be worked with.
        assumptions: what the reader took for granted because the data do not say it.
    """

    vocabulary: Vocabulary
    sequences: tuple[LabelledSequence, ...]
    faults: tuple[Fault, ...] = ()
    assumptions: tuple[str, ...] = ()

    def tracks(self) -> tuple[Track, ...]:
        """The truth of each sequence."""
        return tuple(sequence.track for sequence in self.sequences)

"""Which pictures of a data set can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence


@dataclass(frozen=True)
class PictureSurvey:
    """The result of opening every picture.

    Attributes:
        readable: frames with a picture, per sequence.
        sizes: (width, height) in pixels -> frames, the most frequent first.
        remarks: what was noticed in pictures that can be read, per sequence and kind a line.
        faults: what cannot be read; one for a sequence of which nothing can.
    """

    readable: tuple[int, ...]
    sizes: dict[tuple[int, int], int]
    remarks: tuple[str, ...]
    faults: tuple[Fault, ...]


def survey_pictures(dataset: Dataset, done: Callable[[], None]) -> PictureSurvey:
    """Open every picture, one at a time; ``done`` is called after each."""
    readable: list[int] = []
    sizes: Counter[tuple[int, int]] = Counter()
    remarks: list[str] = []
    faults: list[Fault] = []
    for sequence in dataset.sequences:
        bad: list[Fault] = []
        for picture in sequence.pictures.read():
            if isinstance(picture, Fault):
                bad.append(picture)
            else:
                sizes[picture.shape[1], picture.shape[0]] += 1
            done()
        readable.append(len(sequence) - len(bad))
        noticed: dict[str, int] = getattr(sequence.pictures, "remarks", {})
        name = sequence.track.name
        remarks += [f"{name}: {text} ({count:,} pictures)" for text, count in noticed.items()]
        faults += bad if readable[-1] or len(bad) < 2 else [_nothing_of(sequence, bad)]
    return PictureSurvey(tuple(readable), dict(sizes.most_common()), tuple(remarks), tuple(faults))


def _nothing_of(sequence: LabelledSequence, faults: list[Fault]) -> Fault:
    first = faults[0]
    reason = f"none of {len(faults)} pictures can be read; {first.where}: {first.reason}"
    return Fault(f"sequence {sequence.track.name}", reason)

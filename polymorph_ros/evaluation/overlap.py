"""Whether truth and pictures are of the same time."""

from __future__ import annotations

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.joining import JoinedPictures
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.join import JoinedData, JoinedSequence


def require_pictures(data: JoinedData, where: str) -> None:
    """Make sure that there is a picture for some truth.

    Raises:
        PolymorphError: there is none; where the times of truth and pictures do not overlap, it
            says both.
    """
    for sequence in data.sequences:
        if any(not isinstance(picture, Fault) for picture in sequence.pictures.read()):
            return
    for sequence in data.sequences:
        _require_overlap(sequence)
    raise PolymorphError("a picture that can be read", "none", where=where)


def _require_overlap(sequence: JoinedSequence) -> None:
    pictures = sequence.pictures
    if not isinstance(pictures, JoinedPictures):
        return
    stamps = [moment.stamp_s for moment in pictures.recording.moments()]
    if not stamps:
        return
    first, last = float(pictures.stamps_s[0]), float(pictures.stamps_s[-1])
    slack = pictures.tolerance_s
    if first > max(stamps) + slack or last < min(stamps) - slack:
        raise PolymorphError(
            f"truth within the pictures' time ({min(stamps):.3f} to {max(stamps):.3f} s)",
            f"truth from {first:.3f} to {last:.3f} s",
            where=sequence.name,
            remedy="give both the stamps of one clock",
        )

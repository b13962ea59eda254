"""What two labelled frames that agree and look alike say of the frames between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from polymorph_ros.annotation.book import FrameKey, LabelBook
from polymorph_ros.annotation.vision import Look

_ALIKE = 0.6  # of the usual distance of two frames: nearer ones are of one view
_ALIKE_WITHIN = (0.05, 0.4)
_PARTS = 4  # a gap is looked at in its quarters too

LookAt = Callable[[FrameKey], Look | None]


@dataclass(frozen=True)
class Proposal:
    """Frames between two labelled ones, and what both agree on.

    Attributes:
        start, end: the labelled frames.
        present: bit set of the labels that are present in both.
    """

    start: int
    end: int
    present: int


def find_proposals(
    book: LabelBook, recording: int, look_at: LookAt, usual_distance: float
) -> tuple[list[Proposal], list[FrameKey]]:
    """The proposals of one recording.

    Args:
        book: the rows.
        recording: its number.
        look_at: what is known of a frame.
        usual_distance: of ``ranking.usual_distance``.

    Returns:
        what is proposed, and the frames that have to be looked at before more can be said.
    """
    frames = np.array(sorted(frame for clip, frame in book.rows if clip == recording), np.int64)
    gaps = np.flatnonzero(np.diff(frames) > 1)
    alike = float(np.clip(_ALIKE * usual_distance, *_ALIKE_WITHIN))
    found: list[Proposal] = []
    missing: list[FrameKey] = []
    for start, end in zip(frames[gaps].tolist(), frames[gaps + 1].tolist(), strict=True):
        present = book.rows[recording, start].present & book.rows[recording, end].present
        if not present:
            continue
        marks = np.unique(np.linspace(start, end, _PARTS + 1).round().astype(int)).tolist()
        keys = [(recording, frame) for frame in marks]
        looks = [look_at(key) for key in keys]
        known = [look for look in looks if look is not None]
        if len(known) < len(looks):
            missing += [key for key, look in zip(keys, looks, strict=True) if look is None]
        elif _alike(known, alike):
            found.append(Proposal(start, end, present))
    return found, missing


def _alike(looks: Sequence[Look], distance: float) -> bool:
    """Whether all are near to the first and to the last."""
    features = np.stack([look.features for look in looks]).astype(np.float64)
    units = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    nearest = min((units @ units[0]).min(), (units @ units[-1]).min())
    return bool(2.0 - 2.0 * nearest <= distance**2)

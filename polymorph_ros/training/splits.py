"""Share sequences out to training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Fault, LabelledSequence, Pictures
from polymorph_ros.data.track import Track


@dataclass(frozen=True)
class Excerpt:
    """Some of a sequence's pictures, one after the other."""

    pictures: Pictures
    first: int
    last: int

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        """Its pictures, in order."""
        return islice(self.pictures.read(), self.first, self.last)


Sequences = tuple[LabelledSequence, ...]


def split_by_sequences(
    sequences: Sequences, share: float, rng: np.random.Generator
) -> tuple[Sequences, Sequences]:
    """Take whole sequences out, up to a share of all frames, in random order.

    A sequence stays if without it a label would have no frame left.

    Returns:
        those that stay and those that are taken; none is taken where that is not possible.
    """
    wanted = share * sum(len(sequence) for sequence in sequences)
    has = np.array([(sequence.track.truth == 1).any(axis=0) for sequence in sequences])
    stays = np.ones(len(sequences), dtype=np.bool_)
    taken = 0
    for index in rng.permutation(len(sequences)):
        size = len(sequences[index])
        others = stays.copy()
        others[index] = False
        if not size or taken + size > 1.5 * wanted or not others.any():
            continue
        if (has[index] & ~has[others].any(axis=0)).any():
            continue
        stays, taken = others, taken + size
        if taken >= wanted:
            break
    return (
        tuple(sequence for sequence, keep in zip(sequences, stays, strict=True) if keep),
        tuple(sequence for sequence, keep in zip(sequences, stays, strict=True) if not keep),
    )


def split_by_time(sequences: Sequences, share: float) -> tuple[Sequences, Sequences]:
    """Cut the last part of each sequence off.

    Returns:
        the first parts, then the last parts; no empty ones.
    """
    cuts = [round((1.0 - share) * len(sequence)) for sequence in sequences]
    pairs = list(zip(sequences, cuts, strict=True))
    return (
        tuple(_excerpt(one, 0, cut) for one, cut in pairs if cut > 0),
        tuple(_excerpt(one, cut, len(one)) for one, cut in pairs if cut < len(one)),
    )


def _excerpt(sequence: LabelledSequence, first: int, last: int) -> LabelledSequence:
    track = sequence.track
    part = Track(track.truth[first:last], track.stamps_s[first:last], track.name)
    return replace(sequence, track=part, pictures=Excerpt(sequence.pictures, first, last))

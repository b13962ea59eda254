"""Share sequences out to training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import compress, islice

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Mask
from polymorph_ros.data.dataset import Fault, LabelledSequence, Pictures
from polymorph_ros.data.track import Track

_BLOCKS = 20  # of a sequence that is split in blocks


@dataclass(frozen=True)
class Excerpt:
    """Some of a sequence's pictures, in order.

    Attributes:
        pictures: of the whole sequence.
        chosen: bool (frames,), which of them.
    """

    pictures: Pictures
    chosen: Mask

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        """Its pictures, in order."""
        last = int(np.flatnonzero(self.chosen).max(initial=-1))
        return compress(islice(self.pictures.read(), last + 1), self.chosen.tolist())


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
    taken = [np.arange(len(one)) >= round((1.0 - share) * len(one)) for one in sequences]
    return _parted(sequences, taken)


def split_in_blocks(sequences: Sequences, share: float) -> tuple[Sequences, Sequences]:
    """Take blocks out of each sequence, all over it: every part of it still teaches.

    A block is a twentieth of the sequence, so that neighbouring frames, which are alike, mostly
    stay together. Of the choices of blocks that one is taken with most labels in both parts, then
    in what stays.

    Returns:
        what stays and what is taken; no empty sequences.
    """
    every = max(2, round(1.0 / share))
    choices = []
    for start in range(every):
        choices.append(
            [
                (number + np.arange(len(one)) * _BLOCKS // max(1, len(one))) % every == start
                for number, one in enumerate(sequences)
            ]
        )
    return _parted(sequences, max(choices, key=lambda taken: _shown(sequences, taken)))


def _shown(sequences: Sequences, taken: list[Mask]) -> tuple[int, int]:
    """How many labels are present both in what is taken and in what stays; and in what stays."""
    present = np.concatenate([one.track.truth == 1 for one in sequences])
    mask = np.concatenate(taken)
    stays = present[~mask].any(axis=0)
    return int((present[mask].any(axis=0) & stays).sum()), int(stays.sum())


def _parted(sequences: Sequences, taken: list[Mask]) -> tuple[Sequences, Sequences]:
    """Each sequence without and with the frames that are taken; no empty ones."""
    pairs = list(zip(sequences, taken, strict=True))
    return (
        tuple(_excerpt(one, ~mask) for one, mask in pairs if not mask.all()),
        tuple(_excerpt(one, mask) for one, mask in pairs if mask.any()),
    )


def _excerpt(sequence: LabelledSequence, chosen: Mask) -> LabelledSequence:
    track = sequence.track
    part = Track(track.truth[chosen], track.stamps_s[chosen], track.name)
    return replace(sequence, track=part, pictures=Excerpt(sequence.pictures, chosen))

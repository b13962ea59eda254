"""Bring a data set's truth into a bundle's vocabulary, by the names of the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Dataset, Fault, Pictures
from polymorph_ros.data.frame import Frame
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class LabelledFrame:
    """A picture of a sequence with its truth.

    Attributes:
        index: its place in the sequence.
        truth: int8 (labels,).
    """

    index: int
    frame: Frame
    truth: NDArray[np.int8]


@dataclass(frozen=True)
class JoinedSequence:
    """One sequence with its truth in the bundle's vocabulary.

    Attributes:
        stamps_ns: int64 (frames,), ascending: an engine that is compared with the node has to get
            the node's stamps to the nanosecond.
        truth: int8 (frames, bundle labels): 1 present, 0 absent, -1 unknown, which every label
            is that the data set does not annotate.
        frame_id: of the camera's image messages; empty where there are none.
    """

    name: str
    stamps_ns: NDArray[np.int64]
    truth: NDArray[np.int8]
    pictures: Pictures
    frame_id: str = ""

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def frames(
        self, left_out: Callable[[Fault], None] = lambda fault: None
    ) -> Iterator[LabelledFrame]:
        """The frames whose pictures can be read, in order; ``left_out`` takes why others cannot."""
        for index, picture in enumerate(self.pictures.read()):
            if isinstance(picture, Fault):
                left_out(picture)
            else:
                stamp_ns = int(self.stamps_ns[index])
                frame = Frame(picture, stamp_ns, frame_id=self.frame_id)
                yield LabelledFrame(index, frame, self.truth[index])


@dataclass(frozen=True)
class JoinedData:
    """A data set in the vocabulary of a bundle.

    Attributes:
        labels: the bundle's vocabulary.
        scored: those of its labels that the truth knows too.
        left_out: labels of the truth that the bundle does not know.
        faults: what of the data could not be used.
        assumptions: what the reader took for granted.
    """

    labels: tuple[str, ...]
    scored: tuple[str, ...]
    left_out: tuple[str, ...]
    sequences: tuple[JoinedSequence, ...]
    faults: tuple[Fault, ...] = ()
    assumptions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(len(sequence) for sequence in self.sequences)


def join(dataset: Dataset, labels: Sequence[str], where: str = "") -> JoinedData:
    """Join truth and vocabulary.

    Args:
        dataset: as ``open_dataset`` returns it.
        labels: the bundle's vocabulary.
        where: the data's place, for the error.

    Raises:
        PolymorphError: not one label of the truth is in the bundle; it lists both.
    """
    ours = {name: column for column, name in enumerate(labels)}
    columns = [
        (column, ours[name]) for column, name in enumerate(dataset.vocabulary) if name in ours
    ]
    if not columns:
        raise PolymorphError(
            f"a label of the bundle ({_some(labels)})",
            f"only others ({_some(dataset.vocabulary.names)})",
            where=where,
            remedy="rename the labels of the truth, or evaluate a bundle that knows them",
        )
    theirs, mine = (list(side) for side in zip(*columns, strict=True))
    sequences = []
    for sequence in dataset.sequences:
        truth = np.full((len(sequence), len(labels)), -1, np.int8)
        truth[:, mine] = sequence.track.truth[:, theirs]
        stamps_ns = np.round(sequence.track.stamps_s * 1e9).astype(np.int64)
        name, pictures = sequence.track.name, sequence.pictures
        sequences.append(JoinedSequence(name, stamps_ns, truth, pictures, sequence.frame_id))
    return JoinedData(
        labels=tuple(labels),
        scored=tuple(labels[column] for column in sorted(mine)),
        left_out=tuple(name for name in dataset.vocabulary if name not in ours),
        sequences=tuple(sequences),
        faults=dataset.faults,
        assumptions=dataset.assumptions,
    )


def _some(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

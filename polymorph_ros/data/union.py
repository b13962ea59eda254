"""Several data sets as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Dataset
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


def union(datasets: Sequence[Dataset]) -> Dataset:
    """Data sets over one vocabulary: that of the first, then what others add, in their order.

    A label that a data set does not know is unknown (-1) in its sequences. Sequences follow each
    other as their data sets do; a name that came before gets a number: ``drive (2)``.

    Raises:
        PolymorphError: there is no data set.
    """
    if not datasets:
        raise PolymorphError("at least one data set", "none", where="union")
    names = dict.fromkeys(name for dataset in datasets for name in dataset.vocabulary)
    vocabulary = Vocabulary(tuple(names))
    taken: set[str] = set()
    sequences = []
    for dataset in datasets:
        columns = np.array(vocabulary.ids_of(dataset.vocabulary))
        for sequence in dataset.sequences:
            name = _free_name(sequence.track.name, taken)
            taken.add(name)
            track = _spread(sequence.track, columns, len(vocabulary), name)
            sequences.append(replace(sequence, track=track))
    return Dataset(
        vocabulary,
        tuple(sequences),
        tuple(fault for dataset in datasets for fault in dataset.faults),
        tuple(dict.fromkeys(text for dataset in datasets for text in dataset.assumptions)),
    )


def with_absent(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """A data set that also says of labels that it lacks that none of its frames shows them.

    Raises:
        PolymorphError: it has one of them.
    """
    both = sorted(set(labels) & set(dataset.vocabulary))
    if both:
        raise PolymorphError(
            "absent labels that the source does not name", ", ".join(both), where="absent"
        )
    vocabulary = Vocabulary((*dataset.vocabulary, *labels))
    sequences = []
    for sequence in dataset.sequences:
        track = sequence.track
        truth = np.pad(track.truth, ((0, 0), (0, len(labels))))
        sequences.append(replace(sequence, track=replace(track, truth=truth)))
    return replace(dataset, vocabulary=vocabulary, sequences=tuple(sequences))


def _spread(track: Track, columns: NDArray[np.int64], labels: int, name: str) -> Track:
    truth = np.full((len(track.truth), labels), -1, dtype=np.int8)
    truth[:, columns] = track.truth
    return replace(track, truth=truth, name=name)


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free

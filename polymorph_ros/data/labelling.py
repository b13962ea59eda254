"""From the rows of a label table to truth: one vocabulary, one track per sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.label_csv import LabelRow, LabelTable
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


def vocabulary_of(table: LabelTable) -> Vocabulary:
    """Every label of a table, in the order of first appearance.

    Raises:
        PolymorphError: there is none.
    """
    if not table.labels:
        raise PolymorphError("at least one label", "none in any row", where=str(table.path))
    return Vocabulary(table.labels)


def stamp_order(stamps_s: Sequence[float]) -> tuple[list[int], list[int]]:
    """The order of ascending stamps, and what has to be left out because its stamp came before."""
    order: list[int] = []
    doubles: list[int] = []
    for index in np.argsort(np.asarray(stamps_s), kind="stable").tolist():
        again = bool(order) and stamps_s[order[-1]] == stamps_s[index]
        (doubles if again else order).append(index)
    return order, doubles


def sort_rows(
    rows: Iterable[LabelRow], stamps_s: Sequence[float]
) -> tuple[list[LabelRow], NDArray[np.float64], list[Fault]]:
    """The rows of one sequence by ascending stamp.

    A second row of one stamp is a fault. What only it names is unknown in the first.
    """
    rows = list(rows)
    order, doubles = stamp_order(stamps_s)
    first = {stamps_s[index]: index for index in order}
    for index in doubles:
        row = rows[first[stamps_s[index]]]
        more = dict.fromkeys(name for name in rows[index].present if name not in row.present)
        unknown = tuple({**dict.fromkeys(row.unknown), **more})
        rows[first[stamps_s[index]]] = replace(row, unknown=unknown)
    faults = [
        Fault(rows[index].where, f"another row has the stamp {stamps_s[index]:.10g} s too")
        for index in doubles
    ]
    stamps = np.array([stamps_s[index] for index in order], dtype=np.float64)
    return [rows[index] for index in order], stamps, faults


def track_of(
    rows: Sequence[LabelRow], stamps_s: NDArray[np.float64], name: str, vocabulary: Vocabulary
) -> Track:
    """The truth of one sequence: what a row does not name is absent."""
    truth = np.zeros((len(rows), len(vocabulary)), dtype=np.int8)
    for index, row in enumerate(rows):
        truth[index, list(vocabulary.ids_of(row.present))] = 1
        truth[index, list(vocabulary.ids_of(row.unknown))] = -1
    return Track(truth, stamps_s, name)

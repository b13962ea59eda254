"""Pins the union of data sets: one vocabulary, and unknown where a data set knows no such label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.image_files import ImageFiles
from polymorph_ros.data.track import Track
from polymorph_ros.data.union import union
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


def made(labels: tuple[str, ...], truth: list[list[int]], name: str = "s") -> Dataset:
    track = Track(np.array(truth, np.int8), np.arange(len(truth)) / 2.0, name)
    sequence = LabelledSequence(track, ImageFiles(()))
    return Dataset(Vocabulary(labels), (sequence,), (Fault(name, "why"),), ("30 Hz",))


def test_what_a_data_set_does_not_know_is_unknown() -> None:
    first = made(("car", "tree"), [[1, 0], [0, -1]], "drive")
    second = made(("dog", "car"), [[1, 0]], "clip")

    both = union([first, second])

    assert both.vocabulary.names == ("car", "tree", "dog")
    drive, clip = both.tracks()
    np.testing.assert_array_equal(drive.truth, [[1, 0, -1], [0, -1, -1]])
    np.testing.assert_array_equal(clip.truth, [[0, -1, 1]])
    assert (drive.name, clip.name) == ("drive", "clip")
    assert both.sequences[0].pictures is first.sequences[0].pictures
    assert both.faults == (Fault("drive", "why"), Fault("clip", "why"))
    assert both.assumptions == ("30 Hz",)


def test_names_stay_apart() -> None:
    sets = [made(("car",), [[1]], "drive") for _ in range(3)]
    assert [track.name for track in union(sets).tracks()] == ["drive", "drive (2)", "drive (3)"]


def test_nothing_has_no_union() -> None:
    with pytest.raises(PolymorphError, match="at least one"):
        union([])


@settings(deadline=None)
@given(
    st.lists(
        st.permutations("abcdef").flatmap(lambda p: st.integers(1, 6).map(lambda n: tuple(p[:n]))),
        min_size=1,
        max_size=4,
    )
)
def test_every_known_value_survives(vocabularies: list[tuple[str, ...]]) -> None:
    rng = np.random.default_rng(len(vocabularies))
    sets = [made(names, rng.integers(-1, 2, (3, len(names))).tolist()) for names in vocabularies]

    merged = union(sets)

    for before, after in zip(sets, merged.tracks(), strict=True):
        columns = list(merged.vocabulary.ids_of(before.vocabulary))
        np.testing.assert_array_equal(after.truth[:, columns], before.tracks()[0].truth)
        others = np.delete(after.truth, columns, axis=1)
        assert (others == -1).all()

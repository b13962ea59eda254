"""Pins how truth and vocabulary meet: by name; what either lacks; what has nothing in common."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.labelled_video import noise_dataset
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.join import join


def test_truth_is_put_into_the_bundles_order_and_what_it_lacks_is_unknown() -> None:
    dataset = noise_dataset(["cup", "person", "kite"], sequences=1)

    data = join(dataset, ["person", "desk", "cup"])

    truth, theirs = data.sequences[0].truth, dataset.sequences[0].track.truth
    assert np.array_equal(truth[:, 0], theirs[:, 1])
    assert (truth[:, 1] == -1).all()
    assert np.array_equal(truth[:, 2], theirs[:, 0])
    assert data.scored == ("person", "cup")
    assert data.left_out == ("kite",)


def test_stamps_are_whole_nanoseconds() -> None:
    data = join(noise_dataset(["cup"], sequences=1, frames=3, hz=3.0), ["cup"])

    assert data.sequences[0].stamps_ns.tolist() == [5_000_000_000, 5_333_333_333, 5_666_666_667]


def test_nothing_in_common_lists_both_sides() -> None:
    with pytest.raises(PolymorphError) as error:
        join(noise_dataset(["kite", "yak"]), ["person", "cup"], where="holiday")

    assert "holiday: expected a label of the bundle (person, cup)" in str(error.value)
    assert "found only others (kite, yak)" in str(error.value)

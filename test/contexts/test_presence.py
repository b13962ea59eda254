"""Pins which contexts are there in a frame: a cover of its labels, by what is around it in time."""

from __future__ import annotations

import numpy as np

from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.track import Track


def test_a_label_alone_is_of_the_context_around_it_in_time() -> None:
    kitchen, street = (0, 1, 2), (0, 3, 4)  # label 0, a person, is in both
    members = membership((kitchen, street), 5)
    truth = np.zeros((9, 5), dtype=np.int8)
    truth[:, 0] = 1
    truth[[0, 1, 7, 8], 3] = 1

    presence = true_presence(Track(truth, np.arange(9.0)), members)

    assert (presence[:, 1] == 1).all()
    assert (presence[:, 0] == 0).all()


def test_presence_covers_all_true_labels() -> None:
    members = membership(((0, 1), (1, 2), (3,)), 4)
    truth = np.array([[1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=np.int8)

    presence = true_presence(Track(truth, np.arange(3.0)), members)

    assert presence.tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]

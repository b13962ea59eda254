"""Pins how the detection of unknown scenes is summed up, and the disturbances it is tried on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from parts.clips import Clip
from parts.unknown_scene_detection import detection, disturbed
from polymorph_ros.data.frame import Frame


def clip(count: int = 4) -> Clip:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(60, 200, (48, 64, 3), dtype=np.uint8) for _ in range(count)]
    frames = (Frame(one, number * 15_000_000_000) for number, one in enumerate(pictures))
    return Clip(tuple(frames), np.zeros((count, 0), np.int8))


def pictures(one: Clip) -> NDArray[np.uint8]:
    return np.stack([frame.image for frame in one.frames])


def test_figures_of_a_kind_stand_beside_those_of_known_pictures() -> None:
    known = np.array([0.5, 0.8, 1.0, 1.2])
    some = [np.array([0.9, 1.5, 2.0, 3.0])]

    row = detection("elsewhere", [clip()], some, known, threshold=1.1)

    assert row.auroc == pytest.approx(14 / 16), "two of sixteen pairs are the wrong way round"
    assert row.unknown == 0.75
    assert row.median == pytest.approx(1.75 / 1.1)


def test_known_pictures_have_false_alarms_and_no_auroc() -> None:
    some = [np.array([0.5, 1.2, 1.3, 0.9]), np.array([1.2, 0.5, 1.2, 0.5])]

    row = detection("known", [clip(), clip()], some, None, threshold=1.1)

    assert math.isnan(row.auroc)
    assert row.unknown == 0.5
    assert row.alarms_per_minute == pytest.approx(3 / 1.5), "one and two, in 45 s each"


def test_disturbances_are_pictures_of_the_same_size_and_the_same_for_a_seed() -> None:
    one, other = dict(disturbed([clip()], 1)), dict(disturbed([clip()], 1))

    assert len(one) == 8
    for name, (changed,) in one.items():
        stamps_ns = [frame.stamp_ns for frame in changed.frames]
        assert stamps_ns == [frame.stamp_ns for frame in clip().frames]
        assert all(frame.image.shape == (48, 64, 3) for frame in changed.frames)
        assert all(frame.image.dtype == np.uint8 for frame in changed.frames)
        assert (pictures(changed) == pictures(other[name][0])).all()
    assert np.mean(pictures(one["black, with noise"][0])[0]) < 10
    for share in (30, 90):
        (covered,) = one[f"{share}% of the lens covered"]
        assert np.mean(pictures(covered) < 40) == pytest.approx(share / 100, abs=0.1)
    sharp, soft = (
        np.std(np.diff(pictures(one[f"blurred, sigma {sigma}% of the height"][0])[0].astype(int)))
        for sigma in (2, 8)
    )
    assert soft < sharp

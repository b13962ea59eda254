"""Pins how the detection of unknown scenes is summed up, and the disturbances it is tried on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.evaluation.unknown_scene import Stream, detection, disturbed


def stream(count: int = 4) -> Stream:
    rng = np.random.default_rng(0)
    pictures = tuple(rng.integers(60, 200, (48, 64, 3), dtype=np.uint8) for _ in range(count))
    return Stream(tuple(number * 15_000_000_000 for number in range(count)), pictures)


def test_figures_of_a_kind_stand_beside_those_of_known_pictures() -> None:
    known = np.array([0.5, 0.8, 1.0, 1.2])
    some = [np.array([0.9, 1.5, 2.0, 3.0])]

    row = detection("elsewhere", [stream()], some, known, threshold=1.1)

    assert row.auroc == pytest.approx(14 / 16), "two of sixteen pairs are the wrong way round"
    assert row.unknown == 0.75
    assert row.median == pytest.approx(1.75 / 1.1)


def test_known_pictures_have_false_alarms_and_no_auroc() -> None:
    some = [np.array([0.5, 1.2, 1.3, 0.9]), np.array([1.2, 0.5, 1.2, 0.5])]

    row = detection("known", [stream(), stream()], some, None, threshold=1.1)

    assert math.isnan(row.auroc)
    assert row.unknown == 0.5
    assert row.alarms_per_minute == pytest.approx(3 / 1.5), "one and two, in 45 s each"


def test_disturbances_are_pictures_of_the_same_size_and_the_same_for_a_seed() -> None:
    one, other = dict(disturbed([stream()], 1)), dict(disturbed([stream()], 1))

    assert len(one) == 8
    for name, (changed,) in one.items():
        assert changed.stamps_ns == stream().stamps_ns
        assert all(picture.shape == (48, 64, 3) for picture in changed.pictures)
        assert all(picture.dtype == np.uint8 for picture in changed.pictures)
        same = other[name][0].pictures
        assert all((a == b).all() for a, b in zip(changed.pictures, same, strict=True))
    assert np.mean(one["black, with noise"][0].pictures[0]) < 10
    for share in (30, 90):
        (covered,) = one[f"{share}% of the lens covered"]
        assert np.mean(np.array(covered.pictures) < 40) == pytest.approx(share / 100, abs=0.1)
    sharp, soft = (
        np.std(np.diff(one[f"blurred, sigma {sigma}% of the height"][0].pictures[0].astype(int)))
        for sigma in (2, 8)
    )
    assert soft < sharp

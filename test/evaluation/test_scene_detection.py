"""Pins how the detection of unknown scenes is summed up, and the disturbances it is tried on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.evaluation.scene_detection import detection, disturbed


def test_figures_of_a_kind_stand_beside_those_of_known_pictures() -> None:
    known = np.array([0.5, 0.8, 1.0, 1.2])
    some = np.array([0.9, 1.5, 2.0, 3.0])

    row = detection("elsewhere", known, some, threshold=1.1)

    assert row.auroc == pytest.approx(14 / 16), "two of sixteen pairs are the wrong way round"
    assert row.unknown == 0.75
    assert row.median == pytest.approx(1.75 / 1.1)


def test_known_pictures_have_false_alarms_and_no_auroc() -> None:
    known = np.array([0.5, 0.8, 1.0, 1.2])

    row = detection("known", known, known, threshold=1.1)

    assert math.isnan(row.auroc)
    assert row.unknown == 0.25


def test_disturbances_are_pictures_of_the_same_size_and_the_same_for_a_seed() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(60, 200, (48, 64, 3), dtype=np.uint8) for _ in range(3)]

    one, other = dict(disturbed(pictures, 1)), dict(disturbed(pictures, 1))

    assert len(one) == 8
    for name, some in one.items():
        assert all(picture.shape == (48, 64, 3) for picture in some)
        assert all(picture.dtype == np.uint8 for picture in some)
        assert all((a == b).all() for a, b in zip(some, other[name], strict=True))
    assert np.mean(one["black, with noise"][0]) < 10
    dark = [np.mean(np.array(one[f"{share} of the lens covered"]) < 40) for share in ("30%", "90%")]
    assert dark[0] == pytest.approx(0.3, abs=0.1)
    assert dark[1] == pytest.approx(0.9, abs=0.1)
    sharp, soft = (
        np.std(np.diff(one[f"blurred, sigma {s} of the height"][0].astype(int), axis=1))
        for s in ("2%", "8%")
    )
    assert soft < sharp

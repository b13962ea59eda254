"""Pins how reuse is measured: the same frames both ways, from the same start each sequence.

Open: what it saves with a trained bundle; docs/scenes.md reports it.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers.tiny_bundle import write_tiny_bundle
from parts.clips import Clip, standing_still, synthetic_clips
from parts.reuse_cost import measure_reuse
from polymorph_ros.bundle.manifest import ReuseEntry
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.model.polymorph import PolymorphModel

LABELS = ("window", "chair", "unicorn")
REUSE = ReuseEntry(difference=8.0, max_age_s=1.0, pace=0.0, agreement=0.99)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    contexts = {"room": ("window", "chair"), "wood": ("window", "unicorn")}
    return write_tiny_bundle(path, contexts=contexts, reuse=REUSE)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return list(synthetic_clips(LABELS, 2, seed=3))


def test_drawn_scenes_are_held_out_and_know_what_they_show(clips: list[Clip]) -> None:
    assert [len(clip.frames) for clip in clips] == [50, 50]
    assert [clip.truth.shape for clip in clips] == [(50, 3), (50, 3)]
    truth = np.concatenate([clip.truth for clip in clips])
    assert set(np.unique(truth[:, :2])) <= {-1, 0, 1}
    assert (truth[:, 2] == -1).all(), "nobody draws unicorns: unknown, not absent"


def test_standing_still_repeats_the_middle_picture_with_other_noise(clips: list[Clip]) -> None:
    still = next(standing_still(iter(clips), seed=0))

    first, second = (still.frames[number].image.astype(int) for number in (0, 1))
    middle = clips[0].frames[25].image.astype(int)
    assert 0 < np.abs(first - second).mean() < 5
    assert np.abs(first - middle).mean() < 5
    assert (still.truth == clips[0].truth[25]).all()
    assert [frame.stamp_ns for frame in still.frames] == [
        frame.stamp_ns for frame in clips[0].frames
    ]


def test_a_camera_that_stands_still_is_computed_once_a_second(
    bundle: Bundle, clips: list[Clip]
) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")

    row = measure_reuse("still", model, bundle.manifest, standing_still(iter(clips), 0), 1.0)

    # 5 frames per second: one in six is computed, 0 s, 1.2 s, 2.4 s, ...
    assert row.frames == 100
    assert row.reused == pytest.approx(1.0 - 9 / 50)
    assert 0 <= row.agreement <= 1


def test_without_reuse_both_ways_are_the_same(bundle: Bundle, clips: list[Clip]) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")

    row = measure_reuse("moving", model, bundle.manifest, clips, longest_s=0.0)

    assert row.reused == 0.0
    assert row.agreement == 1.0
    assert 0 < row.mean_ap_reused == row.mean_ap_computed

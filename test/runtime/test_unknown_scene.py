"""Pins unknown scenes: novelty in [0, 1] with 0.5 at the threshold, said for the whole frame, and
scores of low trust that move the belief less.

Open: how well real places are told from each other; docs/unknown-scenes.md has results.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.score_filter import ScoreFilter
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import UnknownSceneEntry
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.runtime.unknown_scene import LEAST_TRUST, DistanceFilter, judge

FRAME_NS = 33_333_333
NEAR, FAR = 1e6, 1e-6  # thresholds by which every scene of the tiny bundle is known, or unknown


def engine_of(path: Path, threshold: float | None, **settings: float) -> Engine:
    scene = UnknownSceneEntry(threshold=threshold, false_alarms=0.01) if threshold else None
    bundle = write_tiny_bundle(path, unknown_scene=scene)
    return Engine(
        PolymorphModel.from_bundle(bundle, "cpu"),
        bundle.manifest,
        EnergyLedger(open_meter("none")),
        EngineSettings(**settings),
    )


def frame(number: int = 0) -> Frame:
    image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Frame(image, 1_000_000_000 + number * 100_000_000)


@given(
    distance=st.floats(min_value=0.0) | st.just(math.nan),
    threshold=st.floats(1e-6, 1e6),
)
def test_novelty_is_a_score_whatever_the_distance(distance: float, threshold: float) -> None:
    scene = judge(distance, threshold)

    assert 0.0 <= scene.novelty <= 1.0
    assert scene.unknown == (scene.trust < 1.0)
    assert LEAST_TRUST <= scene.trust <= 1.0


def test_trust_falls_from_the_threshold_on_without_a_step() -> None:
    trusts = [judge(distance, 2.0).trust for distance in np.linspace(1.9, 4.0, 500)]

    assert trusts[0] == 1.0
    assert trusts[-1] == LEAST_TRUST
    assert all(-0.03 < after - before <= 0.0 for before, after in pairwise(trusts))
    assert judge(2.2, 2.0).trust == pytest.approx(1.1**-6)


@given(st.floats(1e-3, 1e3), st.floats(0.0, 1e3), st.floats(0.0, 1e3))
def test_novelty_grows_with_the_distance(threshold: float, one: float, other: float) -> None:
    nearer, farther = sorted([one, other])

    assert judge(nearer, threshold).novelty <= judge(farther, threshold).novelty


def test_the_threshold_is_where_a_scene_becomes_unknown() -> None:
    assert judge(2.0, 2.0).novelty == 0.5
    assert not judge(2.0, 2.0).unknown
    assert judge(2.0001, 2.0).unknown
    assert judge(math.nan, 2.0).unknown, "a feature that is no number is unlike any"


def test_one_odd_frame_makes_no_scene_and_a_covered_lens_soon_does() -> None:
    memory = DistanceFilter()
    for number in range(30):
        memory.take(number * FRAME_NS, 0.7)

    odd = judge(memory.take(30 * FRAME_NS, 1.6), 1.0)
    taken = [memory.take(number * FRAME_NS, 1.6) for number in range(31, 61)]

    assert not odd.unknown
    assert not judge(taken[0], 1.0).unknown
    assert judge(taken[14], 1.0).unknown, "within half a second at 30 Hz"
    assert taken == sorted(taken)


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(1e-3, 1e3)), min_size=1, max_size=30))
def test_the_distance_of_the_last_frames_lies_among_them(frames: list[tuple[float, float]]) -> None:
    memory, stamp_ns = DistanceFilter(), 0
    seen = []
    for gap_s, distance in frames:
        stamp_ns += round(gap_s * 1e9)
        seen.append(distance)
        taken = memory.take(stamp_ns, distance)
        assert min(seen) * (1 - 1e-9) <= taken <= max(seen) * (1 + 1e-9)


def test_the_same_seconds_weigh_the_same_at_any_rate() -> None:
    def after(hz: int) -> float:
        memory = DistanceFilter()
        memory.take(0, 0.5)
        return [memory.take(round(n * 1e9 / hz), 2.0) for n in range(1, hz + 1)][-1]

    assert after(2) == pytest.approx(after(30), rel=1e-6)


def test_stamps_that_jump_back_and_distances_that_are_none_leave_no_trace() -> None:
    memory = DistanceFilter()
    memory.take(5 * FRAME_NS, 2.0)

    assert memory.take(6 * FRAME_NS, math.nan) == math.inf
    assert memory.take(7 * FRAME_NS, 2.0) == pytest.approx(2.0)
    assert memory.take(0, 0.5) == pytest.approx(0.5), "the first frame counts in full"


def test_a_known_scene_is_fresh_and_of_full_trust(tmp_path: Path) -> None:
    result = engine_of(tmp_path / "near", NEAR).step(frame())

    assert result.state == ResultState.FRESH
    assert result.reason == ""
    assert result.unknown_scene.novelty < 0.5
    assert result.unknown_scene.trust == 1.0
    assert list(result.stage_seconds)[:4] == ["preprocess", "trunk", "unknown_scene", "scout"]


def test_an_unknown_scene_is_told_with_its_novelty_and_low_trust(tmp_path: Path) -> None:
    result = engine_of(tmp_path / "far", FAR).step(frame())

    assert result.state == ResultState.UNKNOWN_SCENE
    assert result.unknown_scene.novelty > 0.99
    assert result.unknown_scene.trust == LEAST_TRUST < 1.0
    assert (
        result.reason
        == f"unlike anything seen in training (novelty {result.unknown_scene.novelty:.2f})"
    )


def test_a_limit_on_adapters_is_told_after_the_unknown_scene(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "far", FAR, max_adapters=1, threshold_shift=-9.0)

    result = engine.step(frame())

    assert result.state == ResultState.UNKNOWN_SCENE
    assert result.reason.startswith("unlike anything")
    assert "at most 1 adapter" in result.reason


@pytest.mark.parametrize("threshold", [None, FAR])
def test_nothing_is_judged_without_statistics_or_where_it_is_switched_off(
    tmp_path: Path, threshold: float | None
) -> None:
    engine = engine_of(tmp_path / "off", threshold, detect_unknown_scenes=threshold is None)

    result = engine.step(frame())

    assert result.state == ResultState.FRESH
    assert math.isnan(result.unknown_scene.novelty)
    assert result.unknown_scene.trust == 1.0
    assert "unknown_scene" not in result.stage_seconds


def test_judging_known_scenes_changes_no_score(tmp_path: Path) -> None:
    judging, plain = engine_of(tmp_path / "near", NEAR), engine_of(tmp_path / "plain", None)

    for number in range(10):
        one, other = judging.step(frame(number)), plain.step(frame(number))
        assert (one.score_array == other.score_array).all()
        assert one.cover == other.cover


def test_scores_of_an_unknown_scene_move_the_belief_less(tmp_path: Path) -> None:
    far = engine_of(tmp_path / "far", FAR, max_adapters=1)
    blind = Policy(Knowledge.of(far.manifest))
    blind.update_from_scout(
        frame().stamp_ns, np.full(len(far.model.labels), np.nan), np.full(2, np.nan)
    )

    low = far.step(frame()).score_array
    full = engine_of(tmp_path / "near", NEAR, max_adapters=1).step(frame()).score_array

    moved = np.abs(low - blind.label_belief).sum()
    assert 0 < moved < 0.7 * np.abs(full - blind.label_belief).sum()


@given(
    score=st.floats(0.001, 0.999),
    trust=st.floats(0.0, 1.0),
    less=st.floats(0.0, 1.0),
)
def test_less_trust_never_makes_surer(score: float, trust: float, less: float) -> None:
    def believed(share: float) -> float:
        belief = ScoreFilter(np.array([0.3]), np.array([0.3]), 0.3)
        belief.predict(0.0)
        belief.take([score], trust=share)
        return float(belief.belief[0])

    start = believed(0.0)
    assert start == pytest.approx(0.3)
    assert abs(believed(less * trust) - start) <= abs(believed(trust) - start) + 1e-9

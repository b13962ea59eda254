"""Pins what is reused: only a picture that is nearly the last computed one, for a while, and
never surer; noise does not stop it, a thing that appears does not, drift adds up.

Open: how much that saves on real video, and at what price; `benchmarks/reuse.py` measures it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.interfaces.enumerations import ResultState, ScoreSource
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings

SECOND_NS = 1_000_000_000
REUSE = ReuseEntry(difference=8.0, max_age_s=1.0, pace=0.5, agreement=0.99)
STATIONARY = 0.3  # the prior of the tiny bundle's labels
EngineMaker = Callable[..., Engine]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    return write_tiny_bundle(path, on=0.3, reuse=REUSE)


@pytest.fixture(scope="module")
def make_engine(bundle: Bundle) -> EngineMaker:
    model = PolymorphModel.from_bundle(bundle, "cpu")

    def make(reuse_s: float = 1.0, **more: float) -> Engine:
        wanted = EngineSettings(reuse_s=reuse_s, **more)
        return Engine(model, bundle.manifest, EnergyLedger(open_meter("none")), wanted)

    return make


def picture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (6, 8, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)


def frame(image: np.ndarray, stamp_s: float, camera: str = "front") -> Frame:
    return Frame(image, SECOND_NS + round(stamp_s * SECOND_NS), camera)


def with_noise(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def is_computed(result: FrameResult) -> bool:
    assert result.reused == (result.state == ResultState.REUSED)
    return not result.reused


def test_a_picture_that_stays_is_reused_with_all_that_was_said_of_it(
    make_engine: EngineMaker,
) -> None:
    engine = make_engine()
    first = engine.step(frame(picture(), 0.0))

    reused = engine.step(frame(picture(), 0.4))

    assert reused.state == ResultState.REUSED
    assert reused.stamp_ns == first.stamp_ns + 400_000_000
    assert "reused" in reused.reason
    assert (reused.sources == ScoreSource.REUSED).all()
    assert reused.ages_s == pytest.approx(0.4)
    assert reused.active_indices == first.active_indices
    assert reused.active_indices, "else the line above says nothing"
    assert reused.changes == ()
    assert reused.cover.adapters == ()
    assert not reused.cover.changed
    assert list(reused.stage_seconds) == ["preprocess", "compare", "reuse"]


def test_the_ledger_counts_a_reused_frame_with_no_adapter(make_engine: EngineMaker) -> None:
    engine = make_engine()
    first = engine.step(frame(picture(), 0.0))
    engine.step(frame(picture(), 0.2))

    account = engine.ledger.summary()

    assert account.frames == 2
    assert account.adapters == len(first.cover.adapters) > 0
    assert account.stage_seconds["reuse"] > 0


@given(sigma=st.floats(0.0, 10.0), seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_noise_of_the_sensor_is_no_change(
    make_engine: EngineMaker, sigma: float, seed: int
) -> None:
    # a cell is the mean of 48 pixels here, far fewer than of a camera's picture
    image = np.repeat(np.repeat(picture(), 4, axis=0), 4, axis=1)
    engine = make_engine()
    engine.step(frame(with_noise(image, sigma, seed), 0.0))

    assert not is_computed(engine.step(frame(with_noise(image, sigma, seed + 1), 0.1)))


@given(row=st.integers(0, 42), column=st.integers(0, 58), sign=st.sampled_from([-90, 90]))
@settings(deadline=None, max_examples=40)
def test_a_thing_that_appears_anywhere_is_a_change(
    make_engine: EngineMaker, row: int, column: int, sign: int
) -> None:
    grey = np.full((48, 64, 3), 120, np.uint8)
    changed = grey.copy()
    changed[row : row + 6, column : column + 6] = 120 + sign  # 1.2 % of the picture
    engine = make_engine()
    engine.step(frame(grey, 0.0))

    assert is_computed(engine.step(frame(changed, 0.1)))


def test_a_slow_drift_adds_up_until_it_counts(make_engine: EngineMaker) -> None:
    engine = make_engine()
    results = [
        engine.step(frame(np.full((48, 64, 3), 100 + 3 * number, np.uint8), 0.1 * number))
        for number in range(7)
    ]

    computed = [number for number, result in enumerate(results) if is_computed(result)]

    assert computed == [0, 3, 6], "each 9 grey levels from the last computed one"


@given(gaps=st.lists(st.floats(0.0, 0.8), min_size=1, max_size=20))
@settings(deadline=None, max_examples=25)
def test_ages_are_the_time_since_the_computed_frame_and_never_beyond_the_greatest(
    make_engine: EngineMaker, gaps: list[float]
) -> None:
    engine = make_engine()
    stamp_s = 0.0
    last = engine.step(frame(picture(), stamp_s))

    for gap in gaps:
        stamp_s += gap
        result = engine.step(frame(picture(), stamp_s))
        if is_computed(result):
            assert (result.stamp_ns - last.stamp_ns) * 1e-9 > REUSE.max_age_s
            last = result
        age_s = (result.stamp_ns - last.stamp_ns) * 1e-9
        assert age_s <= REUSE.max_age_s
        assert result.ages_s == pytest.approx(age_s, abs=1e-6)


@given(gaps=st.lists(st.floats(0.0, 0.3), min_size=1, max_size=12), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=25)
def test_reused_scores_move_only_towards_the_stationary_probability(
    make_engine: EngineMaker, gaps: list[float], seed: int
) -> None:
    engine = make_engine()
    stamp_s = 0.0
    last = engine.step(frame(picture(seed), stamp_s))

    for gap in gaps:
        stamp_s += gap
        result = engine.step(frame(picture(seed), stamp_s))
        if not is_computed(result):
            before, after = last.score_array - STATIONARY, result.score_array - STATIONARY
            assert (np.abs(after) <= np.abs(before) + 1e-6).all()
            assert (before * after >= -1e-9).all(), "not beyond it"
        last = result


@pytest.mark.parametrize("limit_s", [0.25, 30.0])
def test_the_shorter_of_setting_and_bundle_bounds_the_age(
    make_engine: EngineMaker, limit_s: float
) -> None:
    engine = make_engine(reuse_s=limit_s)
    longest_s = min(limit_s, REUSE.max_age_s)
    engine.step(frame(picture(), 0.0))

    assert not is_computed(engine.step(frame(picture(), longest_s)))
    assert is_computed(engine.step(frame(picture(), longest_s + 0.001)))


def test_nothing_is_reused_where_it_is_switched_off(make_engine: EngineMaker) -> None:
    engine = make_engine(reuse_s=0.0)

    results = [engine.step(frame(picture(), 0.1 * number)) for number in range(3)]

    assert all(is_computed(result) for result in results)
    assert "compare" not in results[-1].stage_seconds


def test_a_bundle_that_learned_no_threshold_computes_everything(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "plain")
    ledger = EnergyLedger(open_meter("none"))
    engine = Engine(
        PolymorphModel.from_bundle(bundle, "cpu"),
        bundle.manifest,
        ledger,
        EngineSettings(reuse_s=1.0),
    )

    results = [engine.step(frame(picture(), 0.1 * number)) for number in range(3)]

    assert all(is_computed(result) for result in results)


@pytest.mark.parametrize(
    "between",
    [
        lambda engine: engine.reset(),
        lambda engine: engine.reset("front"),
        lambda engine: engine.apply(EngineSettings(reuse_s=1.0, threshold_shift=0.5)),
        lambda engine: engine.step(frame(picture(1), 0.1)),
    ],
    ids=["reset of all", "reset of the camera", "other thresholds", "another picture between"],
)
def test_what_came_between_ends_it(
    make_engine: EngineMaker, between: Callable[[Engine], object]
) -> None:
    engine = make_engine()
    engine.step(frame(picture(), 0.0))

    between(engine)

    assert is_computed(engine.step(frame(picture(), 0.2)))


def test_cameras_have_each_their_own_picture(make_engine: EngineMaker) -> None:
    engine = make_engine()
    engine.step(frame(picture(0), 0.0, "front"))

    assert is_computed(engine.step(frame(picture(0), 0.1, "rear")))
    engine.reset("rear")
    assert not is_computed(engine.step(frame(picture(0), 0.2, "front")))


def test_a_stamp_that_jumps_back_is_computed_anew(make_engine: EngineMaker) -> None:
    engine = make_engine()
    engine.step(frame(picture(), 5.0))
    engine.step(frame(picture(), 5.5))

    again = engine.step(frame(picture(), 4.4))

    assert is_computed(again)
    assert "jumped back" in again.cover.reason


def test_a_late_frame_is_compared_without_moving_time(make_engine: EngineMaker) -> None:
    engine = make_engine()
    engine.step(frame(picture(), 5.0))
    before = engine.step(frame(picture(), 5.5))

    late = engine.step(frame(picture(), 4.6))

    assert not is_computed(late)
    assert late.stamp_ns == frame(picture(), 4.6).stamp_ns
    assert (late.score_array == before.score_array).all()
    assert (late.ages_s == before.ages_s).all()


@given(
    stamps_s=st.lists(st.floats(0.0, 1.0), max_size=8).map(sorted),
    pace=st.floats(0.0, 1.0),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=40)
def test_however_many_frames_are_reused_the_belief_is_that_of_the_whole_gap(
    bundle: Bundle, stamps_s: list[float], pace: float, seed: int
) -> None:
    scores = np.random.default_rng(seed).random(6)
    often, once = (Policy(Knowledge.of(bundle.manifest)) for _ in range(2))
    for policy in (often, once):
        policy.update_from_scout(0, scores, scores[:2])
        policy.update_from_adapters((), ())

    for stamp_s in stamps_s:
        often.reuse(round(stamp_s * SECOND_NS), pace)
    one, other = (policy.reuse(SECOND_NS, pace) for policy in (often, once))

    assert one.scores == pytest.approx(other.scores, abs=1e-6)
    assert one.ages_s == pytest.approx(other.ages_s)


def test_a_pace_of_nothing_keeps_the_scores(bundle: Bundle) -> None:
    policy = Policy(Knowledge.of(bundle.manifest))
    policy.update_from_scout(0, np.full(6, 0.9), np.full(2, 0.9))
    computed = policy.update_from_adapters((), ())

    kept = policy.reuse(SECOND_NS, 0.0)
    relaxed = policy.reuse(2 * SECOND_NS, 1.0)

    assert (kept.scores == computed.scores).all()
    assert (np.abs(relaxed.scores - STATIONARY) < np.abs(kept.scores - STATIONARY)).all()


def test_a_result_of_low_trust_is_reused_as_such(tmp_path: Path) -> None:
    far = UnknownSceneEntry(threshold=1e-6, false_alarms=0.01)  # every scene is unknown
    bundle = write_tiny_bundle(tmp_path / "far", reuse=REUSE, unknown_scene=far)
    engine = Engine(
        PolymorphModel.from_bundle(bundle, "cpu"),
        bundle.manifest,
        EnergyLedger(open_meter("none")),
        EngineSettings(reuse_s=1.0),
    )
    first = engine.step(frame(picture(), 0.0))

    reused = engine.step(frame(picture(), 0.2))

    assert reused.reused
    assert reused.state == first.state == ResultState.UNKNOWN_SCENE
    assert reused.reason.startswith(first.reason)
    assert reused.unknown_scene == first.unknown_scene


def test_scores_that_are_not_finite_count_for_the_computed_frame_alone(bundle: Bundle) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    weight = model._scout.hidden.weight
    weight.data = torch.full_like(weight, torch.nan)  # as after damage in memory
    engine = Engine(
        model, bundle.manifest, EnergyLedger(open_meter("none")), EngineSettings(reuse_s=1.0)
    )

    computed = engine.step(frame(picture(), 0.0))
    reused = engine.step(frame(picture(), 0.1))

    assert (computed.reused, computed.rejected_scores) == (False, 8)
    assert (reused.reused, reused.rejected_scores) == (True, 0)
    assert np.isfinite(reused.score_array).all()

"""Pins the engine on a tiny real bundle: contracts of its result, time, limits, determinism.

Open: how good the labels are (random weights); evaluation measures that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import OperatingPoint
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.enumerations import ChangeKind, ResultState, ScoreSource
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.operating_points import Table
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> PolymorphModel:
    return PolymorphModel.from_bundle(bundle, "cpu")


@pytest.fixture
def make_engine(bundle: Bundle, model: PolymorphModel) -> Callable[..., Engine]:
    def make(**settings: float) -> Engine:
        ledger = EnergyLedger(open_meter("estimated", cpu_watts=5.0, gpu_watts=0.0, device="cpu"))
        return Engine(model, bundle.manifest, ledger, EngineSettings(**settings))

    return make


def frame(
    number: int, *, camera: str = "front", hz: float = 10.0, seed: int | None = None
) -> Frame:
    rng = np.random.default_rng(number if seed is None else seed)
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Frame(image, SECOND_NS + round(number * SECOND_NS / hz), camera)


def run(engine: Engine, count: int) -> list[FrameResult]:
    return [engine.step(frame(number)) for number in range(count)]


def test_adapters_run_in_another_way_get_the_frames_own_pixels_and_tokens(
    bundle: Bundle, model: PolymorphModel
) -> None:
    given = []

    def run_adapters(
        pixels: torch.Tensor, tokens: torch.Tensor, adapters: Sequence[int]
    ) -> list[np.ndarray]:
        given.append((pixels, tokens))
        return model.tails(tokens, adapters)

    ledger = EnergyLedger(open_meter("none"))
    engine = Engine(model, bundle.manifest, ledger, run_adapters=run_adapters)
    composed = Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))

    results, expected = run(engine, 20), run(composed, 20)

    ran = [number for number, result in enumerate(results) if result.cover.adapters]
    assert len(ran) == len(given) > 0
    for number, (pixels, tokens) in zip(ran, given, strict=True):
        own = model.preprocess(frame(number).image)
        assert torch.equal(pixels, own)
        assert torch.equal(tokens, model.trunk(own))
    for one, other in zip(results, expected, strict=True):
        assert (one.score_array == other.score_array).all()


def test_a_result_keeps_its_contract(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    labels, contexts = len(engine.model.labels), len(engine.model.contexts)

    for number, result in enumerate(run(engine, 20)):
        assert result.stamp_ns == frame(number).stamp_ns
        assert result.camera == "front"
        assert result.state == ResultState.FRESH
        assert result.score_array.dtype == np.float32
        assert result.score_array.shape == result.sources.shape == result.ages_s.shape == (labels,)
        assert ((result.score_array >= 0) & (result.score_array <= 1)).all()
        assert set(result.cover.adapters) <= set(range(contexts))
        assert list(result.stage_seconds) == [
            "preprocess", "trunk", "scout", "belief", "cover", "tails", "update",
        ]  # fmt: skip
        assert result.energy.source == EnergySource.UNCALIBRATED
        assert result.energy.joules >= 0
        assert result.energy.frames == number + 1


def test_scores_of_covered_labels_come_from_adapters_and_the_others_from_the_scout(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine(max_adapters=1, threshold_shift=-3.0)

    result = engine.step(frame(0))

    (adapter,) = result.cover.adapters
    covered = set(engine.model.contexts[adapter])
    for label, source in enumerate(result.sources):
        assert source == (ScoreSource.ADAPTER if label in covered else ScoreSource.SCOUT)


def test_a_limit_that_leaves_labels_uncovered_is_told(make_engine: Callable[..., Engine]) -> None:
    # Every label is in play, two contexts are needed, one is allowed.
    result = make_engine(max_adapters=1, threshold_shift=-9.0).step(frame(0))

    assert result.state == ResultState.DEGRADED
    assert len(result.cover.adapters) == 1
    assert result.cover.uncovered
    assert "at most 1 adapter" in result.reason


def test_with_high_thresholds_nothing_runs_but_trunk_and_scout(
    make_engine: Callable[..., Engine],
) -> None:
    result = make_engine(threshold_shift=9.0).step(frame(0))

    assert result.cover.adapters == ()
    assert result.active_indices == ()
    assert (result.sources == ScoreSource.SCOUT).all()


def test_settings_take_effect_with_the_next_frame(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(threshold_shift=-9.0)
    before = engine.step(frame(0))

    engine.apply(EngineSettings(threshold_shift=9.0))
    after = engine.step(frame(1))

    assert len(before.active_indices) == len(engine.model.labels)
    assert after.active_indices == ()
    assert {change.kind for change in after.changes} == {ChangeKind.VANISHED}
    assert all(change.first_stamp_ns == before.stamp_ns for change in after.changes)


def test_changes_and_active_indices_agree(make_engine: Callable[..., Engine]) -> None:
    active: set[int] = set()

    for result in run(make_engine(), 40):
        for change in result.changes:
            if change.kind == ChangeKind.APPEARED:
                assert change.index not in active
                active.add(change.index)
            else:
                active.remove(change.index)
        assert active == set(result.active_indices)


def test_the_same_frames_give_the_same_results(make_engine: Callable[..., Engine]) -> None:
    first, second = run(make_engine(), 10), run(make_engine(), 10)

    for one, other in zip(first, second, strict=True):
        assert (one.score_array == other.score_array).all()
        assert one.cover == other.cover


def test_reset_means_reset(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    fresh = engine.step(frame(0))
    run(engine, 10)

    engine.reset("front")
    again = engine.step(frame(0))

    assert (again.score_array == fresh.score_array).all()
    assert again.cover == fresh.cover


def test_cameras_do_not_hear_of_each_other(make_engine: Callable[..., Engine]) -> None:
    alone = [make_engine().step(frame(0)).score_array]
    engine = make_engine()

    for number in range(5):
        engine.step(frame(number, camera="rear"))
    together = [engine.step(frame(0)).score_array]

    assert (together[0] == alone[0]).all()


def test_a_stamp_that_jumps_back_starts_anew_and_says_so(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine()
    fresh = engine.step(frame(0))
    run(engine, 20)

    again = engine.step(frame(0))

    assert "jumped back by 1.900 s" in again.cover.reason
    assert again.cover.changed
    assert again.started_anew
    assert (again.score_array == fresh.score_array).all()


def received(frames: Sequence[Frame]) -> list[Frame]:
    """The same frames, with times of receipt that go on evenly."""
    start_ns = 7 * SECOND_NS
    period_ns = frames[1].stamp_ns - frames[0].stamp_ns
    return [
        replace(each, received_ns=start_ns + number * period_ns)
        for number, each in enumerate(frames)
    ]


def test_times_of_receipt_change_nothing_for_sane_stamps(
    make_engine: Callable[..., Engine],
) -> None:
    frames = [frame(number) for number in range(20)]

    for one, other in zip(
        map(make_engine().step, frames), map(make_engine().step, received(frames)), strict=True
    ):
        assert (one.score_array == other.score_array).all()
        assert (one.ages_s == other.ages_s).all()
        assert (one.cover, one.changes) == (other.cover, other.changes)
        assert one.time == other.time


@pytest.mark.parametrize("offline", [True, False])
def test_case_03_late_frames_are_labelled_with_their_own_stamp_and_start_nothing_anew(
    make_engine: Callable[..., Engine], offline: bool
) -> None:
    frames = received([frame(number, hz=30.0) for number in range(60)])
    for number in range(9, 60, 10):
        frames[number] = replace(frames[number], stamp_ns=frames[number - 2].stamp_ns)
    if offline:
        frames = [replace(each, received_ns=None) for each in frames]

    engine = make_engine()
    results = [engine.step(each) for each in frames]

    assert [result.stamp_ns for result in results] == [each.stamp_ns for each in frames]
    assert [number for number, result in enumerate(results) if result.started_anew] == [0]
    appeared = [change.name for result in results for change in result.changes]
    assert len(appeared) == len(set(appeared))


def test_a_frame_that_fails_leaves_the_engine_usable(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    broken = frame(0)
    object.__setattr__(broken, "image", np.zeros((4, 4), np.uint8))

    with pytest.raises(Exception, match="shape"):
        engine.step(broken)

    assert engine.step(frame(1)).energy.frames == 1


def test_without_a_meter_energy_is_unavailable_not_zero(
    bundle: Bundle, model: PolymorphModel
) -> None:
    engine = Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))

    energy = engine.step(frame(0)).energy

    assert energy.source == EnergySource.UNAVAILABLE
    assert math.isnan(energy.joules)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_a_frame_is_checked_at_the_boundary(image: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="uint8 image of shape"):
        Frame(image, 0)


def test_a_point_that_computes_each_third_frame_answers_the_others_with_the_last_result(
    bundle: Bundle, model: PolymorphModel
) -> None:
    ledger = EnergyLedger(open_meter("estimated"))
    third = OperatingPoint(every=3, computed=1 / 3)
    engine = Engine(model, bundle.manifest, ledger, EngineSettings(), table=Table((third,)))

    results = run(engine, 8)

    assert [result.reused for result in results] == [False, True, True] * 2 + [False, True]
    skipped = results[1]
    assert skipped.state in (ResultState.REUSED, ResultState.DEGRADED)
    assert "the budget does not allow to compute this frame" in skipped.reason
    assert list(skipped.stage_seconds) == ["preprocess", "compare", "reuse"]
    assert (skipped.adapters, skipped.changes) == ((), ())
    assert [result.stamp_ns for result in results] == [frame(n).stamp_ns for n in range(8)]


def test_a_camera_that_starts_anew_is_computed_whatever_the_budget(
    bundle: Bundle, model: PolymorphModel
) -> None:
    ledger = EnergyLedger(open_meter("none"))
    rare = OperatingPoint(every=50, computed=1 / 50)
    engine = Engine(model, bundle.manifest, ledger, EngineSettings(), table=Table((rare,)))

    first, second, looped = (engine.step(frame(number)) for number in (100, 101, 2))

    assert (first.reused, second.reused, looped.reused) == (False, True, False)


@pytest.mark.parametrize("point", [OperatingPoint(size=16), OperatingPoint(tail_tokens="pooled")])
def test_a_point_of_another_size_or_pooled_tails_runs_as_a_bundle_of_that_kind(
    bundle: Bundle, model: PolymorphModel, point: OperatingPoint
) -> None:
    """The running model switches exactly, and back; PEFT itself is compared in test_tails.py."""
    usual = bundle.manifest
    size = usual.preprocessing.model_copy(update={"size": point.size or usual.preprocessing.size})
    kind = {"preprocessing": size, "tail_tokens": point.tail_tokens or usual.tail_tokens}
    other = replace(bundle, manifest=usual.model_copy(update=kind))
    made = PolymorphModel.from_bundle(other, "cpu")
    without = EngineSettings(detect_unknown_scenes=False)

    def engine_of(of: PolymorphModel, table: Table) -> Engine:
        return Engine(of, usual, EnergyLedger(open_meter("none")), without, table=table)

    switched = run(engine_of(model, Table((point,))), 6)
    expected = run(engine_of(made, Table((OperatingPoint(),))), 6)
    plain = run(engine_of(model, Table((OperatingPoint(),))), 6)

    for one, like, unlike in zip(switched, expected, plain, strict=True):
        np.testing.assert_allclose(one.score_array, like.score_array, atol=1e-6)
        assert not np.allclose(one.score_array, unlike.score_array, atol=1e-4)


def test_what_is_not_kept_is_said_with_every_result(bundle: Bundle, model: PolymorphModel) -> None:
    budget = EngineSettings(frame_budget_s=1e-9)
    engine = Engine(model, bundle.manifest, EnergyLedger(open_meter("none")), budget)

    results = run(engine, 36)[2:]

    assert {result.reused for result in results} == {False, True}
    for result in results:
        assert result.state == ResultState.DEGRADED
        assert "ms per frame cannot be kept: least" in result.reason


def test_a_budget_computes_frames_of_all_cameras_in_turn(
    bundle: Bundle, model: PolymorphModel
) -> None:
    engine = Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))
    usual_s = np.mean([sum(result.stage_seconds.values()) for result in run(engine, 20)])
    engine.reset()
    engine.apply(EngineSettings(frame_budget_s=0.3 * usual_s))

    computed = dict.fromkeys(("left", "right"), 0)
    for number in range(200):
        for camera in computed:
            result = engine.step(frame(number, camera=camera, hz=30.0))
            computed[camera] += not result.reused

    assert sum(computed.values()) < 300
    assert min(computed.values()) > 0.7 * max(computed.values())


def test_labels_of_priority_must_be_of_the_bundle(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(priority_labels=("person",))

    with pytest.raises(PolymorphError, match=r"priority_labels.*dragon"):
        engine.apply(EngineSettings(priority_labels=("person", "dragon")))
    assert engine.settings.priority_labels == ("person",)

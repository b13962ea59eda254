"""Pins that events pair in every history: whatever appeared vanishes once before it appears again.

Frames go through a real engine with random weights; resets, other bundles and pauses are done as
the node's session does them. Left open: that the session does so (test/ros/test_events.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.interfaces.enumerations import ChangeKind, EndReason
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.label_events import LabelEvents
from polymorph_ros.runtime.settings import EngineSettings

SECOND_NS = 1_000_000_000
CAMERAS = ("front", "rear")
STEPS_S = (0.033, 0.033, 0.2, 0.0, -0.05, -0.9, -1.5, -7.0, -1.8e9, 5.0, 3600.0)
Event = dict[str, Any]

FRAMES = st.tuples(
    st.just("frame"), st.sampled_from(CAMERAS), st.sampled_from(STEPS_S), st.integers(0, 20)
)
ENDS = st.one_of(
    st.tuples(st.just("reset"), st.sampled_from((*CAMERAS, ""))),
    st.tuples(st.just("bundle")),
    st.tuples(st.just("deactivated")),
    st.tuples(st.just("no_data"), st.sampled_from(CAMERAS)),
    st.tuples(st.just("switched_off"), st.sampled_from(CAMERAS)),
)
SHIFTS = st.tuples(st.just("shift"), st.sampled_from((-9.0, 0.0, 9.0)))  # labels come and go
HISTORIES = st.lists(st.one_of(FRAMES, FRAMES, FRAMES, SHIFTS, ENDS), max_size=30)


def first_stamp_ns(event: Event) -> int:
    return event["first_stamp"]["sec"] * SECOND_NS + event["first_stamp"]["nanosec"]


class Robot:
    """Two cameras, two bundles with some labels in both, and all events so far."""

    def __init__(self, engines: Callable[[int], Engine]) -> None:
        self._engines = engines
        self._bundle = 0
        self._engine = engines(0)
        self._received_ns = 0
        self.stamps_ns = dict.fromkeys(CAMERAS, 50 * SECOND_NS)
        self.given_ns: set[int] = set()
        self.made = LabelEvents()
        self.events: list[Event] = []

    def do(self, action: str, *arguments: Any) -> None:
        if action == "frame":
            self.frame(*arguments)
        elif action == "shift":
            self._engine.apply(EngineSettings(threshold_shift=arguments[0]))
        else:
            self.end(EndReason(action), *arguments)

    def frame(self, camera: str, step_s: float, seed: int) -> None:
        self._received_ns += SECOND_NS // 30
        self.stamps_ns[camera] += round(step_s * SECOND_NS)
        self.given_ns.add(self.stamps_ns[camera])
        colour = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
        image = np.full((48, 64, 3), colour)
        result = self._engine.step(
            Frame(image, self.stamps_ns[camera], camera, received_ns=self._received_ns)
        )
        self.events += self.made.of(result)
        assert set(self.open(camera)) == set(result.active)

    def end(self, reason: EndReason, camera: str = "") -> None:
        if reason is EndReason.BUNDLE:
            self._bundle = 1 - self._bundle
            self._engine = self._engines(self._bundle)
        elif reason in (EndReason.RESET, EndReason.DEACTIVATED):
            self._engine.reset(camera or None)
        for name in [camera] if camera else CAMERAS:
            self.events += self.made.end(name, reason)
            assert self.open(name) == {}

    def open(self, camera: str) -> dict[str, Event]:
        """What appeared and has not vanished; checks that the events pair."""
        found: dict[str, Event] = {}
        for event in self.events:
            if event["camera"] != camera:
                continue
            if event["kind"] == ChangeKind.APPEARED:
                assert event["name"] not in found
                found[event["name"]] = event
            else:
                appeared = found.pop(event["name"])
                assert (event["id"], event["first_stamp"]) == (
                    appeared["id"], appeared["first_stamp"]
                )  # fmt: skip
        return found


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Engine]:
    root = tmp_path_factory.mktemp("bundles")
    bundles = [
        write_tiny_bundle(root / "one", on=0.35),
        write_tiny_bundle(
            root / "two", name="two", on=0.35, contexts={"hall": ("cup", "door", "person")}
        ),
    ]
    models = [PolymorphModel.from_bundle(bundle, "cpu") for bundle in bundles]

    def engine(number: int) -> Engine:
        ledger = EnergyLedger(open_meter("none"))
        return Engine(models[number], bundles[number].manifest, ledger, EngineSettings())

    return engine


@given(HISTORIES)
@settings(deadline=None, max_examples=60)
def test_every_appeared_has_one_vanished_in_any_history(engines, history) -> None:
    robot = Robot(engines)

    for action in history:
        robot.do(*action)
    robot.end(EndReason.DEACTIVATED)

    for event in robot.events:
        assert 0.0 <= event["score"] <= 1.0
        assert event["reason"] == "" or event["kind"] == ChangeKind.VANISHED
        assert first_stamp_ns(event) in robot.given_ns
    assert [event["sequence"] for event in robot.events] == list(range(1, len(robot.events) + 1))
    assert {event["incarnation"] for event in robot.events} <= {robot.made.incarnation}


def test_labels_come_and_go_by_their_scores_in_such_histories(engines) -> None:
    """Else the property above would say little."""
    robot = Robot(engines)

    for seed, shift in enumerate((0.0, 9.0, 0.0)):
        robot.do("shift", shift)
        robot.frame("front", 0.2, seed)

    by_scores = [event for event in robot.events if event["reason"] == ""]
    assert {event["kind"] for event in by_scores} == {ChangeKind.APPEARED, ChangeKind.VANISHED}


@pytest.mark.parametrize("reason", [reason for reason in EndReason if reason.value])
def test_an_end_names_its_reason_and_the_labels_may_appear_again(engines, reason) -> None:
    robot = Robot(engines)
    for seed in range(10):
        robot.frame("front", 0.2, seed)
    active = set(robot.open("front"))
    assert active
    before = len(robot.events)

    robot.end(reason, *(("front",) if reason is not EndReason.BUNDLE else ()))

    ended = robot.events[before:]
    assert {event["name"] for event in ended} == active
    assert {(event["kind"], event["reason"]) for event in ended} == {
        (ChangeKind.VANISHED, reason.value)
    }


def test_stamps_that_jump_back_end_all_labels_before_new_ones_appear(engines) -> None:
    robot = Robot(engines)
    for seed in range(10):
        robot.frame("front", 0.2, seed)
    active = set(robot.open("front"))

    robot.frame("front", -30.0, 9)
    before = len(robot.events)
    robot.frame("front", 0.2, 9)  # the second one shows that the first was no outlier

    ended = robot.events[before : before + len(active)]
    assert {event["name"] for event in ended} == active
    assert {event["reason"] for event in ended} == {"reset"}
    appeared = robot.open("front").values()
    assert appeared
    assert all(first_stamp_ns(event) == robot.stamps_ns["front"] for event in appeared)

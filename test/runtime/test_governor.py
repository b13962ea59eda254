"""Pins the governor: limits come from measured cost, never below one adapter."""

from __future__ import annotations

import math

import pytest

from polymorph_ros.errors import PolymorphError
from polymorph_ros.runtime.governor import Governor
from polymorph_ros.runtime.settings import EngineSettings


def after_frames(joules: float = math.nan) -> Governor:
    """A governor that saw frames of 10 ms plus 2 ms for each of four adapters."""
    governor = Governor()
    for _ in range(50):
        governor.learn(total_s=0.018, tails_s=0.008, adapters=4, joules=joules)
    return governor


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        (EngineSettings(), 0),  # no budget, no limit
        (EngineSettings(max_adapters=3), 3),  # the plain limit
        (EngineSettings(frame_budget_s=0.0161), 3),  # (16.1 - 10) / 2
        (EngineSettings(frame_budget_s=0.0161, max_adapters=2), 2),  # the tighter of both
        (EngineSettings(frame_budget_s=0.001), 1),  # too small: still one
    ],
)
def test_limit_follows_the_measured_cost(settings: EngineSettings, limit: int) -> None:
    assert after_frames().limit(settings) == limit


def test_a_budget_in_joules_uses_the_measured_power() -> None:
    governor = after_frames(joules=0.18)  # 10 W over 18 ms

    assert governor.limit(EngineSettings(frame_budget_j=0.141)) == 2  # 14.1 ms


def test_joules_without_a_meter_set_no_limit() -> None:
    assert after_frames().limit(EngineSettings(frame_budget_j=0.1)) == 0


def test_before_the_first_frame_only_the_plain_limit_is_known() -> None:
    assert Governor().limit(EngineSettings(frame_budget_s=0.01, max_adapters=5)) == 5


@pytest.mark.parametrize(
    "values",
    [
        {"max_adapters": -1},
        {"frame_budget_s": -0.1},
        {"frame_budget_j": math.nan},
        {"threshold_shift": 11.0},
        {"probe_share": 0.95},
    ],
)
def test_settings_out_of_range_are_refused_by_name(values: dict[str, float]) -> None:
    with pytest.raises(PolymorphError, match=next(iter(values))):
        EngineSettings(**values)

"""Pins that a result knows its names: names and arrays agree, and nothing of it can be changed.

Open: what the engine puts into it (test_engine.py).
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from polymorph_ros.energy.reading import EnergySource, FrameEnergy
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.enumerations import ResultState, ScoreSource
from polymorph_ros.runtime.result import Cover, FrameResult, LabelResult

RESULT = FrameResult(
    camera="front",
    stamp_ns=2_500_000_000,
    vocabulary=("person", "desk", "car"),
    context_names=("office", "street"),
    score_array=np.array([0.75, 0.25, 0.5], np.float32),
    sources=np.array([2, 1, 3], np.uint8),
    ages_s=np.array([0.0, 0.0, 0.125], np.float32),
    active_indices=(0, 2),
    changes=(),
    cover=Cover((1,), True, "+street", uncovered=(1,)),
    stage_seconds={"trunk": 0.01},
    energy=FrameEnergy(0.5, 3.0, 12.0, 4, EnergySource.ESTIMATED),
    state=ResultState.DEGRADED,
    reason="at most 1 adapter(s) allowed",
)


def test_names_and_arrays_agree() -> None:
    assert RESULT.active == ("person", "car")
    assert RESULT.active_mask.tolist() == [True, False, True]
    assert dict(RESULT.scores) == {"person": 0.75, "desk": 0.25, "car": 0.5}
    assert RESULT.adapters == ("street",)
    assert RESULT.uncovered == ("desk",)
    assert (RESULT.stamp_s, RESULT.joules) == (2.5, 0.5)


def test_a_label_has_all_that_is_known_of_it() -> None:
    assert RESULT.label("car") == LabelResult("car", 2, 0.5, True, ScoreSource.REUSED, 0.125)
    assert not RESULT.label("desk").active


def test_an_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(PolymorphError, match="expected one of person, desk, car, found 'dog'"):
        RESULT.label("dog")


@pytest.mark.parametrize("name", ["score_array", "sources", "ages_s", "active_mask"])
def test_arrays_are_read_only(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(RESULT, name)[0] = 0


def test_neither_scores_nor_fields_can_be_changed() -> None:
    with pytest.raises(TypeError):
        RESULT.scores["person"] = 1.0
    with pytest.raises(FrozenInstanceError):
        RESULT.camera = "rear"


def test_the_array_that_was_given_stays_writable() -> None:
    scores = np.zeros(3, np.float32)

    replace(RESULT, score_array=scores)

    scores[0] = 1.0
    assert scores[0] == 1.0


@pytest.mark.parametrize("name", ["score_array", "sources", "ages_s"])
def test_an_array_for_another_vocabulary_is_refused(name: str) -> None:
    with pytest.raises(PolymorphError, match=rf"{name}: expected shape \(3,\), found \(2,\)"):
        replace(RESULT, **{name: getattr(RESULT, name)[:2]})

"""What the engine says about one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.runtime.unknown_scene import NOT_JUDGED, SceneNovelty


class ScoreSource(IntEnum):
    """Where a label's score comes from (the values of ``Label.msg``)."""

    SCOUT = 1
    ADAPTER = 2
    REUSED = 3


class ResultState(IntEnum):
    """How far a result can be trusted (the values of ``LabelArray.msg``)."""

    FRESH = 1
    REUSED = 2
    DEGRADED = 3
    UNKNOWN_SCENE = 4
    NO_DATA = 5


class ChangeKind(IntEnum):
    """What happened to a label (the values of ``LabelEvent.msg``)."""

    APPEARED = 1
    VANISHED = 2


@dataclass(frozen=True)
class LabelChange:
    """A label became active or ceased to be.

    Attributes:
        label: index in the vocabulary.
        first_stamp_ns: stamp of the first frame of this run of the label.
    """

    kind: ChangeKind
    label: int
    score: float
    first_stamp_ns: int


@dataclass(frozen=True)
class Cover:
    """The adapters chosen for one frame.

    Attributes:
        adapters: indices of the active adapters, ascending.
        changed: whether the set differs from the last frame's.
        reason: why it changed, or why it stayed, in plain words.
        uncovered: active labels (vocabulary indices) that no active adapter covers.
    """

    adapters: tuple[int, ...]
    changed: bool
    reason: str
    uncovered: tuple[int, ...] = ()


@dataclass(frozen=True)
class FrameResult:
    """Everything the engine says about one frame.

    Attributes:
        stamp_ns: the camera's stamp, nanoseconds.
        camera: which camera.
        state: how far the result can be trusted; ``reason`` says why where it is not fresh.
        scores: float32 of shape (labels,), vocabulary order, finite, in [0, 1].
        sources: uint8 of shape (labels,), values of ``ScoreSource``.
        ages_s: float32 of shape (labels,), seconds since the frame that the score comes from.
        active_labels: vocabulary indices, ascending.
        changes: labels that appeared or vanished in this frame.
        cover: the adapters that ran, and why.
        stage_seconds: seconds of each stage, in the order in which they ran.
        energy: what the frame cost.
        unknown_scene: how unlike training the scene is, and how much its scores count.
        reused: whether the frame was not computed, because its picture is as an earlier one;
            the state says so too unless there is something graver to say.
        rejected_scores: scores of scout and adapters that were not finite; they count for nothing.
    """

    stamp_ns: int
    camera: str
    state: ResultState
    reason: str
    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]
    ages_s: NDArray[np.float32]
    active_labels: tuple[int, ...]
    changes: tuple[LabelChange, ...]
    cover: Cover
    stage_seconds: Mapping[str, float]
    energy: FrameEnergy
    unknown_scene: SceneNovelty = NOT_JUDGED
    reused: bool = False
    rejected_scores: int = 0

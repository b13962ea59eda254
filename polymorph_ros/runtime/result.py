"""What the engine says about one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import NS_PER_S, Mask
from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.enumerations import ChangeKind, ResultState, ScoreSource
from polymorph_ros.runtime.time_base import FrameTime
from polymorph_ros.runtime.unknown_scene import NOT_JUDGED, SceneNovelty

_Scalar = TypeVar("_Scalar", bound=np.generic)
_NO_TIME = FrameTime(0)


@dataclass(frozen=True)
class LabelChange:
    """A label became active or ceased to be.

    Attributes:
        kind: which of the two.
        name: the label.
        index: its place in the vocabulary.
        score: its belief in this frame, in [0, 1].
        first_stamp_ns: stamp of the first frame in which the label was active without a break,
            nanoseconds.
    """

    kind: ChangeKind
    name: str
    index: int
    score: float
    first_stamp_ns: int


@dataclass(frozen=True)
class Cover:
    """The adapters chosen for one frame.

    Attributes:
        adapters: indices of the active adapters, ascending.
        changed: whether the set differs from the last frame's.
        reason: why it changed, or why it stayed, in plain words.
        uncovered: labels in play (vocabulary indices) that no active adapter covers.
    """

    adapters: tuple[int, ...]
    changed: bool
    reason: str
    uncovered: tuple[int, ...] = ()


@dataclass(frozen=True)
class LabelResult:
    """One label in one frame.

    Attributes:
        name: the label.
        index: its place in the vocabulary.
        score: its belief, in [0, 1].
        active: whether it counts as present.
        source: where the score comes from.
        age_s: seconds since the frame that the score comes from.
    """

    name: str
    index: int
    score: float
    active: bool
    source: ScoreSource
    age_s: float


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Everything the engine says about one frame.

    Names are for reading, arrays in vocabulary order for computing. The arrays are read-only.

    Attributes:
        camera: which camera took the frame.
        stamp_ns: the camera's stamp, nanoseconds.
        vocabulary: the names of all labels.
        context_names: the names of all contexts; each context has one adapter of that name.
        score_array: float32 of shape (labels,), beliefs, finite, in [0, 1].
        sources: uint8 of shape (labels,), values of ``ScoreSource``.
        ages_s: float32 of shape (labels,), seconds since the frame that the score comes from.
        active_indices: vocabulary indices of the active labels, ascending.
        changes: labels that became active or ceased to be in this frame.
        cover: the adapters that ran, as indices, and why.
        stage_seconds: seconds of each stage, in the order in which they ran.
        energy: what the frame cost.
        state: how far the result can be trusted.
        reason: why the state is not FRESH; empty where it is.
        unknown_scene: how far the picture is from those of training, and how much its scores
            count.
        reused: whether the last result stands because the picture has not changed. ``state`` is
            REUSED then, unless something graver is to be said.
        rejected_scores: scores of scout and adapters that were not finite and were left out.
        time: the frame's time by its camera's time base, for ages and reuse.
        started_anew: whether nothing of earlier frames is remembered: the camera's first frame,
            one after a reset, or one after stamps that jumped back. What was active before it
            ceased without a change.
        feature: float32 of shape (2D,), the trunk's pooled feature (D: width of its tokens), where
            ``EngineSettings.pooled_features`` asks for it; a reused result has that of the
            picture it was computed from.

    Raises:
        PolymorphError: an array has another shape than (labels,).

    >>> import numpy as np
    >>> from polymorph_ros.energy.reading import EnergySource
    >>> result = FrameResult(
    ...     camera="front",
    ...     stamp_ns=1_500_000_000,
    ...     vocabulary=("person", "chair", "car"),
    ...     context_names=("office", "street"),
    ...     score_array=np.array([0.75, 0.5, 0.125], np.float32),
    ...     sources=np.array([2, 2, 1], np.uint8),
    ...     ages_s=np.zeros(3, np.float32),
    ...     active_indices=(0, 1),
    ...     changes=(),
    ...     cover=Cover((0,), changed=False, reason="unchanged"),
    ...     stage_seconds={"trunk": 0.01},
    ...     energy=FrameEnergy(0.25, 6.0, 12.0, 40, EnergySource.ESTIMATED),
    ...     state=ResultState.FRESH,
    ...     reason="",
    ... )
    >>> result.active, result.adapters, result.stamp_s, result.joules
    (('person', 'chair'), ('office',), 1.5, 0.25)
    >>> result.scores["person"]
    0.75
    >>> result.label("car").source.name
    'SCOUT'
    """

    camera: str
    stamp_ns: int
    vocabulary: tuple[str, ...]
    context_names: tuple[str, ...]
    score_array: NDArray[np.float32]
    sources: NDArray[np.uint8]
    ages_s: NDArray[np.float32]
    active_indices: tuple[int, ...]
    changes: tuple[LabelChange, ...]
    cover: Cover
    stage_seconds: Mapping[str, float]
    energy: FrameEnergy
    state: ResultState
    reason: str
    unknown_scene: SceneNovelty = NOT_JUDGED
    reused: bool = False
    rejected_scores: int = 0
    time: FrameTime = _NO_TIME
    started_anew: bool = False
    feature: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.vocabulary),)
        for name in ("score_array", "sources", "ages_s"):
            array = getattr(self, name)
            if array.shape != shape:
                raise PolymorphError(f"shape {shape}", str(array.shape), where=name)
            object.__setattr__(self, name, _read_only(array))

    @property
    def stamp_s(self) -> float:
        """The camera's stamp, seconds."""
        return self.stamp_ns / NS_PER_S

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the active labels, in vocabulary order."""
        return tuple(self.vocabulary[index] for index in self.active_indices)

    @cached_property
    def active_mask(self) -> Mask:
        """Whether each label is active: bool of shape (labels,), read-only."""
        mask = np.zeros(len(self.vocabulary), dtype=np.bool_)
        mask[list(self.active_indices)] = True
        return _read_only(mask)

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """The belief in each label by its name, in [0, 1]; read-only, in vocabulary order."""
        names = zip(self.vocabulary, self.score_array.tolist(), strict=True)
        return MappingProxyType(dict(names))

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that ran for this frame; none for a reused result."""
        return tuple(self.context_names[adapter] for adapter in self.cover.adapters)

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Names of the labels in play that no adapter of this frame covers."""
        return tuple(self.vocabulary[index] for index in self.cover.uncovered)

    @property
    def joules(self) -> float:
        """Energy of this frame, joules; NaN where nothing measures it. Source: ``energy``."""
        return self.energy.joules

    def label(self, name: str) -> LabelResult:
        """All that is known of one label.

        Raises:
            PolymorphError: the vocabulary has no such label.
        """
        if name not in self.vocabulary:
            raise PolymorphError(f"one of {', '.join(self.vocabulary)}", repr(name), where="label")
        index = self.vocabulary.index(name)
        return LabelResult(
            name,
            index,
            score=float(self.score_array[index]),
            active=index in self.active_indices,
            source=ScoreSource(self.sources[index]),
            age_s=float(self.ages_s[index]),
        )


def _read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    view: NDArray[_Scalar] = array.view()
    view.flags.writeable = False
    return view

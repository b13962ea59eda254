"""Reuse a result while the picture stays nearly the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import ReuseEntry
from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.runtime.policy import PolicyOutput
from polymorph_ros.runtime.result import Cover, FrameResult
from polymorph_ros.runtime.time_base import FrameTime

Thumbnail = NDArray[np.float32]


def difference(one: Thumbnail, other: Thumbnail) -> float:
    """How much two pictures differ: the largest change of a cell, in grey levels of 255.

    The largest and not the mean, so that a small thing that appears counts as much as it would
    in a small picture of its own.
    """
    return float(np.abs(one - other).max())


def mean_difference(one: Thumbnail, other: Thumbnail) -> float:
    """The mean change of a cell, grey levels: how much of the whole picture is another."""
    return float(np.abs(one - other).mean())


@dataclass
class _Computed:
    """The last computed picture of a camera, and the time of the last frame that was like it."""

    thumbnail: Thumbnail
    result: FrameResult
    seen_ns: int


class ReuseCache:
    """The last computed picture and result of each camera.

    A picture is compared with the last *computed* one, never with the last reused one, so a
    slow drift adds up until it counts.

    Args:
        entry: the bundle's threshold and greatest age; none where it has none: nothing is
            reused.
    """

    def __init__(self, entry: ReuseEntry | None) -> None:
        self._entry = entry
        self._longest_ns = 0
        self._last: dict[str, _Computed] = {}

    def limit(self, longest_s: float) -> None:
        """Reuse for so many seconds at most (0: never); what was stored is forgotten."""
        bundle_s = self._entry.max_age_s if self._entry else 0.0
        self._longest_ns = round(min(longest_s, bundle_s) * 1e9)
        self._last.clear()

    @property
    def pace(self) -> float:
        """How fast labels change while a picture stays, as a share of their usual rates."""
        return self._entry.pace if self._entry else 1.0

    @property
    def wanted(self) -> bool:
        """Whether any result can be reused."""
        return self._longest_ns > 0

    def find(
        self, camera: str, time_ns: int, thumbnail: Thumbnail, scale: float = 1.0
    ) -> FrameResult | None:
        """The computed result that holds for this frame too, if there is one.

        None for a camera's first frame, one before its last, one beyond the greatest age, or one
        that differs by more than the threshold anywhere.

        Args:
            camera: whose frame it is.
            time_ns: the frame's time, as ``TimeBase`` gives it.
            thumbnail: the frame, small.
            scale: of the threshold; above 1 more is taken as the same picture.
        """
        last = self._last.get(camera)
        if last is None or self._entry is None or time_ns < last.seen_ns:
            return None
        if time_ns - last.result.time.ns > self._longest_ns:
            return None
        if not difference(thumbnail, last.thumbnail) <= scale * self._entry.difference:
            return None
        last.seen_ns = time_ns
        return last.result

    def keep(self, thumbnail: Thumbnail, result: FrameResult) -> None:
        """Remember a computed frame."""
        self._last[result.camera] = _Computed(thumbnail, result, result.time.ns)

    def forget(self, camera: str | None = None) -> None:
        """Forget one camera's picture, or all."""
        if camera is None:
            self._last.clear()
        else:
            self._last.pop(camera, None)


def reused_result(
    computed: FrameResult,
    stamp_ns: int,
    time: FrameTime,
    output: PolicyOutput,
    stage_seconds: dict[str, float],
    energy: FrameEnergy,
    cause: str = "the picture is as",
) -> FrameResult:
    """The result of a frame for which the last computed one stands.

    No adapter ran. What lowered the trust in the computed result (a limit on adapters, an unknown
    scene) still does.

    Args:
        computed: the last computed result of the camera.
        stamp_ns: of the frame that was not computed.
        time: of that frame.
        output: what is believed of it.
        cause: why it stands, in words that a time in the past follows.
    """
    words = f"{cause} {(time.ns - computed.time.ns) * 1e-9:.3f} s before: reused"
    fresh = computed.state == ResultState.FRESH
    return replace(
        computed,
        stamp_ns=stamp_ns,
        time=time,
        started_anew=False,
        state=ResultState.REUSED if fresh else computed.state,
        reason=words if fresh else f"{computed.reason}; {words}",
        score_array=output.scores,
        sources=output.sources,
        rejected_scores=output.rejected,
        ages_s=output.ages_s,
        active_indices=output.active_indices,
        changes=(),
        cover=Cover((), False, words, computed.cover.uncovered),
        stage_seconds=stage_seconds,
        energy=energy,
        reused=True,
    )

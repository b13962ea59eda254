"""The messages that say what the engine found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.msg import (
    ContextInfo,
    ContextState,
    EnergyReport,
    Label,
    LabelArray,
    LabelEvent,
    LabelInfo,
)
from polymorph_ros.ros.stamps import to_stamp
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.thresholds import Thresholds


class LabelMessage:
    """The LabelArray of one camera, built once and filled anew for each frame.

    Building a message in Python costs far more than filling it, so the label objects are kept.
    """

    def __init__(self, camera: str, labels: Sequence[str]) -> None:
        self._all = [Label(name=name, id=index) for index, name in enumerate(labels)]
        self._array = LabelArray(camera=camera)

    def fill(self, result: FrameResult, header: Header, *, active_only: bool) -> LabelArray:
        """The message of a result; valid until the next call."""
        array = self._array
        array.header = header
        array.state = int(result.state)
        array.reason = result.reason
        array.novelty = result.unknown_scene.novelty
        array.trust = result.unknown_scene.trust
        chosen = result.active_indices if active_only else range(len(self._all))
        active = frozenset(result.active_indices)
        scores, sources = result.score_array.tolist(), result.sources.tolist()
        ages = result.ages_s.tolist()
        for index in chosen:
            label = self._all[index]
            label.score = scores[index]
            label.active = index in active
            label.source = sources[index]
            label.age = ages[index]
        array.labels = [self._all[index] for index in chosen]
        return array


def no_data(camera: str, header: Header, reason: str) -> LabelArray:
    """The message that says that there is no result, and why."""
    return LabelArray(
        header=header,
        camera=camera,
        state=LabelArray.STATE_NO_DATA,
        reason=reason,
        novelty=math.nan,
        trust=0.0,
        labels=[],
    )


def label_events(result: FrameResult, header: Header) -> list[LabelEvent]:
    """One message for each label that appeared or vanished in this frame."""
    return [
        LabelEvent(
            header=header,
            camera=result.camera,
            kind=int(change.kind),
            name=change.name,
            id=change.index,
            score=change.score,
            first_stamp=to_stamp(change.first_stamp_ns),
        )
        for change in result.changes
    ]


def context_state(result: FrameResult, header: Header) -> ContextState:
    """Which adapters ran, and why these."""
    cover = result.cover
    return ContextState(
        header=header,
        camera=result.camera,
        adapters=list(result.adapters),
        adapter_ids=list(cover.adapters),
        changed=cover.changed,
        reason=cover.reason,
        uncovered=list(result.uncovered),
    )


def energy_report(result: FrameResult, header: Header) -> EnergyReport:
    """What the frame cost; NaN where no figure is to be had."""
    energy = result.energy
    return EnergyReport(
        header=header,
        camera=result.camera,
        source=energy.source.value,
        joules=float(energy.joules),
        mean_watts=float(energy.mean_watts),
        total_joules=float(energy.total_joules),
        frames=energy.frames,
        adapters_run=len(result.cover.adapters),
        stages=list(result.stage_seconds),
        stage_seconds=[float(seconds) for seconds in result.stage_seconds.values()],
    )


def label_info(bundle: Bundle, stamp: Time, threshold_shift: float) -> LabelInfo:
    """What the bundle can name, with the thresholds as they are shifted now."""
    thresholds = Thresholds.of(bundle.manifest, threshold_shift)
    return LabelInfo(
        header=Header(stamp=stamp),
        bundle=bundle.manifest.name,
        checksum=bundle.checksum,
        labels=[label.name for label in bundle.manifest.labels],
        on_thresholds=thresholds.on.tolist(),
        off_thresholds=thresholds.off.tolist(),
        contexts=[
            ContextInfo(name=context.name, labels=list(context.labels))
            for context in bundle.manifest.contexts
        ],
    )

"""What a live run heard, as a frame log and a summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.frame_log import Cost, FrameLog, FrameLogBuilder
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.ros.demo.listener import Answer
from polymorph_ros.ros.demo.run import Played


def answer_log(sequence: str, played: Played) -> tuple[FrameLog, list[Answer]]:
    """The answers in the order of publishing, as a frame log without truth.

    A row's frame is its image's place in the recording, its stamp the one that the player gave.

    Raises:
        PolymorphError: nothing was answered.
    """
    heard = played.heard
    published = list(played.recorded_ns)  # in the order in which they went out
    kept = [heard.answers[stamp] for stamp in published if stamp in heard.answers]
    if not kept:
        raise PolymorphError("answers of the node", "none", where=sequence)
    places = {stamp: place for place, stamp in enumerate(published)}
    labels = tuple(kept[0].scores)
    log = FrameLogBuilder(sequence, labels)
    unknown = np.full(len(labels), -1, np.int8)
    before: tuple[str, ...] = ()
    for answer in kept:
        adapters = heard.adapters.get(answer.stamp_ns, ())
        report = heard.energy.get(answer.stamp_ns)
        stages = dict(zip(report.stages, report.stage_seconds, strict=True)) if report else {}
        joules = report.joules if report else math.nan
        said = Labelled(
            scores=np.array([answer.scores[label] for label in labels], np.float32),
            active=np.isin(labels, answer.active),
            adapters=adapters,
            adapters_changed=adapters != before,
            stage_seconds={name: float(seconds) for name, seconds in stages.items()},
        )
        before = adapters
        # the node does not tell CPU and GPU time per frame
        cost = Cost(sum(said.stage_seconds.values()), joules, math.nan, math.nan)
        log.add(places[answer.stamp_ns], answer.stamp_ns, unknown, said, cost)
    return log.build(), kept


def summary(
    played: Played, kept: Sequence[Answer], rate: float, planner_s: Sequence[float]
) -> dict[str, Any]:
    """Counts, latencies and the planner's delays; seconds.

    ``latency_s``: from the image's stamp, which is when it was published, to the answer's
    receipt, for each answer.
    """
    camera = played.heard.camera
    sources = [report.source for report in played.heard.energy.values()]
    return {
        "rate_hz": rate,
        "published": len(played.recorded_ns),
        "received": camera.received,
        "answered": len(kept),
        "dropped": camera.dropped,
        "lost": camera.lost,
        "rejected": camera.rejected,
        "failed": camera.failed,
        "latency_s": [answer.latency_s for answer in kept],
        "planner_delay_s": list(planner_s),
        "recorded_ns": list(played.recorded_ns.values()),
        "energy_source": sources[-1] if sources else "unavailable",
        "faults": list(played.faults),
    }

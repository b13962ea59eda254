"""The answers of a live run, as a frame log and a summary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.frame_log import Cost, FrameLog, FrameLogBuilder
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.interfaces.live_run import LiveSummary
from polymorph_ros.ros.harness.listener import Answer
from polymorph_ros.ros.harness.run import RunOutput


def answer_log(sequence: str, run: RunOutput) -> tuple[FrameLog, list[Answer]]:
    """The answers in the order of publishing, as a frame log without truth.

    A row's frame is its image's place in the recording, its stamp the one that the player gave.

    Raises:
        PolymorphError: nothing was answered.
    """
    published = list(run.recorded_ns)
    answers = [run.node.answers[stamp] for stamp in published if stamp in run.node.answers]
    if not answers:
        raise PolymorphError("answers of the node", "none", where=sequence)
    places = {stamp: place for place, stamp in enumerate(published)}
    labels = tuple(answers[0].scores)
    log = FrameLogBuilder(sequence, labels)
    unknown = np.full(len(labels), -1, np.int8)
    before: tuple[str, ...] = ()
    for answer in answers:
        adapters = run.node.adapters.get(answer.stamp_ns, ())
        stages, joules = _cost(run, answer)
        labelled = Labelled(
            scores=np.array([answer.scores[label] for label in labels], np.float32),
            active=np.isin(labels, answer.active),
            adapters=adapters,
            adapters_changed=adapters != before,
            stage_seconds=stages,
        )
        before = adapters
        # the node does not report CPU and GPU time of a frame
        cost = Cost(sum(stages.values()), joules, math.nan, math.nan)
        log.add(places[answer.stamp_ns], answer.stamp_ns, unknown, labelled, cost)
    return log.build(), answers


def summary(
    run: RunOutput, answers: Sequence[Answer], rate_hz: float, planner_delay_s: Sequence[float]
) -> LiveSummary:
    """Counts, latencies and the planner's delays."""
    sources = [report.source for report in run.node.energy.values()]
    return LiveSummary(
        rate_hz=rate_hz,
        published=len(run.recorded_ns),
        **{**run.node.camera.counts, "answered": len(answers)},
        latency_s=tuple(answer.latency_s for answer in answers),
        planner_delay_s=tuple(planner_delay_s),
        recorded_ns=tuple(run.recorded_ns.values()),
        energy_source=sources[-1] if sources else "unavailable",
        faults=run.faults,
    )


def _cost(run: RunOutput, answer: Answer) -> tuple[dict[str, float], float]:
    """Seconds by stage, and joules, of an answered frame; none and NaN if it has no report."""
    report = run.node.energy.get(answer.stamp_ns)
    if report is None:
        return {}, math.nan
    seconds = (float(seconds) for seconds in report.stage_seconds)
    return dict(zip(report.stages, seconds, strict=True)), report.joules

"""What a run came to: counts, accuracy, latency, energy, and its faults."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymorph_ros.bundle.manifest import MANIFEST_FILE
from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.ros.harness.listener import Answer, CameraStatus, NodeOutput
from polymorph_ros.ros.harness.run import RunOutput

Truth = Mapping[int, Mapping[str, int]]
"""By the stamp in the recording: 1 present, 0 absent, -1 unknown, for each label."""


@dataclass(frozen=True)
class Summary:
    """The metrics of a run; times in seconds, energy in joules.

    Attributes:
        recording: what was played; synthetic pictures say that they are.
        published: images that the player sent.
        received: images that the node got.
        answered: images whose LabelArray came back.
        dropped: images that the node left for newer ones.
        lost: images that the middleware lost before the node, as it counts them.
        rejected, failed: malformed images, and images that the engine failed on.
        mean_ap: over labels with positives in the truth; None without truth.
        mean_ap_floor: what the bundle states as the least for synthetic scenes; None if nothing.
        scored_labels: labels that ``mean_ap`` is over.
        latency_p50_s, latency_p95_s: from an image's stamp to its answer in another process.
        adapters_per_frame: mean over the answered.
        joules_per_frame: mean over the answered; None when unavailable.
        mean_watts: as the node reported it last.
        energy_source: where joules and watts come from; an estimate says so.
        bundle, bundle_checksum: the bundle that ran.
        faults: why the run is not in order; empty if it is.
    """

    recording: str
    published: int
    received: int
    answered: int
    dropped: int
    lost: int
    rejected: int
    failed: int
    mean_ap: float | None
    mean_ap_floor: float | None
    scored_labels: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    adapters_per_frame: float | None
    joules_per_frame: float | None
    mean_watts: float | None
    energy_source: str
    bundle: str
    bundle_checksum: str
    faults: tuple[str, ...]


def summarise(recording: str, run: RunOutput, truth: Truth, *, floor: float | None) -> Summary:
    """Sum up a run.

    Args:
        recording: what was played, for people.
        run: what came of it.
        truth: of the recorded frames; empty if there is none.
        floor: the mean average precision to exceed, where there is truth.
    """
    node, recorded_ns = run.node, run.recorded_ns
    answers = [node.answers[stamp] for stamp in sorted(node.answers) if stamp in recorded_ns]
    reports = [node.energy[one.stamp_ns] for one in answers if one.stamp_ns in node.energy]
    mean_ap, scored_labels = _accuracy(answers, recorded_ns, truth)
    latencies = [answer.latency_s for answer in answers]
    faults = [*_count_faults(len(recorded_ns), len(answers), node.camera), *run.faults]
    if mean_ap is not None and floor is not None and not mean_ap > floor:
        faults.append(f"mean AP {mean_ap:.3f} is not above the bundle's floor {floor:.3f}")
    return Summary(
        recording=recording,
        published=len(recorded_ns),
        **{**node.camera.counts, "answered": len(answers)},
        mean_ap=mean_ap,
        mean_ap_floor=floor,
        scored_labels=scored_labels,
        latency_p50_s=_percentile(latencies, 50),
        latency_p95_s=_percentile(latencies, 95),
        adapters_per_frame=_mean([report.adapters_run for report in reports]),
        joules_per_frame=_mean([report.joules for report in reports]),
        mean_watts=_finite(reports[-1].mean_watts) if reports else None,
        energy_source=reports[-1].source if reports else "unavailable",
        bundle=node.info.bundle if node.info else "",
        bundle_checksum=node.info.checksum if node.info else "",
        faults=tuple(faults),
    )


def stated_floor(node: NodeOutput) -> float | None:
    """The mean average precision that the running bundle states as its floor."""
    if not node.bundle:
        return None
    text = (Path(node.bundle) / MANIFEST_FILE).read_text()
    floor: float | None = json.loads(text).get("metrics", {}).get("mean_ap_floor")
    return floor


def _count_faults(published: int, answered: int, camera: CameraStatus) -> list[str]:
    faults = []
    missing = published - answered - camera.dropped
    if published == 0:
        faults.append("nothing was published")
    if missing > 0:
        faults.append(
            f"{missing} of {published} frames were neither answered nor counted as dropped "
            f"({camera.lost} lost before the node, {camera.rejected} rejected, "
            f"{camera.failed} failed)"
        )
    return faults


def _accuracy(
    answers: Sequence[Answer], recorded_ns: Mapping[int, int], truth: Truth
) -> tuple[float | None, int]:
    """Mean average precision over the answered frames that have truth, and its labels."""
    pairs = [
        (answer.scores, truth[recorded_ns[answer.stamp_ns]])
        for answer in answers
        if recorded_ns[answer.stamp_ns] in truth
    ]
    if not pairs:
        return None, 0
    labels = [label for label in pairs[0][0] if label in pairs[0][1]]
    if not labels:
        return None, 0
    scores = np.array([[s[label] for label in labels] for s, _ in pairs], dtype=np.float32)
    present = np.array([[t[label] for label in labels] for _, t in pairs], dtype=np.int8)
    scored = int((present == 1).any(axis=0).sum())
    return _finite(mean_average_precision(scores, present)), scored


def _mean(values: Sequence[float]) -> float | None:
    return _finite(float(np.mean(values))) if values else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

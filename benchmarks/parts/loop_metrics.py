"""What came of the loop, out of what was sent and what the node published."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np

from parts.metrics import Results, rounded
from parts.photo_stream import PhotoFrame
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.average_precision import label_average_precision
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.metrics.f1 import f1
from polymorph_ros.ros.harness.listener import NodeOutput

_NEAR_NS = 1_000_000  # the page knows stamps to the millisecond


class Seen:
    """What an owner sees in a captured frame: the kinds that it shows.

    Args:
        sent: frames by the stamp with which they were published.
        kinds: in the order of the frames' truth.
    """

    def __init__(self, sent: Mapping[int, PhotoFrame], kinds: Sequence[str]) -> None:
        self._stamps = sorted(sent)
        self._sent, self._kinds = sent, kinds

    def __call__(self, stamp_ns: int) -> list[str]:
        """The kinds in the frame of about this stamp; one that is seen too little of is not.

        Raises:
            PolymorphError: no such frame was sent.
        """
        place = bisect_left(self._stamps, stamp_ns - _NEAR_NS)
        if place == len(self._stamps) or self._stamps[place] > stamp_ns + _NEAR_NS:
            raise PolymorphError("a frame that was sent", f"stamp {stamp_ns}", where="captures")
        truth = self._sent[self._stamps[place]].truth
        return [kind for kind, there in zip(self._kinds, truth, strict=True) if there == 1]


def new_labels(
    output: NodeOutput, frames: Mapping[int, PhotoFrame], kinds: Sequence[str]
) -> Results:
    """How well the node says the new labels, out of what it published.

    Args:
        output: of the node.
        frames: those that count, by stamp; one without an answer has score 0.
        kinds: the labels, in the order of the frames' truth.
    """
    answers = [output.answers.get(stamp) for stamp in frames]
    rows = [[a.scores.get(kind, 0.0) if a else 0.0 for kind in kinds] for a in answers]
    active = np.array([[a is not None and kind in a.active for kind in kinds] for a in answers])
    truth = np.stack([frame.truth for frame in frames.values()])
    precision = label_average_precision(np.array(rows, np.float32), truth)
    return {
        "mean_ap": round(float(precision.mean()), 4),
        "ap": {kind: round(float(v), 4) for kind, v in zip(kinds, precision, strict=True)},
        "micro_f1": round(f1(active, truth).micro, 4),
        "frames": len(frames),
        "share_with_a_kind": rounded(float((truth == 1).any(axis=1).mean())),
    }


def missed_frames(
    sent: Sequence[int], output: NodeOutput, ends: Mapping[str, int] | None = None
) -> Results:
    """Frames that were sent and not answered, and what the node's diagnostics count.

    Args:
        sent: stamps, in the order of sending.
        output: of the node.
        ends: how many had been sent at the end of each part of the loop, by its name.
    """
    missed = np.array([stamp not in output.answers for stamp in sent], bool)
    parts, first = {}, 0
    for name, last in (ends or {}).items():
        parts[name] = int(missed[first:last].sum())
        first = max(first, last)
    return {
        "frames_missed": int(missed.sum()),
        "frames_missed_by_part": parts,
        "frames_sent": len(sent),
        "diagnostics": output.camera.counts,
    }


def adapters_identical(before: Bundle, after: Bundle) -> bool:
    """Whether every file of an old adapter is there, byte for byte."""
    old = {file.path: file.sha256 for file in before.manifest.files if "adapters/" in file.path}
    new = {file.path: file.sha256 for file in after.manifest.files}
    return bool(old) and old.items() <= new.items()

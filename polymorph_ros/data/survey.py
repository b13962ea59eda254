"""Statistics of labelled video: how many labels, how long they stay, which occur together.

Unknown is nowhere counted as absent: each number is taken over what is known for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary

MIN_PAIR_FRAMES = 10  # a lift over fewer common frames says little

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class LabelSurvey:
    """One label.

    Attributes:
        name: of the label.
        present: frames with it.
        absent: frames known to be without it.
        sequences: how many sequences have it in at least one frame.
        mean_run_s: how long it stays once it is there, seconds; 0 where it never is.
    """

    name: str
    present: int
    absent: int
    sequences: int
    mean_run_s: float


@dataclass(frozen=True)
class PairSurvey:
    """Two labels that occur together: in how many frames, and how much above chance."""

    first: str
    second: str
    frames: int
    lift: float


@dataclass(frozen=True)
class Survey:
    """A whole data set.

    Attributes:
        sequences: how many.
        frames: of all sequences.
        seconds: from first to last frame, summed over sequences.
        hz: the median over sequences of frames per second; 0 where no sequence has two frames.
        labels_per_frame: mean number of labels that are present.
        most_labels: in one frame.
        empty_share: share of frames without any present label.
        unknown_share: share of (frame, label) that nobody judged.
        jaccard: mean over neighbouring frames of common / all present labels, among those known
            in both; 1 where both have none.
        mean_run_s: mean time for which a label stays once it is there, over all stays, seconds.
        labels: in the order of the vocabulary.
        pairs: those with ``MIN_PAIR_FRAMES`` common frames or more, by falling lift.
    """

    sequences: int
    frames: int
    seconds: float
    hz: float
    labels_per_frame: float
    most_labels: int
    empty_share: float
    unknown_share: float
    jaccard: float
    mean_run_s: float
    labels: tuple[LabelSurvey, ...]
    pairs: tuple[PairSurvey, ...]


def survey(tracks: Sequence[Track], vocabulary: Vocabulary) -> Survey:
    """Look at the truth of some sequences."""
    size = len(vocabulary)
    present, absent, shown = (np.zeros(size, np.int64) for _ in range(3))
    runs, run_s = np.zeros(size), np.zeros(size)
    alike, neighbours, seconds = 0.0, 0, 0.0
    periods: list[float] = []
    per_frame = np.concatenate([(track.truth == 1).sum(axis=1) for track in tracks])
    for track in tracks:
        here = track.truth == 1
        present += here.sum(axis=0)
        absent += (track.truth == 0).sum(axis=0)
        shown += here.any(axis=0)
        similarity = _jaccards(track.truth)
        alike, neighbours = alike + float(similarity.sum()), neighbours + len(similarity)
        period = _period(track)
        counts, frames = _runs(here)
        runs += counts
        run_s += frames * period
        if len(track.stamps_s) > 1:
            periods.append(period)
            seconds += float(track.stamps_s[-1] - track.stamps_s[0])
    frames_in_all = len(per_frame)
    known = int(present.sum() + absent.sum())
    mean_runs = run_s / np.maximum(runs, 1)
    return Survey(
        sequences=len(tracks),
        frames=frames_in_all,
        seconds=seconds,
        hz=1.0 / float(np.median(periods)) if periods else 0.0,
        labels_per_frame=float(per_frame.mean()),
        most_labels=int(per_frame.max()),
        empty_share=float((per_frame == 0).mean()),
        unknown_share=1.0 - known / (frames_in_all * size),
        jaccard=alike / neighbours if neighbours else 1.0,
        mean_run_s=float(run_s.sum() / max(1.0, runs.sum())),
        labels=tuple(
            LabelSurvey(name, int(present[i]), int(absent[i]), int(shown[i]), float(mean_runs[i]))
            for i, name in enumerate(vocabulary)
        ),
        pairs=_pairs(tracks, vocabulary),
    )


def _jaccards(truth: NDArray[np.int8]) -> NDArray[np.float64]:
    """Of each frame and the next, over labels known in both."""
    known = (truth[:-1] >= 0) & (truth[1:] >= 0)
    common = ((truth[:-1] == 1) & (truth[1:] == 1)).sum(axis=1)
    either = (((truth[:-1] == 1) | (truth[1:] == 1)) & known).sum(axis=1)
    similarity: NDArray[np.float64] = np.where(either > 0, common / np.maximum(either, 1), 1.0)
    return similarity


def _period(track: Track) -> float:
    """The usual time between two frames in seconds; 0 for a single frame."""
    return float(np.median(np.diff(track.stamps_s))) if len(track.stamps_s) > 1 else 0.0


def _runs(here: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per label the number of its runs and of their frames."""
    before = np.vstack([np.zeros((1, here.shape[1]), dtype=np.bool_), here[:-1]])
    return (here & ~before).sum(axis=0), here.sum(axis=0)


def _pairs(tracks: Sequence[Track], vocabulary: Vocabulary) -> tuple[PairSurvey, ...]:
    size = len(vocabulary)
    together: Counts = np.zeros((size, size))
    judged: dict[bytes, tuple[NDArray[np.bool_], int, Counts]] = {}
    for track in tracks:
        for part in _equally_known(track.truth):
            known, here = part[0] >= 0, part == 1
            columns = np.flatnonzero(here.any(axis=0))
            narrow = here[:, columns].astype(np.float64)
            together[np.ix_(columns, columns)] += narrow.T @ narrow
            _, frames, seen = judged.get(known.tobytes(), (known, 0, np.zeros(size)))
            judged[known.tobytes()] = (known, frames + len(part), seen + here.sum(axis=0))
    masks = np.array([known for known, _, _ in judged.values()], dtype=np.float64)
    frames_of = np.array([frames for _, frames, _ in judged.values()], dtype=np.float64)
    seen_of = np.array([seen for _, _, seen in judged.values()])
    both_known = (masks * frames_of[:, None]).T @ masks
    first_seen = seen_of.T @ masks  # of the row's label, in frames in which both are known
    firsts, seconds = np.nonzero(np.triu(together >= MIN_PAIR_FRAMES, 1))
    pairs = []
    for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
        chance = first_seen[first, second] * first_seen[second, first] / both_known[first, second]
        frames = int(together[first, second])
        names = vocabulary.names[first], vocabulary.names[second]
        pairs.append(PairSurvey(*names, frames, frames / float(chance)))
    return tuple(sorted(pairs, key=lambda pair: (-pair.lift, -pair.frames)))


def _equally_known(truth: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """The frames in stretches in which the same labels are known."""
    known = truth >= 0
    cuts = np.flatnonzero((known[1:] != known[:-1]).any(axis=1)) + 1
    bounds = [0, *cuts.tolist(), len(truth)]
    return [truth[first:last] for first, last in pairwise(bounds) if last > first]

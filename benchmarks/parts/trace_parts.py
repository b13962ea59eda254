"""Parts of a trace: its most frequent labels, its training, validation and test sequences."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from parts.traces import Trace
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


def most_frequent(trace: Trace, labels: int) -> Trace:
    """The same sequences with the labels that most frames show, in the trace's order.

    Raises:
        PolymorphError: the trace has fewer labels.
    """
    if not 1 <= labels <= len(trace.vocabulary):
        raise PolymorphError(
            f"1 to {len(trace.vocabulary)} labels", f"{labels}", where=f"trace {trace.name}"
        )
    frames = sum((track.truth == 1).sum(axis=0) for track in trace.tracks)
    kept = np.sort(np.argsort(-frames, kind="stable")[:labels])
    return Trace(
        trace.name,
        Vocabulary(tuple(trace.vocabulary.names[label] for label in kept)),
        tuple(Track(track.truth[:, kept], track.stamps_s, track.name) for track in trace.tracks),
    )


def split(trace: Trace, shares: Sequence[float], *, seed: int = 0) -> tuple[Trace, ...]:
    """Deal whole sequences out to parts, by their names: a sequence's part never depends on others.

    Args:
        trace: what to split.
        shares: the expected share of sequences of each part; together 1.
        seed: another one deals them out otherwise.
    """
    bounds = np.cumsum(shares)
    parts: list[list[Track]] = [[] for _ in shares]
    for track in trace.tracks:
        digest = hashlib.blake2b(f"{seed} {track.name}".encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "little") / 2**64
        parts[min(int(np.searchsorted(bounds, place, side="right")), len(parts) - 1)].append(track)
    return tuple(Trace(trace.name, trace.vocabulary, tuple(part)) for part in parts)


def windows(trace: Trace, frames: int, count: int, *, seed: int = 0) -> Trace:
    """Stretches of at most so many neighbouring frames, drawn at random from all sequences.

    Stretches without any label are left out: they are most of some traces. A stretch is named
    after its sequence and its first frame, and its stamps begin at 0.
    """
    rng = np.random.default_rng(seed)
    cuts = [
        Track(
            track.truth[first : first + frames],
            track.stamps_s[first : first + frames] - track.stamps_s[first],
            f"{track.name}@{first}",
        )
        for track in trace.tracks
        for first in range(0, max(1, len(track.truth) - frames // 2), frames)
        if (track.truth[first : first + frames] == 1).any()
    ]
    chosen = np.sort(rng.permutation(len(cuts))[:count])
    return Trace(trace.name, trace.vocabulary, tuple(cuts[index] for index in chosen.tolist()))

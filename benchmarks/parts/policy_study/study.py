"""Drive policies over label traces: learn on training sequences, measure on held-out ones."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from parts.policy_study.metrics import Played, Tally
from parts.policy_study.policies import (
    AllAdapters,
    Contender,
    FixedContext,
    LastFrame,
    OracleCover,
    PeriodicScan,
    Polymorph,
    RandomContexts,
)
from parts.policy_study.simulated_scores import Quality, SimulatedScores, Simulator
from parts.traces import Trace
from polymorph_ros.contexts.cooccurrence import cooccurrence
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import dynamics
from polymorph_ros.data.track import Track
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.pairs import make_pairs
from polymorph_ros.runtime.thresholds import Thresholds, held_active, off_below

HELD_OUT = 0.3  # share of the sequences that is measured
_TUNING = 0.25  # share of the training sequences that thresholds are chosen on
_TUNING_FRAMES = 12_000
# At least, where there are so many: sequences differ more than frames. Longer pieces than 300
# frames each would be fewer; shorter ones cover less, because little is known at their start.
_TUNING_SEQUENCES = 40
_HELD_OUT_SEQUENCES = 10
# Some contexts more than labels need, so that common labels can stand in several.
_ROOM = 1.5
_COVERED = 0.972  # of label-frames, wanted on the tuning sequences
_COVER_THRESHOLDS = np.geomspace(0.02, 0.4, 64)
_ONS = np.linspace(0.1, 0.8, 29)
# The errors of simulated context scores are independent of those of label scores, and an
# adapter's correlate by half with the scout's, whose scores of rare labels separate as well. On
# tuning sequences of four traces the scout's evidence is best counted in full.
_CONTEXT_WEIGHT, _SCOUT_WEIGHT = 1.0, 1.0
# Factors of `cover` that show what other coverage would have cost.
_CURVE = (0.25, 0.35, 0.5, 0.7, 1.4, 2.0, 2.8, 4.0)

Row = dict[str, object]
Make = Callable[[Knowledge], Contender]


@dataclass(frozen=True)
class Split:
    """Sequences by what they are for."""

    learning: tuple[Track, ...]
    tuning: tuple[Track, ...]
    held_out: tuple[Track, ...]


def study_trace(
    trace: Trace,
    *,
    labels_per_context: int,
    quality: Quality,
    seed: int,
    frames: int,
    probe_share: float,
    say: Callable[[str], None],
) -> Iterator[Row]:
    """A row for each policy on one trace's held-out sequences.

    Args:
        trace: the label trace.
        labels_per_context: how many labels a context may have.
        quality: of the simulated scores.
        seed: of the split and the noise.
        frames: at most about so many held-out frames; 0 for all.
        probe_share: of Polymorph's policy.
        say: takes a line on what goes on.
    """
    split = split_sequences(trace.tracks, seed, frames)
    say(f"{trace.name}: forming contexts on {len(split.learning)} sequences")
    known = learn(trace.vocabulary.names, split.learning, labels_per_context)
    known = replace(known, weights=weights_for(quality))
    simulator = Simulator(known, quality, seed)
    tuning = [simulator.simulate(track, number) for number, track in enumerate(split.tuning)]
    shared: Row = {"trace": trace.name, "contexts": len(known.contexts), "seed": seed}

    def measure(name: str, make: Make, knowledge: Knowledge) -> Row:
        tally = Tally(knowledge.members)
        for number, track in enumerate(split.held_out):
            scores = simulator.simulate(track, len(split.tuning) + number)
            tally.add(play(make(knowledge), scores), track.truth == 1, track.stamps_s)
        return {**shared, "policy": name, **tally.row()}

    say(f"{trace.name}: choosing thresholds on {sum(len(r.track.truth) for r in tuning)} frames")
    polymorph = partial(_polymorph, probe_share=probe_share)
    known = choose_cover_threshold(choose_on(known, polymorph, tuning), polymorph, tuning)
    known = choose_on(known, polymorph, tuning)
    say(f"{trace.name}: measuring on {sum(len(t.truth) for t in split.held_out)} frames")
    chosen = {"cover": float(known.thresholds.cover[0]), "on": float(known.thresholds.on[0])}
    ours = measure("polymorph", polymorph, known) | chosen
    yield ours
    for name, make in _others(float(str(ours["adapters_per_frame"]))).items():
        fitted = choose_on(known, make, tuning)
        yield measure(name, make, fitted) | {"on": float(fitted.thresholds.on[0])}
    for factor in _CURVE:
        moved = with_cover_threshold(known, min(0.9, float(known.thresholds.cover[0]) * factor))
        cover = {"cover": float(moved.thresholds.cover[0])}
        yield measure(f"polymorph, cover x {factor:g}", polymorph, moved) | chosen | cover


def _polymorph(knowledge: Knowledge, probe_share: float) -> Polymorph:
    policy = Polymorph(knowledge)
    policy.use(knowledge.thresholds, probe_share)
    return policy


def _others(adapters_per_frame: float) -> dict[str, Make]:
    """The policies to compare with; random contexts are as many as Polymorph's."""
    return {
        "oracle_cover": OracleCover,
        "all_adapters": AllAdapters,
        "last_frame": LastFrame,
        "periodic_scan": PeriodicScan,
        "fixed_context": FixedContext,
        "random_contexts": partial(RandomContexts, mean=adapters_per_frame),
    }


def weights_for(quality: Quality) -> EvidenceWeights:
    """How far simulated scores of one frame are independent of each other."""
    return EvidenceWeights(
        context=_CONTEXT_WEIGHT, scout=_SCOUT_WEIGHT, correlation_s=quality.correlation_s
    )


def split_sequences(tracks: Sequence[Track], seed: int, frames: int) -> Split:
    """Split whole sequences at random; limit how many frames are tuned on and measured."""
    order = np.random.default_rng(seed).permutation(len(tracks)).tolist()
    held_out = max(1, round(HELD_OUT * len(order)))
    tuning = max(1, round(_TUNING * (len(order) - held_out)))
    rest = [tracks[number] for number in order[held_out:]]
    return Split(
        learning=tuple(rest[tuning:]),
        tuning=_up_to(rest[:tuning], _TUNING_FRAMES, _TUNING_SEQUENCES),
        held_out=_up_to(
            [tracks[number] for number in order[:held_out]], frames, _HELD_OUT_SEQUENCES
        ),
    )


def _up_to(tracks: Sequence[Track], frames: int, sequences: int) -> tuple[Track, ...]:
    """The first sequences with about so many frames, long ones cut so that many take part."""
    if not frames:
        return tuple(tracks)
    most = max(100, frames // sequences)
    taken: list[Track] = []
    for track in tracks:
        if sum(len(other.truth) for other in taken) >= frames:
            break
        taken.append(Track(track.truth[:most], track.stamps_s[:most], track.name))
    return tuple(taken)


def learn(names: Sequence[str], tracks: Sequence[Track], labels_per_context: int) -> Knowledge:
    """Contexts, rates and shares of training sequences; thresholds are chosen later."""
    count = math.ceil(_ROOM * len(names) / labels_per_context)
    contexts = form_contexts(tracks, ContextLimits(count, labels_per_context))
    members = membership(contexts, len(names))
    labels = dynamics(tracks)
    present = dynamics([Track(true_presence(t, members), t.stamps_s) for t in tracks])
    counted = cooccurrence(tracks, contexts, members)
    pairs = make_pairs(contexts, labels.prior, present.prior, counted.shares, counted.priors)
    half = np.full(len(names), 0.4)
    return Knowledge(
        labels=tuple(names),
        context_names=tuple(str(number) for number in range(len(contexts))),
        contexts=contexts,
        members=members,
        pairs=pairs,
        label_dynamics=labels,
        context_dynamics=present,
        costs=np.ones(len(contexts)),
        thresholds=Thresholds(on=half, off=off_below(half), cover=0.2 * half),
    )


def with_cover_threshold(known: Knowledge, cover: float) -> Knowledge:
    """The same with another threshold of what is covered, for every label."""
    return replace(
        known, thresholds=replace(known.thresholds, cover=np.full(len(known.labels), cover))
    )


def choose_cover_threshold(
    known: Knowledge, make: Make, simulated: Sequence[SimulatedScores]
) -> Knowledge:
    """The highest `cover` that covers as many label-frames as wanted, by bisection."""

    def covers(cover: float) -> bool:
        moved, tally = with_cover_threshold(known, cover), Tally(known.members)
        for scores in simulated:
            track = scores.track
            tally.add(play(make(moved), scores), track.truth == 1, track.stamps_s)
        return tally.covered >= _COVERED * tally.present

    # Coverage falls as `cover` rises: -1 while it is enough, so that bisection finds the last.
    place = bisect_left(_COVER_THRESHOLDS.tolist(), 0, key=lambda cover: -1 if covers(cover) else 0)
    return with_cover_threshold(known, float(_COVER_THRESHOLDS[max(0, place - 1)]))


def choose_on(known: Knowledge, make: Make, simulated: Sequence[SimulatedScores]) -> Knowledge:
    """The on-threshold, the same for every label, with the best micro F1 of active labels.

    Beliefs hardly depend on it, so they are played once and every threshold is tried on them.
    """
    contender = make(known)
    beliefs = [play(contender, scores).beliefs for scores in simulated]
    truths = [scores.track.truth == 1 for scores in simulated]
    present = sum(int(truth.sum()) for truth in truths)

    def f1(on: float) -> float:
        off = float(off_below(np.array(on))) if contender.holds_on else on
        actives = [held_active(belief, on, off) for belief in beliefs]
        hits = sum(int((each & truth).sum()) for each, truth in zip(actives, truths, strict=True))
        return 2.0 * hits / max(1, sum(int(each.sum()) for each in actives) + present)

    best = max(_ONS.tolist(), key=f1)
    on = np.full(len(known.labels), best)
    return replace(known, thresholds=replace(known.thresholds, on=on, off=off_below(on)))


def play(contender: Contender, scores: SimulatedScores) -> Played:
    """Drive a policy over a sequence as the engine would, with scores in place of a model."""
    track = scores.track
    beliefs = np.zeros(track.truth.shape, dtype=np.float32)
    active = np.zeros(track.truth.shape, dtype=np.bool_)
    adapters = np.zeros(scores.context_scores.shape, dtype=np.bool_)
    contender.begin(track)
    for frame, stamp_s in enumerate(track.stamps_s):
        contender.update_from_scout(
            round(float(stamp_s) * 1e9),
            scores.label_scores[frame],
            scores.context_scores[frame],
        )
        chosen = contender.select().adapters
        contender.update_from_adapters(
            chosen, [scores.answers[adapter][frame] for adapter in chosen]
        )
        beliefs[frame], active[frame] = contender.label_belief, contender.active
        adapters[frame, list(chosen)] = True
    return Played(beliefs, active, adapters)

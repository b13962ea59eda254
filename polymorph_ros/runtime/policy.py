"""The policy: which adapters a frame needs, and what is believed after they have run.

It knows no pixels and no model. A frame goes through it in three steps::

    policy.update_from_scout(stamp_ns, label_scores, context_scores)  # time, the scout's evidence
    cover = policy.select(limit)  # which adapters
    output = policy.update_from_adapters(cover.adapters, answers)  # active labels

or, where its picture is as the last one, in one: ``output = policy.reuse(time_ns)``.

The engine drives it on a robot, ``benchmarks/policy_on_traces.py`` on label traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.interfaces.enumerations import ChangeKind, ScoreSource
from polymorph_ros.runtime.belief import LEAST, logit, sigmoid
from polymorph_ros.runtime.cover import cheapest_cover, cover_within
from polymorph_ros.runtime.joint_belief import JointBelief
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.probe import Probe
from polymorph_ros.runtime.result import Cover, LabelChange
from polymorph_ros.runtime.thresholds import Thresholds

# A label that has become active stays so for this long at least, and one that has ceased stays
# away: no planner can use a label that flickers.
DWELL_S = 0.25

# What makes an adapter dearer or cheaper than it is, as shares of its cost, so that ties do not
# flap and the better of two covers is taken: that it did not run for the last frame, that its
# context may not be there, that its labels that need not be covered are worth something, too.
_CHANGE = 0.1
_UNLIKELY = 0.3
_FURTHER = 0.3

# What a label of priority counts for under a limit, as a multiple: more than all others together.
_PRIORITY = 1e6


@dataclass(frozen=True)
class PolicyOutput:
    """What is believed of a frame; each field is as in ``FrameResult``.

    ``scores`` is its ``score_array``, ``rejected`` its ``rejected_scores``.
    """

    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]
    ages_s: NDArray[np.float32]
    active_indices: tuple[int, ...]
    changes: tuple[LabelChange, ...]
    rejected: int = 0


class Policy:
    """Beliefs, active labels and cover of one camera.

    Args:
        knowledge: what training taught.
        thresholds: other ones than it taught.
    """

    def __init__(self, knowledge: Knowledge, thresholds: Thresholds | None = None) -> None:
        self._knowledge = knowledge
        self.reset()
        self.use(thresholds or knowledge.thresholds)

    def reset(self, reason: str = "first frame") -> None:
        """Forget everything that was seen.

        Args:
            reason: what the next frame's cover gives as its reason.
        """
        labels = len(self._knowledge.labels)
        self._belief = JointBelief(self._knowledge)
        self._begun = False
        self._time_ns = 0
        self._restarted = reason
        self._trust = 1.0
        self._stamp_ns = 0
        self._rejected_before = 0  # what the belief had rejected before this frame
        self._adapters: tuple[int, ...] = ()
        self._ran: list[int] = []  # the same, to index arrays with
        self._active: Mask = np.zeros(labels, dtype=np.bool_)
        self._since_change_s = np.full(labels, np.inf)
        self._first_stamp_ns = np.zeros(labels, dtype=np.int64)
        self._ages_s = np.zeros(labels)
        self._probe = Probe(self._knowledge)

    @property
    def label_belief(self) -> Floats:
        """The present probability of each label, shape (labels,)."""
        return self._belief.labels

    @property
    def context_belief(self) -> Floats:
        """The present probability of each context, shape (contexts,)."""
        return self._belief.contexts

    @property
    def active(self) -> Mask:
        """The active labels, shape (labels,)."""
        return self._active

    def use(
        self, thresholds: Thresholds, probe_share: float = 0.0, priority: Sequence[str] = ()
    ) -> None:
        """Other settings from the next step on; they hold at once, however young a label is.

        Args:
            thresholds: on beliefs of labels.
            probe_share: share of the adapters' work that goes into looking elsewhere; 0: none.
            priority: labels whose adapters are the last to go; foreign names are passed over.
        """
        self._thresholds = thresholds
        self._priority = np.isin(self._knowledge.labels, list(priority))
        self.raise_cover(0.0)
        self._probe_share = probe_share
        self._since_change_s[:] = np.inf

    def raise_cover(self, shift: float) -> None:
        """Cover labels only from a higher belief on: fewer adapters run.

        Args:
            shift: log-odds, at least 0, added to the cover thresholds of all labels that have no
                priority.
        """
        plain = np.minimum(self._thresholds.cover, self._thresholds.on)
        raised = sigmoid(logit(plain) + shift) if shift else plain
        self._cover_threshold = np.where(self._priority, plain, raised)
        self._price = self._cover_threshold / np.maximum(1.0 - self._cover_threshold, LEAST)

    def update_from_scout(
        self,
        stamp_ns: int,
        label_scores: ArrayLike,
        context_scores: ArrayLike,
        *,
        trust: float = 1.0,
        time_ns: int | None = None,
    ) -> None:
        """Go on to a frame and take the scout's evidence; a time before the last one starts anew.

        Args:
            stamp_ns: the camera's stamp, nanoseconds.
            label_scores: P(label) as the scout says it, shape (labels,).
            context_scores: P(context), shape (contexts,).
            trust: share of the frame's evidence that counts, the adapters' too.
            time_ns: the frame's time by ``TimeBase``; none: its stamp.
        """
        self._go_to(stamp_ns if time_ns is None else time_ns)
        self._stamp_ns = stamp_ns
        self._trust = trust
        self._rejected_before = self._belief.rejected
        seen = self._belief.update_from_scout(label_scores, context_scores, trust)
        np.putmask(self._ages_s, seen, 0.0)

    def _go_to(self, time_ns: int, pace: float = 1.0) -> None:
        elapsed_s = (time_ns - self._time_ns) * 1e-9
        if self._begun and elapsed_s < 0.0:
            self.reset(f"stamps jumped back by {-elapsed_s:.3f} s: started anew")
        elif self._begun:
            self._restarted = ""
            self._belief.predict(elapsed_s, pace)
            self._since_change_s += elapsed_s
            self._ages_s += elapsed_s
            self._probe.wait(elapsed_s)
        self._begun, self._time_ns = True, time_ns

    def select(self, limit: int = 0) -> Cover:
        """The adapters that this frame should run.

        A label is in play where it is active and stays so, or where its belief reaches `cover`.
        The cheapest adapters that cover those run. Then those run, too, whose further labels are
        worth it together: their beliefs, each over the odds of its `cover`, reach the cost.

        Args:
            limit: at most so many; 0 for no limit.
        """
        known = self._knowledge
        in_play = self._in_play()
        worth = self._belief.labels / self._price
        prices = self._prices(worth * ~in_play)
        chosen = cheapest_cover(known.contexts_of_label, in_play, prices)
        if limit and len(chosen) > limit:
            weight = np.where(self._priority, _PRIORITY, 1.0)
            wanted = np.where(in_play, worth * weight, 0.0)
            chosen = cover_within(known.members, wanted, prices, limit)
        chosen, covered = self._worth_it(chosen, worth, limit)
        if self._probe_share and (not limit or len(chosen) < limit):
            further = self._probe.select(self._belief.labels, chosen, covered, self._probe_share)
            chosen = tuple(sorted((*chosen, further))) if further >= 0 else chosen
        return self._cover(chosen, in_play, covered, limit)

    def _in_play(self) -> Mask:
        belief = self._belief.labels
        stays = (belief >= self._thresholds.off) | (self._since_change_s < DWELL_S)
        return (belief >= self._cover_threshold) | (self._active & stays)

    def _prices(self, further: Floats) -> Floats:
        """What each adapter counts for in the cover; `further`: worth of labels not in play."""
        known = self._knowledge
        gain = np.minimum(known.pairs.by_context(further), known.costs)
        prices = known.costs * ((1.0 + _CHANGE + _UNLIKELY) - _UNLIKELY * self._belief.contexts)
        prices -= _FURTHER * gain
        prices[self._ran] -= _CHANGE * known.costs[self._ran]
        return prices

    def _worth_it(
        self, chosen: tuple[int, ...], worth: Floats, limit: int
    ) -> tuple[tuple[int, ...], Mask]:
        """The chosen adapters and those that pay beside them; the labels that they cover."""
        known = self._knowledge
        adapters = list(chosen)
        covered: Mask = np.logical_or.reduce(known.members[adapters], axis=0)
        while not limit or len(adapters) < limit:
            gain = known.pairs.by_context(worth * ~covered) / known.costs
            best = int(gain.argmax())
            if gain[best] < 1.0:
                break
            adapters.append(best)
            covered |= known.members[best]
        return tuple(sorted(adapters)), covered

    def _cover(self, chosen: tuple[int, ...], in_play: Mask, covered: Mask, limit: int) -> Cover:
        reason = self._restarted or self._reason(chosen, in_play)
        uncovered = (in_play & ~covered).nonzero()[0].tolist()
        if uncovered:
            reason += f"; at most {limit} adapter(s) allowed"
        changed = bool(self._restarted) or chosen != self._adapters
        return Cover(chosen, changed, reason, tuple(uncovered))

    def _reason(self, chosen: tuple[int, ...], in_play: Mask) -> str:
        if chosen == self._adapters:
            return "unchanged"
        names = self._knowledge.context_names
        parts = [f"+{names[adapter]}" for adapter in chosen if adapter not in self._adapters]
        parts += [f"-{names[adapter]}" for adapter in self._adapters if adapter not in chosen]
        labels = (in_play & ~self._active).nonzero()[0].tolist()
        cause = ", ".join(self._knowledge.labels[label] for label in labels[:5])
        return " ".join(parts) + (f" (in play: {cause})" if cause else " (labels left)")

    def update_from_adapters(
        self, adapters: tuple[int, ...], answers: Sequence[ArrayLike]
    ) -> PolicyOutput:
        """Take the evidence of the adapters that ran; decide which labels are active.

        Args:
            adapters: indices of the adapters that ran, ascending.
            answers: for each of them P(label | its context is there), in the order of the
                context's labels.
        """
        answered = self._belief.update_from_adapters(adapters, answers, self._trust)
        self._adapters, self._ran = adapters, list(adapters)
        self._probe.note(self._ran)
        self._ages_s[answered] = 0.0
        changes = self._update_active()
        sources = np.full(len(self._active), ScoreSource.SCOUT, dtype=np.uint8)
        sources[answered] = ScoreSource.ADAPTER
        np.putmask(sources, self._ages_s > 0.0, ScoreSource.REUSED)
        return self._output(sources, changes, self._belief.rejected - self._rejected_before)

    def reuse(self, time_ns: int, pace: float = 1.0) -> PolicyOutput:
        """Go on to a frame whose picture is as the last one, without any evidence.

        Beliefs relax by the elapsed time, so they are never surer; active labels stay.

        Args:
            time_ns: the frame's time: its stamp, or as ``TimeBase`` gives it.
            pace: how fast labels change while a picture stays, as a share of their usual rates.
        """
        self._go_to(time_ns, pace)
        sources = np.full(len(self._active), ScoreSource.REUSED, dtype=np.uint8)
        return self._output(sources, (), rejected=0)

    def _output(
        self, sources: NDArray[np.uint8], changes: tuple[LabelChange, ...], rejected: int
    ) -> PolicyOutput:
        return PolicyOutput(
            scores=self._belief.labels.astype(np.float32),
            sources=sources,
            ages_s=self._ages_s.astype(np.float32),
            active_indices=tuple(self._active.nonzero()[0].tolist()),
            changes=changes,
            rejected=rejected,
        )

    def _update_active(self) -> tuple[LabelChange, ...]:
        """Apply the thresholds with hysteresis and dwell; return which labels came and went."""
        belief = self._belief.labels
        free = self._since_change_s >= DWELL_S
        comes = free & ~self._active & (belief >= self._thresholds.on)
        goes = free & self._active & (belief < self._thresholds.off)
        appeared, vanished = comes.nonzero()[0], goes.nonzero()[0]
        self._active = self._active ^ (comes | goes)
        self._since_change_s[appeared] = 0.0
        self._since_change_s[vanished] = 0.0
        self._first_stamp_ns[appeared] = self._stamp_ns
        came = self._changes(ChangeKind.APPEARED, appeared)
        return came + self._changes(ChangeKind.VANISHED, vanished)

    def _changes(self, kind: ChangeKind, labels: NDArray[np.int64]) -> tuple[LabelChange, ...]:
        belief = self._belief.labels
        return tuple(
            LabelChange(
                kind,
                self._knowledge.labels[index],
                index,
                float(belief[index]),
                int(self._first_stamp_ns[index]),
            )
            for index in labels.tolist()
        )

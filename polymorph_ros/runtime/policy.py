"""The policy: which adapters a frame needs, and what is believed after they have run.

It knows no pixels and no model. A frame goes through it in three steps::

    policy.see(stamp_ns, label_scores, context_scores)   # time, the scout's evidence
    cover = policy.choose(limit)                         # which adapters
    verdict = policy.hear(cover.adapters, answers)       # their evidence, active labels

or, where its picture is as the last one, in one: ``verdict = policy.carry(stamp_ns)``.

The engine drives it on a robot, ``polymorph bench policy`` on label traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.belief import Floats, Mask, TwoStateFilter
from polymorph_ros.runtime.cover import greedy_cover
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.result import ChangeKind, Cover, LabelChange, ScoreSource
from polymorph_ros.runtime.thresholds import Thresholds

CORRELATION_S = 0.3  # how long the errors of neighbouring frames stay alike


@dataclass(frozen=True)
class Verdict:
    """What is believed of a frame.

    Attributes:
        scores: float32 of shape (labels,), finite, in [0, 1].
        sources: uint8 of shape (labels,), values of ``ScoreSource``.
        ages_s: float32 of shape (labels,), seconds since the frame that the score comes from.
        active_labels: vocabulary indices, ascending.
        changes: labels that appeared or vanished in this frame.
    """

    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]
    ages_s: NDArray[np.float32]
    active_labels: tuple[int, ...]
    changes: tuple[LabelChange, ...]


class Policy:
    """Beliefs, active labels and cover of one camera.

    Args:
        knowledge: what training taught.
        thresholds: other ones than it taught.
    """

    def __init__(self, knowledge: Knowledge, thresholds: Thresholds | None = None) -> None:
        self._knowledge = knowledge
        self._thresholds = thresholds or knowledge.thresholds
        self.reset()

    def reset(self) -> None:
        """Forget everything that was seen."""
        labels = len(self._knowledge.labels)
        self._labels = _filter(self._knowledge.label_dynamics)
        self._contexts = _filter(self._knowledge.context_dynamics)
        self._begun = False
        self._stamp_ns = 0
        self._restarted = ""
        self._scouted: Floats = np.zeros(labels)
        self._trust = 1.0
        self._active: Mask = np.zeros(labels, dtype=np.bool_)
        self._adapters: tuple[int, ...] = ()
        self._first_stamp_ns = np.zeros(labels, dtype=np.int64)
        self._evidence_stamp_ns = np.zeros(labels, dtype=np.int64)

    @property
    def label_belief(self) -> Floats:
        """The present probability of each label, shape (labels,)."""
        return self._labels.belief

    @property
    def context_belief(self) -> Floats:
        """The present probability of each context, shape (contexts,)."""
        return self._contexts.belief

    @property
    def active(self) -> Mask:
        """The active labels, shape (labels,)."""
        return self._active

    @property
    def rejected(self) -> int:
        """Scores that were not finite since the last reset."""
        return self._labels.rejected + self._contexts.rejected

    def use(self, thresholds: Thresholds) -> None:
        """Other thresholds from the next step on."""
        self._thresholds = thresholds

    def see(
        self,
        stamp_ns: int,
        label_scores: ArrayLike,
        context_scores: ArrayLike,
        *,
        trust: float = 1.0,
    ) -> None:
        """Go on to a frame's stamp and take the scout's evidence.

        A stamp before the last one (a bag that loops, a clock that was set back) starts anew.

        Args:
            stamp_ns: the camera's stamp, nanoseconds.
            label_scores: P(label) as the scout says it, shape (labels,).
            context_scores: P(context), shape (contexts,).
            trust: share of the frame's evidence that counts, the adapters' too.
        """
        self._go_to(stamp_ns)
        self._trust = trust
        self._contexts.observe(np.asarray(context_scores, dtype=np.float64), trust=trust)
        self._scouted = np.asarray(label_scores, dtype=np.float64)
        self._labels.observe(self._scouted, trust=trust)
        self._evidence_stamp_ns[np.isfinite(self._scouted)] = stamp_ns

    def _go_to(self, stamp_ns: int, pace: float = 1.0) -> None:
        last = self._stamp_ns
        if not self._begun:
            self._restarted = "first frame"
        elif stamp_ns < last:
            self.reset()
            self._restarted = (
                f"stamps jumped back by {(last - stamp_ns) * 1e-9:.3f} s: started anew"
            )
        else:
            self._restarted = ""
            self._labels.predict((stamp_ns - last) * 1e-9, pace)
            self._contexts.predict((stamp_ns - last) * 1e-9, pace)
        if self._restarted:
            self._evidence_stamp_ns[:] = stamp_ns
            self._labels.predict(0.0)
            self._contexts.predict(0.0)
        self._begun, self._stamp_ns = True, stamp_ns

    def choose(self, limit: int = 0) -> Cover:
        """The adapters that this frame should run.

        Args:
            limit: at most so many; 0 for no limit.
        """
        members, belief = self._knowledge.members, self._labels.belief
        staying = self._active & (belief >= self._thresholds.off)
        in_play = (belief >= self._thresholds.watch) | staying
        chosen = greedy_cover(
            members,
            in_play,
            context_belief=self._contexts.belief,
            previous=self._adapters,
            limit=limit,
        )
        uncovered = in_play & ~members[list(chosen)].any(axis=0)
        reason = self._restarted or self._reason(chosen, in_play & ~self._active)
        if uncovered.any():
            reason += f"; at most {limit} adapter(s) allowed"
        changed = bool(self._restarted) or chosen != self._adapters
        return Cover(chosen, changed, reason, tuple(np.flatnonzero(uncovered).tolist()))

    def _reason(self, chosen: tuple[int, ...], newly_in_play: Mask) -> str:
        if chosen == self._adapters:
            return "unchanged"
        names = self._knowledge.context_names
        parts = [f"+{names[adapter]}" for adapter in chosen if adapter not in self._adapters]
        parts += [f"-{names[adapter]}" for adapter in self._adapters if adapter not in chosen]
        labels = np.flatnonzero(newly_in_play).tolist()
        cause = ", ".join(self._knowledge.labels[label] for label in labels[:5])
        return " ".join(parts) + (f" (in play: {cause})" if cause else " (labels left)")

    def hear(self, adapters: tuple[int, ...], answers: Sequence[ArrayLike]) -> Verdict:
        """Take the evidence of the adapters that ran; decide which labels are active.

        An adapter's score holds given that its context is there, so a label's score is
        ``P(context) P(label | context) + (1 - P(context)) P_scout(label)``. Where several active
        adapters know a label, the one whose context is likeliest speaks.

        Args:
            adapters: indices of the adapters that ran, ascending.
            answers: for each of them P(label | its context is there), in the order of the
                context's labels.
        """
        scores = self._scouted.copy()
        answered = np.zeros(scores.shape, dtype=np.bool_)
        context_belief = self._contexts.belief
        for adapter, answer in sorted(
            zip(adapters, answers, strict=True), key=lambda pair: context_belief[pair[0]]
        ):
            labels = list(self._knowledge.contexts[adapter])
            here = context_belief[adapter]
            values = np.asarray(answer, dtype=np.float64)
            scores[labels] = here * values + (1.0 - here) * self._scouted[labels]
            answered[labels] = True
        self._labels.observe(scores, where=answered, trust=self._trust)
        self._adapters = adapters
        self._evidence_stamp_ns[answered & np.isfinite(scores)] = self._stamp_ns
        changes = self._update_active()
        return self._verdict(answered, changes)

    def carry(self, stamp_ns: int, pace: float = 1.0) -> Verdict:
        """Go on to a frame whose picture is as the last one, without any evidence.

        Beliefs relax by the elapsed time, so they are never surer; active labels stay.

        Args:
            stamp_ns: the frame's stamp.
            pace: how fast labels change while a picture stays, as a share of their usual rates.
        """
        self._go_to(stamp_ns, pace)
        verdict = self._verdict(np.zeros_like(self._active), ())
        return replace(verdict, sources=np.full_like(verdict.sources, ScoreSource.CARRIED))

    def _verdict(self, answered: Mask, changes: tuple[LabelChange, ...]) -> Verdict:
        ages_ns = self._stamp_ns - self._evidence_stamp_ns
        sources = np.where(answered, ScoreSource.ADAPTER, ScoreSource.SCOUT).astype(np.uint8)
        sources[ages_ns > 0] = ScoreSource.CARRIED
        return Verdict(
            scores=self._labels.belief.astype(np.float32),
            sources=sources,
            ages_s=(ages_ns * 1e-9).astype(np.float32),
            active_labels=tuple(np.flatnonzero(self._active).tolist()),
            changes=changes,
        )

    def _update_active(self) -> tuple[LabelChange, ...]:
        """Apply the thresholds with hysteresis; tell which labels appeared and vanished."""
        belief = self._labels.belief
        now = (belief >= self._thresholds.on) | (self._active & (belief >= self._thresholds.off))
        appeared, vanished = now & ~self._active, self._active & ~now
        self._first_stamp_ns[appeared] = self._stamp_ns
        self._active = now
        return self._changes(ChangeKind.APPEARED, appeared) + self._changes(
            ChangeKind.VANISHED, vanished
        )

    def _changes(self, kind: ChangeKind, mask: Mask) -> tuple[LabelChange, ...]:
        return tuple(
            LabelChange(
                kind, label, float(self._labels.belief[label]), int(self._first_stamp_ns[label])
            )
            for label in np.flatnonzero(mask).tolist()
        )


def _filter(learned: Dynamics) -> TwoStateFilter:
    return TwoStateFilter(
        learned.prior, learned.appear_hz, learned.vanish_hz, correlation_s=CORRELATION_S
    )

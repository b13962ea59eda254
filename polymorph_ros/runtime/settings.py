"""What may be changed while the engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polymorph_ros.errors import PolymorphError

_AT_LEAST_0 = (
    "max_adapters", "frame_budget_s", "frame_budget_j", "budget_watts", "target_hz", "reuse_s",
)  # fmt: skip


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the engine; a new object replaces the old one between two frames.

    Attributes:
        max_adapters: at most so many adapters per frame; 0 for no limit.
        threshold_shift: log-odds added to every threshold: above 0 fewer labels become active
            and fewer adapters run, below 0 more.
        frame_budget_s: seconds that a frame's computation should take on average; 0 for no budget.
        frame_budget_j: joules that a frame should take on average; 0 for no budget.
        budget_watts: mean power over 10 s, idle power included; 0 for no budget.
        target_hz: frames per second, of all cameras together, that the engine should be able to
            answer on average; 0 for no target.
        priority_labels: labels whose adapters a budget takes last.
        reuse_s: seconds for which a result may be reused while the picture stays
            nearly the same (the bundle's own limit holds too); 0 computes every picture.
        detect_unknown_scenes: whether scenes unlike those of training are recognised.
        probe_share: share of the adapters' work that goes into one further adapter now and then,
            to find labels that the scout does not see; from 0 (never) to 0.9.
        pooled_features: whether results have the trunk's pooled feature.

    Raises:
        PolymorphError: a value is out of range.
    """

    max_adapters: int = 0
    threshold_shift: float = 0.0
    frame_budget_s: float = 0.0
    frame_budget_j: float = 0.0
    budget_watts: float = 0.0
    target_hz: float = 0.0
    priority_labels: tuple[str, ...] = ()
    reuse_s: float = 0.0
    detect_unknown_scenes: bool = True
    probe_share: float = 0.0
    pooled_features: bool = False

    def require_labels(self, labels: Sequence[str]) -> None:
        """Raise PolymorphError where ``priority_labels`` are not of this vocabulary."""
        unknown = [name for name in self.priority_labels if name not in labels]
        if unknown:
            raise PolymorphError(
                f"some of {', '.join(labels)}", ", ".join(unknown), where="priority_labels"
            )

    def __post_init__(self) -> None:
        for name in _AT_LEAST_0:
            if not getattr(self, name) >= 0:
                raise PolymorphError("a value of at least 0", f"{getattr(self, name)}", where=name)
        if not 0.0 <= self.probe_share <= 0.9:
            raise PolymorphError(
                "a share from 0 to 0.9", f"{self.probe_share}", where="probe_share"
            )
        if not -10.0 <= self.threshold_shift <= 10.0:
            raise PolymorphError(
                "log-odds from -10 to 10", f"{self.threshold_shift}", where="threshold_shift"
            )

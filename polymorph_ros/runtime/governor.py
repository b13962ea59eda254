"""Governor: how many adapters a frame may run and stay inside its budget."""

from __future__ import annotations

import math

from polymorph_ros.runtime.settings import EngineSettings

_MEMORY = 0.9  # weight of the past in the running means


class Governor:
    """Turns a budget of seconds or joules per frame into a limit on adapters.

    Each frame's cost is taken as fixed + adapters x cost per adapter. The tails' share of the
    seconds gives the split; joules are split in the same proportion.
    """

    def __init__(self) -> None:
        self._fixed_s: float | None = None
        self._adapter_s: float | None = None
        self._watts: float | None = None

    def limit(self, settings: EngineSettings) -> int:
        """The most adapters for the next frame; 0 for no limit.

        Never below one: with a budget too small for any adapter the node still answers.
        """
        limits = [settings.max_adapters] if settings.max_adapters else []
        for budget_s in self._budgets(settings):
            if self._fixed_s is not None and self._adapter_s:
                limits.append(max(1, math.floor((budget_s - self._fixed_s) / self._adapter_s)))
        return min(limits, default=0)

    def _budgets(self, settings: EngineSettings) -> list[float]:
        budgets = [settings.frame_budget_s] if settings.frame_budget_s else []
        if settings.frame_budget_j and self._watts:
            budgets.append(settings.frame_budget_j / self._watts)
        return budgets

    def learn(self, *, total_s: float, tails_s: float, adapters: int, joules: float) -> None:
        """Take the cost of a frame that ran (joules may be NaN: then only seconds count)."""
        self._fixed_s = _mean(self._fixed_s, total_s - tails_s)
        if adapters:
            self._adapter_s = _mean(self._adapter_s, tails_s / adapters)
        if math.isfinite(joules) and total_s > 0:
            self._watts = _mean(self._watts, joules / total_s)


def _mean(past: float | None, value: float) -> float:
    return value if past is None else _MEMORY * past + (1.0 - _MEMORY) * value

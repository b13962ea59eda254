"""Governor: keeps set-points of watts, joules or seconds by the levers of the operating points.

Each set-point has an account. Every frame adds what it may cost and takes off what it did cost. The
next frame may then cost

    allowance + balance / (frames in SETTLE_S)

which brings the balance back to 0 by a first-order decay, so it neither swings nor stays off. That
is divided by what a frame without limits costs (the feed-forward: measured cost over the share
that the ladder predicts), which gives a share of the unlimited cost, and the ladder the two points
around it. Frames alternate between those, spread evenly (error diffusion).

Balances are bounded (no windup): no more credit than CREDIT_S, no more debt than DEBT_S of
allowance, and never more than the last WINDOW_S leave. So what was saved may be spent for a while,
and no window of that length is above its set-point for long. A set-point that changes begins with
an empty balance and the cost known so far (no bump).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from polymorph_ros.bundle.manifest import OperatingPoint
from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.runtime.operating_points import Step, Work, ladder
from polymorph_ros.runtime.settings import EngineSettings

SETTLE_S = 1.0
CREDIT_S = 0.5
DEBT_S = 2.0
WINDOW_S = 10.0
"""Means are kept over this long."""
# A set-point counts as broken after wanting less than the least for so long.
PATIENCE_S = 1.0
_MEAN_S = 1.0  # time constant of the running means
_ALLOWED_S = 0.3  # of the allowance: a burst of frames shows in it first
_FORGET_S = 4.0  # time constant of credit
_LONGEST_S = 2.0  # of a pause that adds to an account: what was saved before it is gone


@dataclass(frozen=True)
class FrameCost:
    """What a frame cost.

    Attributes:
        seconds: of its computation.
        tails_s: of its adapters, part of it.
        adapters: how many ran.
        computed: whether it was computed, not reused.
        energy: its joules, and the total.
    """

    seconds: float
    tails_s: float
    adapters: int
    computed: bool
    energy: FrameEnergy


class Mean:
    """A running mean that forgets with a time constant; plain until that has passed."""

    def __init__(self) -> None:
        self.value = math.nan
        self._weight = 0.0

    def add(self, value: float, elapsed_s: float) -> None:
        """Take a value that stands for so many seconds."""
        keep = math.exp(-elapsed_s / _MEAN_S)
        self._weight = keep * self._weight + (1.0 - keep)
        part = (1.0 - keep) / self._weight if self._weight else 1.0
        self.value = value if math.isnan(self.value) else self.value + part * (value - self.value)


class Account:
    """One set-point: what frames may cost, did cost, and would cost without limits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.balance = 0.0
        self.set_point = 0.0
        # sums that forget alike, so that their ratios are means over the same frames
        self._cost = self._share = self._allowed = self._frames = self._seconds = 0.0
        self._short_s = 0.0
        self._before = 1.0
        self._window: deque[tuple[float, float]] = deque()  # seconds, allowance less cost
        self._window_s = self._left = 0.0

    @property
    def unlimited(self) -> float:
        """What a frame without limits costs; NaN before any."""
        return self._cost / self._share if self._share > 0 else math.nan

    @property
    def allowance(self) -> float:
        """What a frame may cost, on average; NaN before any."""
        return self._allowed / self._frames if self._frames > 0 else math.nan

    def change(self, set_point: float) -> None:
        """Take the set-point as it is now; another one starts with an empty balance."""
        if set_point != self.set_point:
            self._before = min(1.0, self.wanted(0.0))
            self.set_point, self.balance, self._short_s = set_point, 0.0, 0.0
            self._allowed = self._frames = self._seconds = 0.0
            self._window.clear()
            self._window_s = self._left = 0.0

    def enter(self, cost: float, allowed: float, share: float, elapsed_s: float) -> None:
        """Take a frame: its cost, what it was allowed, and the share that was predicted for it."""
        keep = math.exp(-elapsed_s / _MEAN_S)
        self._cost = keep * self._cost + cost
        self._share = keep * self._share + share
        keep = math.exp(-elapsed_s / _ALLOWED_S)
        self._allowed = keep * self._allowed + allowed
        self._frames = keep * self._frames + 1.0
        self._seconds = keep * self._seconds + elapsed_s
        self._enter_window(elapsed_s, allowed - cost)
        rate = self._allowed / self._seconds
        if self.balance > 0:  # or a burst would come back each time that it leaves the window
            self.balance *= math.exp(-elapsed_s / _FORGET_S)
        self.balance += allowed - cost
        self.balance = min(CREDIT_S * rate, max(-DEBT_S * rate, self.balance))

    def _enter_window(self, seconds: float, left: float) -> None:
        """Keep the sums over the last WINDOW_S."""
        self._window.append((seconds, left))
        self._window_s, self._left = self._window_s + seconds, self._left + left
        while self._window_s > WINDOW_S:
            seconds, left = self._window.popleft()
            self._window_s, self._left = self._window_s - seconds, self._left - left

    def wanted(self, period_s: float) -> float:
        """The share of the unlimited cost that the next frame may take."""
        if not self.unlimited > 0:
            return 1.0
        if not self._frames:  # a set-point that has just changed
            return self._before
        balance = min(self.balance, self._left)
        return (self.allowance + balance * period_s / SETTLE_S) / self.unlimited

    def judge(self, least: float, elapsed_s: float) -> bool:
        """Whether the set-point cannot be kept: even the least share is above it."""
        needed = least * self.unlimited
        short = needed > 1.02 * self.allowance
        self._short_s = self._short_s + elapsed_s if short else 0.0
        return self._short_s > PATIENCE_S


class Governor:
    """Chooses the operating point of each frame.

    Args:
        points: the bundle's, the first without limits.
    """

    def __init__(self, points: Sequence[OperatingPoint]) -> None:
        self._points = tuple(points)
        self._accounts: dict[str, Account] = {}
        self._fixed, self._adapter, self._reused = Mean(), Mean(), Mean()
        self._period, self._watts = Mean(), Mean()
        self._work = Work()
        self._steps: tuple[Step, ...] = ladder(self._points, self._work)
        self._dither = 0.0
        self._share = 1.0
        self._last_s: float | None = None
        self._last_total = math.nan
        self._lost = False
        self.trouble = ""
        """Why a set-point is not kept, and the least that could be; empty where all are."""

    def plan(self, settings: EngineSettings) -> OperatingPoint:
        """The point for the next frame."""
        wanted = self._set_points(settings)
        for name in [name for name in self._accounts if name not in wanted]:
            del self._accounts[name]
        for name, value in wanted.items():
            self._accounts.setdefault(name, Account(name)).change(value)
        if not wanted:
            self._share, self.trouble = 1.0, ""
            return self._points[0]
        period_s = self._period.value if self._period.value > 0 else 0.1
        share = min(account.wanted(period_s) for account in self._accounts.values())
        return self._mix(min(1.0, max(self._steps[-1].share, share)))

    def _set_points(self, settings: EngineSettings) -> dict[str, float]:
        seconds = [settings.frame_budget_s] if settings.frame_budget_s else []
        seconds += [1.0 / settings.target_hz] if settings.target_hz else []
        found = {
            "s": min(seconds, default=0.0),
            "j": settings.frame_budget_j,
            "watts": settings.budget_watts,
        }
        return {name: value for name, value in found.items() if value > 0}

    def _mix(self, share: float) -> OperatingPoint:
        """One of the two points around a share, in turn, so that their mean is the share."""
        below = next(
            (place for place, step in enumerate(self._steps) if step.share <= share + 1e-9),
            len(self._steps) - 1,
        )
        cheap, dear = self._steps[below], self._steps[max(0, below - 1)]
        width = dear.share - cheap.share
        self._dither += (share - cheap.share) / width if width > 0 else 0.0
        chosen = dear if self._dither >= 1.0 else cheap
        if chosen is dear and width > 0:
            self._dither -= 1.0
        self._share = chosen.share
        return chosen.point

    def learn(self, now_s: float, cost: FrameCost) -> None:
        """Take what a frame cost.

        Args:
            now_s: at its end, on a clock that never falls.
            cost: of the frame.
        """
        if self._last_s is None:
            elapsed_s = max(cost.seconds, 1e-6)
        else:
            elapsed_s = max(now_s - self._last_s, cost.seconds, 1e-6)
        pause = elapsed_s > _LONGEST_S
        spent_j = cost.energy.total_joules - self._last_total
        self._last_s, self._last_total = now_s, cost.energy.total_joules
        elapsed_s = min(elapsed_s, _LONGEST_S)
        self._period.add(elapsed_s, elapsed_s)
        self._learn_work(cost, elapsed_s)
        idle = _or_0(cost.energy.idle_watts)
        joules = self._joules(cost, elapsed_s)
        above_j = self._period_joules(cost, math.nan if pause else spent_j, elapsed_s, idle)
        for account in self._accounts.values():
            if account.name == "s":
                account.enter(cost.seconds, account.set_point, self._share, elapsed_s)
            elif account.name == "j" and math.isfinite(joules):
                account.enter(joules, account.set_point, self._share, elapsed_s)
            elif account.name == "watts" and math.isfinite(above_j):
                allowed = max(0.0, account.set_point - idle) * elapsed_s
                account.enter(above_j, allowed, self._share, elapsed_s)
        self._judge(elapsed_s, idle, math.isfinite(joules))

    def _learn_work(self, cost: FrameCost, elapsed_s: float) -> None:
        """What parts of a frame cost here; the ladder for it."""
        if not cost.computed:
            self._reused.add(cost.seconds, elapsed_s)
            return
        self._fixed.add(cost.seconds - cost.tails_s, elapsed_s)
        if cost.adapters:
            self._adapter.add(cost.tails_s / cost.adapters, elapsed_s)
        fixed = max(self._fixed.value, 1e-9)
        adapter = self._adapter.value if self._adapter.value > 0 else 0.1 * fixed
        reused = self._reused.value if self._reused.value > 0 else 0.02 * fixed
        work = Work(1.0, adapter / fixed, min(reused / fixed, 1.0))
        if abs(work.adapter - self._work.adapter) + abs(work.reused - self._work.reused) > 0.02:
            self._work, self._steps = work, ladder(self._points, work)

    def _joules(self, cost: FrameCost, elapsed_s: float) -> float:
        """Joules of the frame; by its seconds and the power before, once the sensor is lost."""
        joules = cost.energy.joules
        self._lost = math.isnan(joules) and math.isfinite(self._watts.value)
        if math.isfinite(joules) and cost.seconds > 0:
            self._watts.add(joules / cost.seconds, elapsed_s)
        return self._watts.value * cost.seconds if self._lost else joules

    def _period_joules(
        self, cost: FrameCost, spent_j: float, elapsed_s: float, idle: float
    ) -> float:
        """Joules above idle since the frame before."""
        if math.isfinite(spent_j):
            return spent_j - idle * elapsed_s
        joules = self._joules_known(cost)
        return joules - idle * cost.seconds if math.isfinite(joules) else math.nan

    def _joules_known(self, cost: FrameCost) -> float:
        return self._watts.value * cost.seconds if self._lost else cost.energy.joules

    def _judge(self, elapsed_s: float, idle: float, known: bool) -> None:
        """Say what is not kept."""
        reasons = []
        for account in self._accounts.values():
            if account.name != "s" and not known:
                reasons.append("the budget of energy is not kept: no meter gives joules")
            elif account.judge(self._steps[-1].share, elapsed_s):
                reasons.append(self._least(account, idle))
        if self._lost and any(name != "s" for name in self._accounts):
            reasons.append("the energy sensor is lost: joules are taken from seconds")
        self.trouble = "; ".join(reasons)

    def _least(self, account: Account, idle: float) -> str:
        least = account.unlimited * self._steps[-1].share
        if account.name == "watts":
            watts = idle + least / max(self._period.value, 1e-6)
            below = f" (it is below idle power, {idle:.3g} W)" if account.set_point <= idle else ""
            return f"budget_watts {account.set_point:.3g} cannot be kept{below}: least {watts:.3g}"
        if account.name == "j":
            return f"frame_budget_j {account.set_point:.3g} cannot be kept: least {least:.3g}"
        return (
            f"{1e3 * account.set_point:.3g} ms per frame cannot be kept: least {1e3 * least:.3g} "
            f"ms ({1.0 / least:.3g} frames per second)"
        )


def _or_0(value: float) -> float:
    return 0.0 if math.isnan(value) else value

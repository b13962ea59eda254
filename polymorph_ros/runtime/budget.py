"""Set-points as budgets: what may be spent now, so that means over 3 s and 10 s are kept.

A budget's balance earns the set-point and pays what frames cost. It sets the pace: what calm
pictures leave is saved, up to DEPTH_S of it, for those that change. A frame is computed only where
sliding windows of both lengths leave room for what it is predicted to cost. So no window is above
its limit as far as predictions are right, and what is wrong with them is paid by later frames.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

WINDOW_S = 10.0
"""Means over this long are kept within TOLERANCE."""
TOLERANCE = 0.05
SHORT_S = 3.0
"""Means over this long are kept within OVERSHOOT."""
OVERSHOOT = 0.2
DEPTH_S = 2.0 * TOLERANCE * WINDOW_S
"""A full balance is what so many seconds earn: from it to its half is what WINDOW_S tolerate."""


class Mean:
    """A running mean that forgets with a time constant; plain until that has passed.

    Args:
        constant_s: the time constant, seconds.
    """

    def __init__(self, constant_s: float) -> None:
        self.value = math.nan
        self._constant_s = constant_s
        self._weight = 0.0

    def add(self, value: float, elapsed_s: float) -> None:
        """Take a value that stands for so many seconds."""
        keep = math.exp(-elapsed_s / self._constant_s)
        self._weight = keep * self._weight + (1.0 - keep)
        part = (1.0 - keep) / self._weight if self._weight else 1.0
        self.value = value if math.isnan(self.value) else self.value + part * (value - self.value)


class Ratio:
    """Sums of two things that forget alike: what is spent for each unit that was predicted.

    Args:
        constant_s: the time constant, seconds.
    """

    def __init__(self, constant_s: float) -> None:
        self._constant_s = constant_s
        self._spent = self._predicted = 0.0

    def add(self, spent: float, predicted: float, elapsed_s: float) -> None:
        """Take what a frame cost and what was predicted for it."""
        keep = math.exp(-elapsed_s / self._constant_s)
        self._spent = keep * self._spent + spent
        self._predicted = keep * self._predicted + predicted

    @property
    def value(self) -> float:
        """NaN before anything is known."""
        return self._spent / self._predicted if self._predicted > 0 else math.nan


class _Window:
    """What was spent within a sliding window.

    Args:
        length_s: of the window.
        above: how far its mean may be above the set-point, as a share.
    """

    def __init__(self, length_s: float, above: float) -> None:
        self._length_s = length_s
        self._limit_s = (1.0 + above) * length_s
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def move(self, now_s: float) -> None:
        """Forget what is too long ago."""
        while self._spent and self._spent[0][0] <= now_s - self._length_s:
            self._sum -= self._spent.popleft()[1]
        if not self._spent:
            self._sum = 0.0  # no rounding errors stay

    def spend(self, now_s: float, cost: float) -> None:
        """Take a frame."""
        self._spent.append((now_s, cost))
        self._sum += cost

    def left(self, per_second: float) -> float:
        """What the set-point still allows; a frame always, where there is no other."""
        allowed = self._limit_s * per_second
        return allowed - self._sum if self._sum > 0.1 * allowed else math.inf


@dataclass(frozen=True)
class Rates:
    """What a budget earns and what frames cost, on average.

    Attributes:
        earned: per second.
        period_s: between two frames.
        dearest: of a frame without limits; NaN where that is not known yet.
        skipped: of a frame that is not computed.
    """

    earned: float
    period_s: float
    dearest: float
    skipped: float


class Budget:
    """One set-point.

    Args:
        set_point: as it was set: seconds or joules per frame, or watts.

    Attributes:
        balance: what was earned and not spent, in the unit of costs.
        depth: the most that it holds, and the most that it owes.
        short: whether even the least costs more than it earns.
    """

    def __init__(self, set_point: float) -> None:
        self.set_point = set_point
        self.balance = self.depth = 0.0
        self.short = False
        self._begun = False
        self._rates = Rates(0.0, 1.0, math.nan, 0.0)
        self._windows = _Window(WINDOW_S, TOLERANCE), _Window(SHORT_S, OVERSHOOT)

    def earn(self, now_s: float, allowance: float, rates: Rates) -> None:
        """Take what has been earned.

        Args:
            now_s: on a clock that never falls.
            allowance: since the last frame.
            rates: what is earned and spent on average.
        """
        self._rates = rates
        for window in self._windows:
            window.move(now_s)
        # room for a frame at least, and for what is earned before the next one comes
        frame = rates.dearest + rates.earned * rates.period_s
        self.depth = max(DEPTH_S * rates.earned, 0.0 if math.isnan(frame) else frame)
        if not self._begun:  # half full: the first frames get what they are predicted to cost
            self._begun, self.balance = True, 0.5 * self.depth
        else:
            self.balance = min(self.balance + allowance, self.depth)

    def spend(self, now_s: float, cost: float) -> None:
        """Pay for a frame at its end; no more is owed than it cost, or than a full balance is."""
        self.balance = max(self.balance - cost, -max(self.depth, cost))
        above = max(0.0, cost - self._rates.skipped)
        for window in self._windows:
            window.spend(now_s, above)

    def affords(self, cost: float) -> bool:
        """Whether a frame of this cost may be computed; any before costs are known."""
        if not self._begun or math.isnan(cost):
            return True
        skipped = self._rates.skipped
        per_second = self._rates.earned - skipped / self._rates.period_s
        left = min(window.left(per_second) for window in self._windows)
        return left >= cost - skipped

    @property
    def full(self) -> bool:
        """Whether what is earned next would be lost."""
        return self._begun and self.balance >= self.depth > 0.0

    @property
    def pace(self) -> float:
        """What to spend, as a multiple of what is earned: 1 while half full, from 0 to 1.5.

        The balance so returns to the half within about DEPTH_S, without swinging.
        """
        return max(0.0, 0.5 + self.balance / self.depth) if self.depth > 0 else 0.0

    def judge(self, least: float, allowance: float) -> None:
        """Compare the least that a frame can cost with what it earns, both on average."""
        self.short = least > (1.0 if self.short else 1.0 + TOLERANCE) * allowance

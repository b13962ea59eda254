"""Governor: keeps set-points of watts, joules or seconds by the levers of the operating points.

Feed-forward: what a set-point earns per frame, over what a frame without limits costs, is the share
of the unlimited cost that may be used. The ladder says which mixture of two neighbouring points has
that share and the best accuracy in validation. Feedback: the share is raised or lowered by how much
of its budget is left. A frame is computed when it is its camera's turn, which comes the sooner the
more its picture has changed, and when every budget affords it (``runtime/budget.py``): so means are
kept even where the ladder is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from polymorph_ros.bundle.manifest import OperatingPoint
from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.runtime.budget import WINDOW_S, Budget, Mean, Rates, Ratio
from polymorph_ros.runtime.operating_points import Mixture, Step, Table, ladder, mixture
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.runtime.work import LEARN_S, Work

_LONGEST_S = 2.0  # of a pause that still tells what frames cost
_PERIOD_S = 0.5  # time constant of how often frames come: a burst shows in it first
_LADDER_S = 1.0  # between two looks at the ladder


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


@dataclass(frozen=True)
class Plan:
    """What to do with a frame.

    Attributes:
        point: the operating point, if it is computed.
        compute: whether it is; else its camera's last result stands.
    """

    point: OperatingPoint
    compute: bool = True


@dataclass
class _Turn:
    """One camera's way to its next computed frame.

    Attributes:
        due: frames that it should have had computed, at most 2.
        skipped: frames since the last computed one.
        seen_s: when its last frame came.
        change: mean change of its pictures against the last computed one.
    """

    due: float = 0.0
    skipped: float = math.inf  # none was computed
    seen_s: float = math.nan
    change: Mean = field(default_factory=lambda: Mean(WINDOW_S))

    def advance(self, rate: float, change: float, now_s: float) -> None:
        """Go on by a frame: the sooner, the more its picture has changed.

        Args:
            rate: computed frames per frame, on average; at 1 all are.
            change: of its picture against the last computed one; NaN where that is not known.
            now_s: on a clock that never falls.
        """
        weight = 1.0
        if math.isfinite(change):
            elapsed_s = 0.0 if math.isnan(self.seen_s) else now_s - self.seen_s
            self.change.add(change, max(elapsed_s, 1e-6))
            weight = change / self.change.value if self.change.value > 0 else 1.0
        self.seen_s = now_s
        self.due = min(self.due + (rate * weight if rate < 1.0 else 1.0), 2.0)


class Governor:
    """Chooses the operating point of each frame, and which frames are computed.

    Args:
        table: the bundle's operating points.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._work = Work()
        self._use(table.hz, reuse=True)
        self._budgets: dict[str, Budget] = {}
        self._ratios = {name: Ratio(LEARN_S) for name in ("s", "j", "watts")}
        self._turns: dict[str, _Turn] = {}
        self._plan = Plan(self._points[0])
        self._turned = True  # whether the frame was its camera's turn
        self._dither = 0.0
        self._period, self._long_period = Mean(_PERIOD_S), Mean(LEARN_S)
        self._last_computed_s = 0.0
        self._watts = Mean(LEARN_S)
        self._idle = 0.0
        self._begun_s = self._last_s = self._ladder_s = -math.inf
        self._last_total = math.nan
        self._lost = self._known = False
        self.trouble = ""
        """Why a set-point is not kept, and the least that could be; empty where all are."""

    def _use(self, hz: float, *, reuse: bool) -> None:
        """Take the points for a camera of this rate, with or without reuse, and their ladder."""
        self._reuse = reuse
        self._points = self._table.at(hz, reuse=reuse)
        self._steps: tuple[Step, ...] = ladder(self._points, self._work.of)

    def may_skip(self, settings: EngineSettings) -> bool:
        """Whether frames may be left out, so that it matters how much pictures change."""
        return bool(_set_points(settings)) or self._points[0].every > 1

    def plan(
        self,
        settings: EngineSettings,
        now_s: float,
        camera: str = "",
        *,
        change: float = math.nan,
        hz: float = math.nan,
        reuse: bool = True,
    ) -> Plan:
        """What to do with the next frame.

        Args:
            settings: as they are now; they have the set-points.
            now_s: on a clock that never falls.
            camera: whose frame it is.
            change: of its picture against the camera's last computed one, grey levels; NaN where
                that is not known.
            hz: its frames per second; NaN where it is not known.
            reuse: whether results are reused while the picture stays.
        """
        turn = self._turn(camera, now_s)
        if reuse != self._reuse or now_s - self._ladder_s >= _LADDER_S:
            self._ladder_s = now_s
            self._use(hz, reuse=reuse)
        self._set(_set_points(settings))
        self._earn(now_s)
        mixed = Mixture(self._points[0], self._points[0], 1.0)
        if self._budgets:
            mixed = mixture(self._steps, min(self._shares()))
        turn.advance(mixed.rate, math.nan if self._table.even else change, now_s)
        dear = self._dither + mixed.dear_of_computed >= 1.0
        point = mixed.dear if dear else mixed.cheap
        self._turned = self._may(turn, point)
        if self._turned:
            # each has its part of the computed frames
            self._dither += mixed.dear_of_computed - dear
            turn.due, turn.skipped = max(0.0, turn.due - 1.0), 0
        else:
            turn.skipped += 1
        self._plan = Plan(point, self._turned)
        return self._plan

    def forget(self, camera: str | None = None) -> None:
        """Compute the next frame of a camera, or of all."""
        if camera is None:
            self._turns.clear()
        else:
            self._turns.pop(camera, None)

    def _set(self, set_points: dict[str, float]) -> None:
        """Take the set-points as they are now; another one starts with a budget of its own."""
        self._budgets = {
            name: budget
            if (budget := self._budgets.get(name)) and budget.set_point == value
            else Budget(value)
            for name, value in set_points.items()
        }

    def _earn(self, now_s: float) -> None:
        """Fill the budgets by the time since the last frame came, or by one frame."""
        elapsed_s = now_s - self._begun_s
        self._begun_s = now_s
        if math.isfinite(elapsed_s):
            self._period.add(elapsed_s, min(elapsed_s, _LONGEST_S))
            self._long_period.add(elapsed_s, min(elapsed_s, _LONGEST_S))
        period_s = self._period.value
        if math.isnan(period_s):
            return
        computed_s = self._work.computed(self._points[0])
        for name, budget in self._budgets.items():
            per_frame = self._per_frame(name, budget, period_s)
            allowance = per_frame * elapsed_s / period_s if name == "watts" else per_frame
            ratio = self._ratios[name].value
            skipped = 0.0 if math.isnan(ratio) else ratio * self._work.reused
            earned = per_frame / max(period_s, 1e-6)
            budget.earn(now_s, allowance, Rates(earned, period_s, ratio * computed_s, skipped))

    def _per_frame(self, name: str, budget: Budget, period_s: float) -> float:
        """What a set-point earns per frame."""
        if name == "watts":
            return max(0.0, budget.set_point - self._idle) * period_s
        return budget.set_point

    def _turn(self, camera: str, now_s: float) -> _Turn:
        """The camera's turn; those that send no more are forgotten."""
        self._turns = {
            name: turn for name, turn in self._turns.items() if not now_s - turn.seen_s > WINDOW_S
        }
        return self._turns.setdefault(camera, _Turn())

    def _shares(self) -> Iterator[float]:
        """Of the unlimited cost, what each set-point lets the next frame use."""
        unlimited_s = self._work.of(self._points[0])
        for name, budget in self._budgets.items():
            unlimited = self._ratios[name].value * unlimited_s
            allowed = budget.pace * self._per_frame(name, budget, self._period.value)
            yield allowed / unlimited if unlimited > 0 and math.isfinite(allowed) else 1.0

    def _may(self, turn: _Turn, point: OperatingPoint) -> bool:
        """Whether a frame is computed at this point."""
        slowest = max(step.point.every for step in self._steps) if self._budgets else math.inf
        if turn.skipped + 1 >= slowest:
            return True  # as rarely as the last point at most
        seconds = max(self._work.computed(point), self._last_computed_s)
        for name, budget in self._budgets.items():
            if not budget.affords(self._ratios[name].value * seconds):
                return False
        if turn.due <= max(other.due for other in self._turns.values()) - 1.0:
            return False  # another camera has waited longer
        full = [budget.full for budget in self._budgets.values()]
        return turn.due >= 1.0 - 1e-9 or (bool(full) and all(full))

    def learn(self, now_s: float, cost: FrameCost) -> None:
        """Take what a frame cost.

        Args:
            now_s: at its end, on the clock of ``plan``.
            cost: of the frame that was planned last.
        """
        first = math.isinf(self._last_s)
        elapsed_s = max(cost.seconds if first else now_s - self._last_s, cost.seconds, 1e-6)
        spent_j = cost.energy.total_joules - self._last_total
        self._last_s, self._last_total = now_s, cost.energy.total_joules
        pause = elapsed_s > _LONGEST_S
        self._learn_work(cost, min(elapsed_s, _LONGEST_S))
        predicted_s = self._predicted_s()
        self._idle = idle = _or_0(cost.energy.idle_watts)
        joules = self._joules(cost, min(elapsed_s, _LONGEST_S))
        own_j = joules - idle * cost.seconds
        above_j = spent_j - idle * elapsed_s if math.isfinite(spent_j) else own_j
        learned = {"s": cost.seconds, "j": joules, "watts": own_j if pause else above_j}
        paid = {"s": cost.seconds, "j": joules, "watts": above_j}
        for name, ratio in self._ratios.items():
            if math.isfinite(learned[name]):
                ratio.add(learned[name], predicted_s, min(elapsed_s, _LONGEST_S))
            if name in self._budgets and math.isfinite(paid[name]):
                self._budgets[name].spend(now_s, paid[name])
        self._known = math.isfinite(joules)
        self.trouble = self._judge()

    def _predicted_s(self) -> float:
        """Seconds that were predicted for the frame, as it was planned."""
        if not self._turned:
            return self._work.reused
        point = self._plan.point
        computed = min(1.0, point.computed * point.every)  # the others are reused
        return computed * self._work.computed(point) + (1.0 - computed) * self._work.reused

    def _learn_work(self, cost: FrameCost, elapsed_s: float) -> None:
        if cost.seconds <= 0.0:
            return  # the clock stood still: it tells nothing
        if cost.computed:
            self._last_computed_s = cost.seconds
            self._work.learn(self._plan.point, cost.seconds, cost.tails_s, cost.adapters, elapsed_s)
        else:
            self._work.learn_reused(cost.seconds, elapsed_s)

    def _joules(self, cost: FrameCost, elapsed_s: float) -> float:
        """Joules of the frame; by its seconds and the power before, once the sensor is lost."""
        joules = cost.energy.joules
        self._lost = math.isnan(joules) and math.isfinite(self._watts.value)
        if math.isfinite(joules) and cost.seconds > 0:
            self._watts.add(joules / cost.seconds, elapsed_s)
        return self._watts.value * cost.seconds if self._lost else joules

    def _judge(self) -> str:
        """Why a set-point is not kept, and the least that could be; empty where all are."""
        reasons = []
        for name, budget in self._budgets.items():
            if name != "s" and not self._known:
                reasons.append("the budget of energy is not kept: no meter gives joules")
                continue
            least = self._ratios[name].value * self._work.of(self._steps[-1].point)
            budget.judge(least, self._per_frame(name, budget, self._long_period.value))
            if budget.short:
                reasons.append(self._least(name, budget, least))
        if self._lost and any(name != "s" for name in self._budgets):
            reasons.append("the energy sensor is lost: joules are taken from seconds")
        return "; ".join(reasons)

    def _least(self, name: str, budget: Budget, least: float) -> str:
        """What cannot be kept, and what could."""
        if name == "watts":
            watts = self._idle + least / self._long_period.value
            idle = f" (it is below idle power, {self._idle:.3g} W)"
            below = idle if budget.set_point <= self._idle else ""
            return f"budget_watts {budget.set_point:.3g} cannot be kept{below}: least {watts:.3g}"
        if name == "j":
            return f"frame_budget_j {budget.set_point:.3g} cannot be kept: least {least:.3g}"
        return (
            f"{1e3 * budget.set_point:.3g} ms per frame cannot be kept: least {1e3 * least:.3g} "
            f"ms ({1.0 / least:.3g} frames per second)"
        )


def _set_points(settings: EngineSettings) -> dict[str, float]:
    seconds = [settings.frame_budget_s] if settings.frame_budget_s else []
    seconds += [1.0 / settings.target_hz] if settings.target_hz else []
    found = {
        "s": min(seconds, default=0.0),
        "j": settings.frame_budget_j,
        "watts": settings.budget_watts,
    }
    return {name: value for name, value in found.items() if value > 0}


def _or_0(value: float) -> float:
    return 0.0 if math.isnan(value) else value

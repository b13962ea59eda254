"""Which time each picture of a recording has: its header's stamp where that is sane, else log time.

A camera stamps its pictures, a recorder notes when each came. The stamps are the better time, but
they are claims: drivers leave them zero, repeat them, let them stand still, or set them before the
clock was set. So they are compared with the log times, picture by picture:

- Stamps that advance in step with the log are right, whatever their constant offset and rate
  (simulated time, another epoch). Logs come late now and then; a stamp between its neighbours'
  stamps is right in spite of that.
- A stretch that is in step with the log but moved against the rest (before a clock was set, the
  second lap of a loop) is moved to where the log has it. The longest stretch stays.
- The rest are outliers. Their pictures are good, so each gets log time plus the offset that the
  stamps around it have: wrong by the jitter of the log only.
- Where hardly any stamp is in step, all pictures have log time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from polymorph_ros.arrays import NS_PER_S, Floats, Indices, Mask

_Picture = TypeVar("_Picture")

_EXACT_S = 0.002  # labels whose stamps were copied from pictures lie no further away
_SANE_SHARE = 1 / 3  # of the stamps has to be in step
_RATES = (0.05, 20.0)  # of a simulation; beyond, the stamps have nothing to do with the log
_SHORTEST_PERIOD_S = 0.0005  # of a camera; a log that goes faster holds no times
_REAL_RATES = (0.8, 1.25)  # taken as 1: a clock that runs, measured over a jittery log
_STRETCH = 10  # pictures that are in step by more than chance
_WINDOW = 31  # pictures over which the usual offset is taken
_LATE_S = 30.0  # a log may be late by as much
_JITTER_S = 0.5  # more is no jitter
_GAP_S = 1.0  # stamps may advance further than the log by as much


@dataclass(frozen=True)
class Clock:
    """The time of each picture of a recording, and how it was decided.

    Attributes:
        used: "header", or "log" where the header's stamps are not sane.
        reason: what is wrong with the stamps, in words; empty where nothing is.
        outliers: how many pictures have another time than their header's stamp.
        offset_s: header minus log, the median over the stamps that stay; None without any.
        times_ns, header_ns, log_ns: int64 (pictures,), in the order of recording.
    """

    used: Literal["header", "log"]
    reason: str
    outliers: int
    offset_s: float | None
    times_ns: Indices
    header_ns: Indices
    log_ns: Indices

    def __str__(self) -> str:
        if self.used == "log" or not self.outliers:
            return self.used
        return f"header, {self.outliers:,} not in step"

    def summary(self) -> dict[str, Any]:
        """What was decided, as JSON."""
        return {
            "used": self.used,
            "outliers": self.outliers,
            "offset_s": self.offset_s,
            "reason": self.reason,
        }

    def arrange(self, pictures: Iterable[_Picture]) -> Iterator[tuple[int, _Picture]]:
        """The pictures with their times in nanoseconds, by ascending time.

        Only pictures that came before their turn wait, in memory.

        Args:
            pictures: in the order of recording; if they break off, so do these.
        """
        order = np.argsort(self.times_ns, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        waiting: dict[int, _Picture] = {}
        due = 0
        for number, picture in zip(place.tolist(), pictures, strict=False):
            waiting[number] = picture
            while due in waiting:
                yield int(self.times_ns[order[due]]), waiting.pop(due)
                due += 1

    def place(self, stamps_s: Floats, tolerance_s: float) -> tuple[Floats, bool]:
        """Bring the stamps of labels into this clock's time.

        They may be in the header's time, out of step or not, or in log time. Which of the two it
        is shows in how many of them belong to a picture.

        Args:
            stamps_s: float64 (labels,), seconds.
            tolerance_s: how far a label's stamp may be from its picture's.

        Returns:
            the labels' times in seconds, and whether they were log times.
        """
        if not len(self.times_ns) or not len(stamps_s):
            return stamps_s, False
        as_log, log_gaps = self._moved(stamps_s, self.log_ns, tolerance_s)
        if self.used == "log":
            return as_log, True
        as_header, gaps = self._as_header(stamps_s, tolerance_s)
        exact, exact_log = (int((g <= _EXACT_S).sum()) for g in (gaps, log_gaps))
        near, near_log = (int((g <= tolerance_s).sum()) for g in (gaps, log_gaps))
        copied = 2 * max(exact, exact_log) >= len(stamps_s)
        is_log = exact_log > exact if copied else near_log > 2 * near
        return (as_log, True) if is_log else (as_header, False)

    def _as_header(self, stamps_s: Floats, tolerance_s: float) -> tuple[Floats, Floats]:
        """First by the stamps that are in step; then by those that are not, or by this time."""
        in_step = self.times_ns == self.header_ns
        moved, gaps = self._moved(stamps_s, self.header_ns, tolerance_s, in_step)
        rest = gaps > tolerance_s
        if not rest.any():
            return moved, gaps
        others = ~in_step & (self.header_ns != 0)
        for times_ns, which in ((self.times_ns, ~in_step), (self.header_ns, others)):
            other, other_gaps = self._moved(stamps_s, times_ns, tolerance_s, which)
            nearer = rest & (other_gaps < gaps)
            moved[nearer] = other[nearer]
            gaps = np.where(nearer, other_gaps, gaps)
        return moved, gaps

    def _moved(
        self, stamps_s: Floats, from_ns: Indices, tolerance_s: float, which: Mask | None = None
    ) -> tuple[Floats, Floats]:
        """Each stamp in this clock's time by the picture nearest to it, and how far that is."""
        pictures = np.arange(len(from_ns)) if which is None else np.flatnonzero(which)
        if not len(pictures):
            return stamps_s.copy(), np.full(len(stamps_s), np.inf)
        _, first = np.unique(from_ns[pictures], return_index=True)
        pictures = pictures[first]
        known_s = from_ns[pictures] / NS_PER_S
        after = np.clip(np.searchsorted(known_s, stamps_s), 1, max(1, len(known_s) - 1))
        left, right = after - 1, np.minimum(after, len(known_s) - 1)
        nearer = np.abs(known_s[left] - stamps_s) <= np.abs(known_s[right] - stamps_s)
        nearest = np.where(nearer, left, right)
        gaps = np.abs(known_s[nearest] - stamps_s)
        shift_s = (self.times_ns - from_ns)[pictures[nearest]] / NS_PER_S
        return stamps_s + np.where(gaps <= tolerance_s, shift_s, 0.0), gaps


def decide_clock(header_ns: Indices, log_ns: Indices) -> Clock:
    """Decide which time each picture has.

    Args:
        header_ns: int64 (pictures,), the stamps of their headers, in the order of recording.
        log_ns: int64 (pictures,), when each was recorded.
    """
    known = np.flatnonzero(header_ns != 0)
    if not len(known):
        return _log_clock(header_ns, log_ns, 0)
    # stamps that stand still for long would be the usual ones: their ends stand for them
    same = np.concatenate([[False], np.diff(header_ns[known]) == 0, [False]])
    known = known[~(same[:-1] & same[1:])]
    header_s = (header_ns - header_ns[known[0]]) / NS_PER_S
    ticks = _ticks(header_s, (log_ns - log_ns[0]) / NS_PER_S, known)
    if ticks is None:
        return _log_clock(header_ns, log_ns, 0)
    ticks_s, period_s = ticks
    fit, odd = _sane(header_s[known], ticks_s[known], period_s)
    sane = known[fit]
    stretches = _stretches(header_s[sane], ticks_s[sane], period_s)
    once = _once(header_s[sane], stretches, odd[fit])
    sane, stretches = sane[once], stretches[once]
    sizes = np.bincount(stretches)
    in_step = int(sizes[sizes >= min(_STRETCH, max(2, len(header_ns) // 4))].sum())
    if in_step < _SANE_SHARE * len(header_ns) and len(header_ns) > 1:
        return _log_clock(header_ns, log_ns, in_step)
    main = int(sizes.argmax())
    shifts_s = _shifts(header_s[sane], ticks_s[sane], stretches, main)[stretches]
    offsets_s = header_s[sane] + shifts_s - ticks_s[sane]
    # first by log time and offset, then as the stamps say where they are sane
    times_s = ticks_s + np.interp(np.arange(len(header_s)), sane, offsets_s)
    times_ns = header_ns[known[0]] + np.round(times_s * NS_PER_S).astype(np.int64)
    times_ns[sane] = header_ns[sane] + np.round(shifts_s * NS_PER_S).astype(np.int64)
    usual = sane[stretches == main]
    offset_s = float(np.median(header_ns[usual] - log_ns[usual])) / NS_PER_S
    outliers = np.flatnonzero(times_ns != header_ns)
    reason = _named(outliers, header_ns, times_ns)
    return Clock("header", reason, len(outliers), offset_s, times_ns, header_ns, log_ns)


def _log_clock(header_ns: Indices, log_ns: Indices, in_step: int) -> Clock:
    """Log time for all pictures, and why."""
    values = np.unique(header_ns)
    reason = f"{in_step:,} of {len(header_ns):,} header stamps advance in step with the log"
    if len(values) <= 1:
        reason = "the header stamps stand still" if values.any() else "every header stamp is zero"
    return Clock("log", reason, len(header_ns), None, log_ns, header_ns, log_ns)


def _ticks(header_s: Floats, log_s: Floats, known: Indices) -> tuple[Floats, float] | None:
    """Log times at the header's rate, and the usual period; in seconds.

    None where the stamps do not advance as the log does, at any rate. A log that does not advance
    (all zero, a count of nanoseconds) is replaced by regular ticks.
    """
    header, log = header_s[known], log_s[known]
    if len(known) < 2:
        return log_s, 0.0
    lag = max(1, min(10, len(known) // 8))
    log_steps: Floats = log[lag:] - log[:-lag]
    steps: Floats = header[lag:] - header[:-lag]
    log_period = float(np.median(log_steps)) / lag
    if log_period >= _SHORTEST_PERIOD_S:
        moving = log_steps > 0.0
        rates = steps[moving] / log_steps[moving]
        rates = rates[(rates >= _RATES[0]) & (rates <= _RATES[1])]
        if len(rates) < _SANE_SHARE * len(steps):
            return None
        rate = float(np.median(rates))
        steady = 2 * np.count_nonzero(np.abs(rates / rate - 1.0) < 0.5) > len(steps)
        if not steady or _REAL_RATES[0] <= rate <= _REAL_RATES[1]:
            rate = 1.0
        return log_s * rate, log_period * rate
    forward = np.diff(header)
    forward = forward[forward > 0.0]
    period = float(np.median(forward)) if 4 * len(forward) >= 3 * len(steps) else 0.0
    return period * np.arange(len(header_s), dtype=np.float64), period


def _sane(header_s: Floats, ticks_s: Floats, period_s: float) -> tuple[Mask, Floats]:
    """Which stamps have the usual offset, or lie between those that do; and how far each is off."""
    from scipy.ndimage import median_filter

    offsets = header_s - ticks_s
    odd = offsets - median_filter(offsets, size=_WINDOW, mode="reflect")
    jitter = 10.0 * 1.4826 * float(np.median(np.abs(odd)))
    slack = max(5.0 * period_s, min(max(jitter, 0.05), _JITTER_S))
    sane = np.abs(odd) <= slack
    usual = np.flatnonzero(sane)
    # a late log makes a stamp look old; it is right if it keeps the order
    late = ~sane & (sane.mean() > 0.5) & (odd > -_LATE_S) & (odd < max(slack, _GAP_S))
    bounds = np.concatenate([[-np.inf], header_s[usual], [np.inf]])
    place = np.searchsorted(usual, np.arange(len(header_s)))
    sane |= late & (bounds[place] < header_s) & (header_s < bounds[place + 1])
    return sane, odd


def _once(header_s: Floats, stretches: Indices, odd: Floats) -> Indices:
    """Which stamps to believe where a stretch has one twice: the one with the usual offset."""
    order = np.lexsort((np.abs(odd), header_s, stretches))
    again = (np.diff(header_s[order]) == 0.0) & (np.diff(stretches[order]) == 0)
    return np.sort(order[~np.concatenate([[False], again])])


def _stretches(header_s: Floats, ticks_s: Floats, period_s: float) -> Indices:
    """The number of the stretch that each stamp belongs to; a new one where stamps jump."""
    steps = np.diff(header_s)
    back = steps < -max(5.0 * period_s, 0.05)
    ahead = steps > np.diff(ticks_s) + max(5.0 * period_s, _GAP_S)
    return np.concatenate([[0], np.cumsum(back | ahead)]).astype(np.int64)


def _shifts(header_s: Floats, ticks_s: Floats, stretches: Indices, main: int) -> Floats:
    """By how many seconds each stretch has to be moved to be in step with the main one."""
    offsets = header_s - ticks_s
    anchor = offsets[stretches == main]
    shifts = np.zeros(int(stretches.max()) + 1)
    for number in range(len(shifts)):
        own = offsets[stretches == number]
        if number < main:
            shifts[number] = np.median(anchor[:_WINDOW]) - np.median(own[-_WINDOW:])
        elif number > main:
            shifts[number] = np.median(anchor[-_WINDOW:]) - np.median(own[:_WINDOW])
    return shifts


def _named(outliers: Indices, header_ns: Indices, times_ns: Indices) -> str:
    if not len(outliers):
        return ""
    first = int(outliers[0])
    if header_ns[first] == 0:
        found = "zero"
    else:
        off_s = float(header_ns[first] - times_ns[first]) / NS_PER_S
        found = f"{abs(off_s):.4g} s {'ahead' if off_s > 0 else 'behind'}"
    return (
        f"{len(outliers):,} of {len(header_ns):,} header stamps are not in step "
        f"(picture {first + 1} is {found})"
    )

"""Which unit stamps are in, by their size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_STAMP_S = 1e11  # the year 5138
# seconds since 1970 have 10 digits before the point; from where on, and how many are a second
_UNITS = ((1e17, "nanoseconds", 1e9), (1e14, "microseconds", 1e6), (1e11, "milliseconds", 1e3))
_LEAST_GAP_NS = 1e7  # between pictures; in seconds four months
_LONG_GAP_S = 10.0


def unit_by_size(stamps: Sequence[float]) -> tuple[float, str]:
    """How many of their units are a second, and the unit's name where it is too large for seconds.

    The unit is that of most, so that one wrong stamp does not change it.
    """
    sizes = np.abs(np.asarray(stamps, dtype=np.float64))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    size = float(np.median(sizes)) if len(sizes) else 0.0
    for least, name, per_second in _UNITS:
        if size >= least:
            return per_second, name
    return 1.0, ""


def unit_of_stamps(stamps: Sequence[float]) -> tuple[float, str]:
    """How many of their units are a second, and what to say of it ("" for plain seconds).

    Beside what ``unit_by_size`` says, whole numbers that lie far apart are nanoseconds since the
    start of a recording.

    >>> unit_of_stamps([1700000000000000000.0, 1700000000500000000.0])
    (1000000000.0, 'stamps are nanoseconds: too large for seconds')
    >>> unit_of_stamps([1700000000.0, 1700000000.5])
    (1.0, '')
    """
    per_second, name = unit_by_size(stamps)
    if name:
        return per_second, f"stamps are {name}: too large for seconds"
    values = np.asarray([stamp for stamp in stamps if np.isfinite(stamp)])
    gaps = np.diff(np.unique(values))
    gap = float(np.median(gaps)) if len(gaps) else 0.0
    if gap >= _LEAST_GAP_NS and (values % 1 == 0).all():
        return 1e9, "stamps are nanoseconds: too far apart for seconds"
    return 1.0, f"stamps are seconds, {gap:g} s apart" if gap > _LONG_GAP_S else ""

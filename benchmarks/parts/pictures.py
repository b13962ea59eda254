"""The pictures of every benchmark: synthetic held-out scenes, the same ones in each process."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic import make_sequence

# Many enough that several adapters take their turn, few enough to be drawn in a second or two.
COUNT = 60
HZ = 10.0

_SEED = 21


def pictures(width: int, height: int, count: int = COUNT) -> list[NDArray[np.uint8]]:
    """A sequence of scenes, uint8 RGB of shape (height, width, 3), ``HZ`` per second."""
    sequence = make_sequence(
        _SEED, split="test", frames=count, hz=HZ, size=(width, height), visit_s=(1.0, 2.0)
    )
    return [frame.image for frame in sequence.frames()]

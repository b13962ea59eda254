"""Names of array types that several rooms use, and the nanoseconds of a second."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]
Image = NDArray[np.uint8]
"""A picture: RGB, of shape (height, width, 3)."""

NS_PER_S: Final = 1_000_000_000

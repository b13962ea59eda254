"""Changed views of a picture: what else the camera might have seen of the same labels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST_CROP = 0.8  # of either side: labels at the border may not be lost
_GAIN = 0.2
_SHIFT = 20.0  # grey levels


def changed_view(
    image: NDArray[np.uint8], rng: np.random.Generator, smallest: float = _SMALLEST_CROP
) -> NDArray[np.uint8]:
    """Mirror (every other time), crop to a part, change light and colour a little.

    Args:
        image: uint8 RGB (height, width, 3).
        smallest: share of either side that the smallest crop has.

    Returns:
        the same shape and type.
    """
    height, width = image.shape[:2]
    share = rng.uniform(smallest, 1.0)
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    part = image[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    resized = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA)
    gain = rng.uniform(1 - _GAIN, 1 + _GAIN, 3)
    lit = resized.astype(np.float32) * gain + rng.uniform(-_SHIFT, _SHIFT)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)

"""Views of pictures: cropped, mirrored, differently lit, blended.

Teacher and student get the same pixels of a view. A consistent teacher and many views is what lets
a small network learn from few pictures: Beyer et al., "Knowledge distillation: a good teacher is
patient and consistent", CVPR 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Indices
from polymorph_ros.distillation.config import ViewsConfig
from polymorph_ros.training.augmentation import changed_view

_LEAST_SHARE = 0.2  # of the picture that is blended in


def view_of(
    pictures: NDArray[np.uint8], frame: int, config: ViewsConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A changed view of one picture, maybe blended with that of another one.

    Args:
        pictures: uint8 RGB (pictures, side, side, 3).

    Returns:
        uint8 RGB (side, side, 3).
    """
    view = changed_view(pictures[frame], rng, config.smallest_crop)
    if rng.random() >= config.mixed:
        return view
    other = changed_view(pictures[rng.integers(len(pictures))], rng, config.smallest_crop)
    share = rng.uniform(_LEAST_SHARE, 1 - _LEAST_SHARE)
    blended = (1 - share) * view.astype(np.float32) + share * other.astype(np.float32)
    return np.rint(blended).astype(np.uint8)


def stored_views(
    pictures: NDArray[np.uint8], rows: Indices, config: ViewsConfig, seed: int
) -> NDArray[np.uint8]:
    """Views that have numbers: all pictures as they are, then all in a second view, and so on.

    Args:
        pictures: uint8 RGB (pictures, side, side, 3).
        rows: numbers of the views.

    Returns:
        uint8 RGB (rows, side, side, 3).
    """
    views = []
    for row in rows.tolist():
        number, frame = divmod(row, len(pictures))
        rng = np.random.default_rng((seed, row))
        views.append(view_of(pictures, frame, config, rng) if number else pictures[frame])
    return np.stack(views)

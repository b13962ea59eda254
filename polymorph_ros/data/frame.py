"""One camera picture with its stamp: what every source of frames yields and the engine takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Frame:
    """A picture, when and where it was taken.

    Attributes:
        image: uint8 RGB, shape (height, width, 3); may be a view with strides.
        stamp_ns: the camera's stamp in nanoseconds.
        camera: which camera took it; each camera has its own belief.
        frame_id: the coordinate frame of the camera, as in ``std_msgs/Header``.
        received_ns: when it was received, nanoseconds by a clock that never jumps; none where it
            was read from a recording.

    Raises:
        PolymorphError: the image is not a non-empty uint8 array of shape (height, width, 3).
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    camera: str = "camera"
    frame_id: str = ""
    received_ns: int | None = None

    def __post_init__(self) -> None:
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise PolymorphError(
                "a non-empty uint8 image of shape (height, width, 3)",
                f"{image.dtype} of shape {image.shape}",
                where=f"frame of {self.camera}",
            )

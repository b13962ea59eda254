"""What the pictures of one camera or sequence share: limits, a grey scale, and remarks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Image
from polymorph_ros.errors import PolymorphError

MAX_IMAGE_MEGAPIXELS = 50.0


class ImageError(PolymorphError):
    """An image message or picture file that cannot be used.

    ``reason`` is short and stable, for counting: ``empty`` (no pixels or no data), ``encoding``
    (one that is not read), ``step`` (a row does not fit into it), ``size`` (too few data, sides
    that the encoding cannot have, or too many pixels), ``decode`` (compressed data are damaged).
    """

    def __init__(self, reason: str, expected: str, found: str, remedy: str = "") -> None:
        super().__init__(expected, found, where="image", remedy=remedy)
        self.reason = reason


@dataclass
class GreyScale:
    """How many of a sample's 16 bits a camera uses, learned from the pictures so far.

    Sensors of 10, 12 or 14 bits publish their values as they are, in 16-bit samples. The scale is
    the smallest number of bits that holds every value so far. It never shrinks, so that a dark
    picture stays dark, and the same pictures in the same order always give the same result.

    Attributes:
        bits: from 8 to 16; start with a camera's bits where they are known.

    Raises:
        PolymorphError: ``bits`` is not from 8 to 16.

    >>> scale = GreyScale()
    >>> scale.to_bytes(np.array([0, 2048, 4095], np.uint16)), scale.bits
    (array([  0, 128, 255], dtype=uint8), 12)
    """

    bits: int = 8

    def __post_init__(self) -> None:
        if not 8 <= self.bits <= 16:
            raise PolymorphError("8 to 16 bits of a sample", f"{self.bits}", where="grey scale")

    def to_bytes(self, samples: NDArray[Any]) -> Image:
        """Samples of 16 bits, of any shape, as 8 bits; a view where all 16 bits are in use."""
        if self.bits < 16:
            self.bits = max(self.bits, int(samples.max()).bit_length())
        if self.bits < 16:
            return (samples >> (self.bits - 8)).astype(np.uint8)
        halves = samples.view([("first", np.uint8), ("second", np.uint8)])
        return halves["first" if samples.dtype.byteorder == ">" else "second"]


@dataclass
class ImageStream:
    """The state that goes with the pictures of one camera or sequence, in their order.

    Attributes:
        max_image_megapixels: what claims to be larger is refused before memory is taken.
        grey: the scale of 16-bit samples.
        remarks: what was noticed in pictures that were taken all the same -> how many of them.
    """

    max_image_megapixels: float = MAX_IMAGE_MEGAPIXELS
    grey: GreyScale = field(default_factory=GreyScale)
    remarks: Counter[str] = field(default_factory=Counter)

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture of no or of too many pixels.

        Raises:
            ImageError: ``empty`` or ``size``.
        """
        if width <= 0 or height <= 0:
            raise ImageError("empty", "pixels", f"{width}x{height}")
        if width * height > self.max_image_megapixels * 1e6:
            raise ImageError(
                "size",
                f"at most {self.max_image_megapixels:g} megapixels",
                f"{width}x{height}",
                "raise max_image_megapixels if this is the camera's true size",
            )

    def to_bytes(self, samples: NDArray[Any]) -> Image:
        """Samples of 16 bits as 8 bits; fewer bits in use are a remark."""
        scaled = self.grey.to_bytes(samples)
        if self.grey.bits < 16:
            self.remark(f"16-bit samples use {self.grey.bits} bits: brightness is scaled to these")
        return scaled

    def remark(self, text: str) -> None:
        """Count a picture with a peculiarity."""
        self.remarks[text] += 1

"""From a camera's picture to the backbone's input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.gpu import PinnedUpload


class Preprocessor:
    """Squashes pictures to a square, scales them to [0, 1] and normalises them.

    The aspect ratio changes: labels may stand anywhere in the picture, so nothing is cropped
    away and no input is spent on padding. Training and running both come through here.

    Resizing is bilinear with antialiasing. On the CPU it stays in uint8, which is several times
    faster; on other devices it is done in float32, so pixels differ by at most about one of 255
    grey levels between devices.

    Args:
        preprocessing: size, mean and standard deviation per channel, of pixels in [0, 1].
        device: where pixels are wanted.

    Attributes:
        device: where pixels come to be.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device | str) -> None:
        self._size = (preprocessing.size, preprocessing.size)
        self.device = torch.device(device)
        self._upload = PinnedUpload(self.device) if self.device.type == "cuda" else None
        shape = (1, 3, 1, 1)
        self._mean = 255 * torch.tensor(preprocessing.mean, device=self.device).view(shape)
        self._gain = 1 / (255 * torch.tensor(preprocessing.std, device=self.device).view(shape))

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """One picture, uint8 RGB (H, W, 3) with any strides, to float32 (1, 3, S, S)."""
        return self.batch(image[None])

    def shrunk(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One picture, uint8 RGB (H, W, 3), as uint8 RGB (S, S, 3): what the model gets of it."""
        pixels = self._resize(_as_tensor(image[None]).permute(0, 3, 1, 2))
        return np.ascontiguousarray(pixels[0].permute(1, 2, 0).numpy())

    def batch(self, images: NDArray[np.uint8]) -> Tensor:
        """Pictures of one size, uint8 RGB (B, H, W, 3), to float32 (B, 3, S, S).

        Raises:
            PolymorphError: the array has another type or shape.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not images.size:
            raise PolymorphError(
                "uint8 pictures of shape (height, width, 3)",
                f"{images.dtype} of shape {images.shape[1:]}",
            )
        # Channels that run backwards (BGR seen as RGB) are turned after resizing: far fewer pixels.
        backwards = images.strides[3] < 0
        pixels = _as_tensor(images[..., ::-1] if backwards else images)
        pixels = self._upload(pixels) if self._upload else pixels.to(self.device)
        pixels = self._resize(pixels.permute(0, 3, 1, 2)).float()
        pixels = pixels.flip(1) if backwards else pixels
        return ((pixels - self._mean) * self._gain).contiguous()

    def _resize(self, pixels: Tensor) -> Tensor:
        if pixels.shape[2:] == self._size:
            return pixels
        if pixels.device.type != "cpu":
            pixels = pixels.float()
        return functional.interpolate(pixels, self._size, mode="bilinear", antialias=True)


def _as_tensor(images: NDArray[np.uint8]) -> Tensor:
    """A tensor on the array's memory; a copy where torch cannot view it (read-only, backwards)."""
    if not images.flags.writeable or min(images.strides) < 0:
        images = images.copy()
    return torch.from_numpy(images)

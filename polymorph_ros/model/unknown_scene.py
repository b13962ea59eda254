"""What scenes look like to the trunk: how far a frame's pooled feature is from those of training.

The distance is Mahalanobis's: Lee et al., "A simple unified framework for detecting
out-of-distribution samples", NeurIPS 2018, here with one Gaussian for all scenes, since a frame
belongs to several contexts at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from polymorph_ros.model.tensor_file import check_shape
from polymorph_ros.model.token_grid import split_tokens


def pooled(tokens: Tensor) -> Tensor:
    """A frame's feature: its class token beside the mean of its patches; (B, N, D) to (B, 2D)."""
    whole, patches = split_tokens(tokens)
    return torch.cat([whole, patches.mean(dim=1)], dim=1)


class FeatureStatistics:
    """Mean and whitening of the pooled features of training.

    Attributes:
        mean: float32 (2D,).
        whitening: float32 (2D, 2D); ``whitening @ (feature - mean)`` has unit covariance.
    """

    def __init__(self, mean: Tensor, whitening: Tensor) -> None:
        self.mean = mean
        self.whitening = whitening
        self._shift = whitening @ mean

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], dim: int, where: Path | str
    ) -> FeatureStatistics:
        """From the tensors of a bundle's file, for tokens of length D.

        Raises:
            PolymorphError: a tensor is missing or has another shape.
        """
        expected = {"mean": (2 * dim,), "whitening": (2 * dim, 2 * dim)}
        for name, shape in expected.items():
            check_shape(tensors.get(name, torch.empty(0)), name, shape, where)
        return cls(tensors["mean"], tensors["whitening"])

    def tensors(self) -> dict[str, Tensor]:
        """What the bundle's file holds."""
        return {"mean": self.mean.contiguous(), "whitening": self.whitening.contiguous()}

    def to(self, device: torch.device | str) -> FeatureStatistics:
        """The same on a device."""
        return FeatureStatistics(self.mean.to(device), self.whitening.to(device))

    def distance(self, tokens: Tensor) -> Tensor:
        """Root mean square of the whitened feature: about 1 for the frames of training.

        Args:
            tokens: float (B, N, D), the trunk's output.

        Returns:
            float (B,), at least 0; still on the device, so that nothing waits for it here.
        """
        white = pooled(tokens) @ self.whitening.T - self._shift
        return white.square().mean(dim=1).sqrt()

"""Frozen features of labelled pictures, computed once and stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.model.unknown_scene import pooled
from polymorph_ros.runtime.loading import load_bundle

Features = NDArray[np.float32]

_LITE0_SIDE = 160


@dataclass(frozen=True)
class Pool:
    """Pictures with features and truth.

    Attributes:
        features: float32 (frames, D).
        truth: int8 (frames, labels): 1 present, 0 absent, -1 unknown.
        times: int64 (frames,), ascending in time over all recordings, one after the other.
    """

    features: Features
    truth: NDArray[np.int8]
    times: NDArray[np.int64]

    def rows(self, rows: NDArray[np.int64]) -> Pool:
        """Some of the pictures."""
        return Pool(self.features[rows], self.truth[rows], self.times[rows])


def backbones(lite0: Path) -> dict[str, Callable[[NDArray[np.uint8]], Features]]:
    """What gives features of a picture: the shipped backbone, and EfficientNet-Lite0 (ONNX)."""
    model = load_bundle(default_bundle(), "cpu", cpu_threads=1).model
    network = cv2.dnn.readNetFromONNX(str(lite0))

    def shipped(image: NDArray[np.uint8]) -> Features:
        with torch.inference_mode():
            return pooled(model.trunk(model.preprocess(image)))[0].numpy().copy()

    def real(image: NDArray[np.uint8]) -> Features:
        side = (_LITE0_SIDE, _LITE0_SIDE)
        small = cv2.resize(image, side, interpolation=cv2.INTER_AREA)
        network.setInput(cv2.dnn.blobFromImage(small, 1 / 255))
        return np.asarray(network.forward("features")[0].mean(axis=(1, 2)), np.float32)

    return {"shipped": shipped, "efficientnet_lite0": real}


def pool_of(dataset: Dataset, feature: Callable[[NDArray[np.uint8]], Features], file: Path) -> Pool:
    """Features and truth of all pictures that can be read; stored in a file between runs."""
    if file.is_file():
        stored = np.load(file)
        return Pool(stored["features"], stored["truth"], stored["times"])
    features, rows = [], []
    for sequence in dataset.sequences:
        pairs = zip(sequence.pictures.read(), sequence.track.truth, strict=True)
        for picture, truth in pairs:
            if not isinstance(picture, Fault):
                features.append(feature(picture))
                rows.append(truth)
    pool = Pool(np.array(features), np.array(rows), np.arange(len(rows)))
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, features=pool.features, truth=pool.truth, times=pool.times)
    return pool

"""How well unknown scenes are told from known ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from polymorph_ros.model.polymorph import PolymorphModel

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Detection:
    """What was said of pictures of one kind.

    Attributes:
        auroc: chance that one of them is farther than a known one; NaN for the known ones.
        unknown: share that is called unknown (of known ones: false alarms).
        median: of the distance, as a share of the threshold.
    """

    data: str
    pictures: int
    auroc: float
    unknown: float
    median: float


def distances(model: PolymorphModel, pictures: Iterable[Picture]) -> NDArray[np.float64]:
    """The distance of each picture from what training saw, (pictures,)."""
    found = (model.scene_distance(model.trunk(model.preprocess(one))) for one in pictures)
    return np.array([float(distance) for distance in found if distance is not None])


def detection(
    data: str, known: NDArray[np.float64], some: NDArray[np.float64], threshold: float
) -> Detection:
    """Sum up the distances of one kind of pictures beside those of known ones."""
    auroc = float("nan")
    if some is not known:
        truth = np.r_[np.zeros(len(known)), np.ones(len(some))]
        auroc = float(roc_auc_score(truth, np.r_[known, some]))
    return Detection(
        data,
        len(some),
        auroc,
        float((some > threshold).mean()),
        float(np.median(some) / threshold),
    )


def disturbed(pictures: list[Picture], seed: int) -> Iterator[tuple[str, list[Picture]]]:
    """What goes wrong with cameras, made from known pictures (synthetic)."""
    rng = np.random.default_rng(seed)
    shape = pictures[0].shape
    count = min(200, len(pictures))
    yield "white noise", list(rng.integers(0, 256, (count, *shape), dtype=np.uint8))
    yield "black, with noise", [_noisy(np.zeros(shape, np.uint8), rng) for _ in range(count)]
    for share in (0.02, 0.04, 0.08):
        sigma = share * shape[0]
        yield (
            f"blurred, sigma {share:.0%} of the height",
            [cv2.GaussianBlur(one, (0, 0), sigma).astype(np.uint8) for one in pictures],
        )
    for share in (0.3, 0.6, 0.9):
        yield f"{share:.0%} of the lens covered", [_covered(one, share, rng) for one in pictures]


def _noisy(picture: Picture, rng: np.random.Generator) -> Picture:
    return np.clip(picture + rng.normal(3.0, 3.0, picture.shape), 0, 255).astype(np.uint8)


def _covered(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Something dark and out of focus before the lens, from one side."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    across = (columns - width / 2) * np.cos(angle) + (rows - height / 2) * np.sin(angle)
    edge = (across - np.quantile(across, 1.0 - share)) / (0.03 * height)
    cover = 1.0 / (1.0 + np.exp(-np.clip(edge, -50, 50)))[..., None]
    return np.asarray(picture * (1.0 - cover) + 20.0 * cover, np.uint8)

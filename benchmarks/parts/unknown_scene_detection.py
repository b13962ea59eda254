"""How well unknown scenes are distinguished from known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from parts.clips import Clip
from polymorph_ros.arrays import NS_PER_S, Image
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.runtime.unknown_scene import DistanceFilter


@dataclass(frozen=True)
class Detection:
    """What was said of pictures of one kind.

    Attributes:
        auroc: chance that one of them is farther than a known one; NaN for the known ones.
        unknown: share that is called unknown (of known ones: false alarms).
        alarms_per_minute: how often the answer turns to unknown.
        median: of the distance, as a share of the threshold.
    """

    data: str
    pictures: int
    auroc: float
    unknown: float
    alarms_per_minute: float
    median: float


def distances(model: PolymorphModel, clips: Iterable[Clip]) -> list[NDArray[np.float64]]:
    """The distance of each picture as the engine takes it, for each clip (frames,)."""
    return [np.array(list(_clip_distances(model, clip))) for clip in clips]


def _clip_distances(model: PolymorphModel, clip: Clip) -> Iterator[float]:
    memory = DistanceFilter()
    for frame in clip.frames:
        distance = model.feature_distance(model.trunk(model.preprocess(frame.image)))
        if distance is not None:
            yield memory.take(frame.stamp_ns, float(distance))


def detection(
    data: str,
    clips: Sequence[Clip],
    some: Sequence[NDArray[np.float64]],
    known: NDArray[np.float64] | None,
    threshold: float,
) -> Detection:
    """Sum up the distances of one kind of pictures beside those of known ones.

    Args:
        clips: the pictures.
        some: their distances.
        known: distances of known pictures; none where these are the known ones.
    """
    together = np.concatenate(some)
    auroc = float("nan")
    if known is not None:
        truth = np.r_[np.zeros(len(known)), np.ones(len(together))]
        auroc = float(roc_auc_score(truth, np.r_[known, together]))
    alarms = sum(
        np.count_nonzero(np.diff(one > threshold, prepend=False) & (one > threshold))
        for one in some
    )
    lengths_ns = (clip.frames[-1].stamp_ns - clip.frames[0].stamp_ns for clip in clips)
    minutes = sum(lengths_ns) / (60 * NS_PER_S)
    return Detection(
        data,
        len(together),
        auroc,
        float((together > threshold).mean()),
        float(alarms / minutes) if minutes > 0 else float("nan"),
        float(np.median(together) / threshold),
    )


def disturbed(clips: Sequence[Clip], seed: int) -> Iterator[tuple[str, list[Clip]]]:
    """What goes wrong with cameras, applied to known clips (synthetic)."""
    rng = np.random.default_rng(seed)

    def changed(change: Callable[[Image], Image]) -> list[Clip]:
        return [_changed(clip, change) for clip in clips]

    yield "white noise", changed(lambda one: rng.integers(0, 256, one.shape, dtype=np.uint8))
    yield "black, with noise", changed(lambda one: _black(one, rng))
    for share in (0.02, 0.04, 0.08):
        yield (
            f"blurred, sigma {share:.0%} of the height",
            changed(partial(_blurred, share=share)),
        )
    angles = rng.uniform(0.0, 2.0 * np.pi, len(clips)).tolist()
    for share in (0.3, 0.6, 0.9):
        yield (
            f"{share:.0%} of the lens covered",
            [
                _changed(clip, partial(_covered, share=share, angle=angle))
                for clip, angle in zip(clips, angles, strict=True)
            ],
        )


def _changed(clip: Clip, change: Callable[[Image], Image]) -> Clip:
    frames = (replace(frame, image=change(frame.image)) for frame in clip.frames)
    return replace(clip, frames=tuple(frames))


def _black(picture: Image, rng: np.random.Generator) -> Image:
    return np.clip(rng.normal(3.0, 3.0, picture.shape), 0, 255).astype(np.uint8)


def _blurred(picture: Image, share: float) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), share * picture.shape[0]), np.uint8)


def _covered(picture: Image, share: float, angle: float) -> Image:
    """Something dark and out of focus before the lens, from one side."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    across = (columns - width / 2) * np.cos(angle) + (rows - height / 2) * np.sin(angle)
    edge = (across - np.quantile(across, 1.0 - share)) / (0.03 * height)
    cover = sigmoid(np.clip(edge, -50, 50))[..., None]
    return np.asarray(picture * (1.0 - cover) + 20.0 * cover, np.uint8)

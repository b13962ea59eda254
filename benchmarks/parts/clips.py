"""Labelled sequences to try an engine on: held-out synthetic scenes, still ones, or a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.frame import Frame
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, make_sequence
from polymorph_ros.evaluation.join import join

SYNTHETIC_FRAMES = 50
SYNTHETIC_HZ = 5.0
_SENSOR_NOISE = 3.0  # grey levels of a picture that stands still


@dataclass(frozen=True)
class Clip:
    """Frames of one sequence.

    Attributes:
        truth: int8 (frames, labels of the bundle): 1 present, 0 absent, -1 unknown.
    """

    frames: tuple[Frame, ...]
    truth: NDArray[np.int8]


def synthetic_clips(labels: Sequence[str], count: int, seed: int) -> Iterator[Clip]:
    """Held-out synthetic scenes: 50 frames each, 5 per second, moving camera."""
    columns = [
        (SYNTHETIC_LABELS.index(name), i)
        for i, name in enumerate(labels)
        if name in SYNTHETIC_LABELS
    ]
    for index in range(count):
        drawn = list(
            make_sequence(
                seed, index=index, split="test", frames=SYNTHETIC_FRAMES, hz=SYNTHETIC_HZ
            ).frames()
        )
        truth = np.full((len(drawn), len(labels)), -1, np.int8)
        for theirs, ours in columns:
            truth[:, ours] = [frame.truth[theirs] for frame in drawn]
        yield Clip(tuple(Frame(frame.image, round(frame.stamp_s * 1e9)) for frame in drawn), truth)


def standing_still(clips: Iterator[Clip], seed: int) -> Iterator[Clip]:
    """The middle picture of each clip, over and over, with a sensor's noise (synthetic)."""
    rng = np.random.default_rng(seed)
    for clip in clips:
        middle = len(clip.frames) // 2
        image = clip.frames[middle].image
        frames = (
            Frame(
                np.clip(image + rng.normal(0.0, _SENSOR_NOISE, image.shape), 0, 255).astype(
                    np.uint8
                ),
                frame.stamp_ns,
            )
            for frame in clip.frames
        )
        yield Clip(tuple(frames), np.repeat(clip.truth[middle : middle + 1], len(clip.truth), 0))


def labelled_clips(path: Path, labels: Sequence[str] | None = None) -> Iterator[Clip]:
    """The sequences of a data set; pictures that cannot be read are left out.

    Args:
        labels: the truth's columns; None for the data set's own labels.

    Raises:
        PolymorphError: it cannot be read, or knows none of the labels.
    """
    dataset = open_dataset(path)
    for sequence in join(dataset, labels or dataset.vocabulary.names, str(path)).sequences:
        read = list(sequence.frames())
        if read:
            truth = np.stack([one.truth for one in read])
            yield Clip(tuple(one.frame for one in read), truth)

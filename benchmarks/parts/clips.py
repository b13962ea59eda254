"""Labelled sequences to try an engine on: held-out synthetic scenes, still ones, or a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Dataset, Fault, Pictures
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


def labelled_clips(path: Path, labels: Sequence[str]) -> Iterator[Clip]:
    """The sequences of a data set with the bundle's labels, as ``clips_of``.

    Raises:
        PolymorphError: it cannot be read, or knows no label of the bundle.
    """
    for sequence in join(open_dataset(path), labels, str(path)).sequences:
        yield from _clip(sequence.pictures, sequence.stamps_ns, sequence.truth)


def clips_of(dataset: Dataset) -> Iterator[Clip]:
    """The sequences of a data set that have readable pictures, with the data set's own labels."""
    for sequence in dataset.sequences:
        stamps_ns = np.round(sequence.track.stamps_s * 1e9).astype(np.int64)
        yield from _clip(sequence.pictures, stamps_ns, sequence.track.truth)


def _clip(
    pictures: Pictures, stamps_ns: NDArray[np.int64], truth: NDArray[np.int8]
) -> Iterator[Clip]:
    """The readable pictures of a sequence as a clip; nothing if there is none."""
    read = zip(stamps_ns.tolist(), pictures.read(), strict=True)
    frames = {
        number: Frame(picture, stamp_ns)
        for number, (stamp_ns, picture) in enumerate(read)
        if not isinstance(picture, Fault)
    }
    if frames:
        yield Clip(tuple(frames.values()), truth[list(frames)])

"""Render procedural scenes into labelled frames on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.scenes import SCENE_LABELS, SceneSequence, make_sequence
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.frames import ARRAYS, LabelledFrames, load_frames
from polymorph_ros.training.loop import progress_bar

_CELLS = (32, 24)  # width and height of the grid of what is seen where
_SPLITS = {"train": "train", "validation": "val", "test": "test"}

Rendered = tuple[NDArray[np.uint8], NDArray[np.int8], NDArray[np.uint8], NDArray[np.float64]]


def render_part(
    config: TrainConfig, part: str, work: Path
) -> tuple[tuple[str, ...], LabelledFrames]:
    """Render the ``train``, ``validation`` or ``test`` sequences, or map those rendered before.

    Returns:
        the vocabulary and the frames, at the scenes' own resolution.
    """
    folder = work / f"scenes-{config.key('scenes')}" / part
    if not folder.is_dir():
        _render(config, part, folder)
    return SCENE_LABELS, load_frames(folder)


def _render(config: TrainConfig, part: str, folder: Path) -> None:
    scenes = config.scenes
    training = part == "train"
    sequences = getattr(scenes, f"{part}_sequences")
    frames = scenes.frames if training else scenes.evaluation_frames
    scratch = folder.with_name(f".{part}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    total = sequences * frames
    images = np.lib.format.open_memmap(
        scratch / "images.npy", "w+", np.uint8, (total, scenes.height, scenes.width, 3)
    )
    truth = np.empty((total, len(SCENE_LABELS)), np.int8)
    patches = np.empty((total, _CELLS[1], _CELLS[0]), np.uint8)
    stamps_s = np.empty(total)
    # In this process: a pool would fork it, which may stand still where it has threads already.
    with progress_bar() as bars:
        task = bars.add_task(f"render {part}", total=sequences, note="")
        for index in range(sequences):
            rows = slice(index * frames, (index + 1) * frames)
            sequence = make_sequence(
                config.seed,
                index=index,
                split=_SPLITS[part],
                frames=frames,
                hz=scenes.hz if training else scenes.evaluation_hz,
                size=(scenes.width, scenes.height),
            )
            images[rows], truth[rows], patches[rows], stamps_s[rows] = _drawn(sequence)
            bars.update(task, advance=1)
    images.flush()
    numbers = np.repeat(np.arange(sequences, dtype=np.int32), frames)
    others = (truth, patches, numbers, stamps_s)
    for name, array in zip(ARRAYS[1:], others, strict=True):
        np.save(scratch / f"{name}.npy", array)
    scratch.rename(folder)


def _drawn(sequence: SceneSequence) -> Rendered:
    drawn = list(sequence.frames())
    return (
        np.stack([frame.image for frame in drawn]),
        np.stack([frame.truth for frame in drawn]),
        np.stack([_coarse(frame.cells) for frame in drawn]),
        np.array([frame.stamp_s for frame in drawn]),
    )


def _coarse(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(cells, _CELLS, interpolation=cv2.INTER_NEAREST), np.uint8)

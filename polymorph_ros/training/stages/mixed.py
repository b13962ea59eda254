"""Stage: synthetic scenes and labelled video as one part, over one vocabulary."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.dataset import Fault
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import (
    frames_cost,
    in_vocabulary,
    load_about,
    load_frames,
)
from polymorph_ros.training.rows import Row, RowWriter
from polymorph_ros.training.stages.decoding import DecodingStage, judged_rows, save_truth
from polymorph_ros.training.stages.synthetic import SyntheticStage

_BATCH = 256


@dataclass(frozen=True)
class MixedStage:
    """Scenes first, then video; both shrunk to the backbone's input.

    A scene is judged for every label, because it shows nothing but what was drawn. What a source of
    video does not judge is unknown there.

    Attributes:
        video: none where there are scenes only.
        vocabulary: the labels of the truth.
        fewest: a label that fewer frames show is left out of what is written.
    """

    scenes: SyntheticStage
    video: DecodingStage | None
    preprocessing: Preprocessing
    vocabulary: tuple[str, ...]
    fewest: int

    @property
    def name(self) -> str:
        """The stage of its part."""
        return self.scenes.name

    @property
    def frame_count(self) -> int:
        """How many frames there are, if all can be read."""
        return self.scenes.frame_count + (self.video.frame_count if self.video else 0)

    def cost(self, rates: Rates) -> StageCost:
        """Frames to draw, decode and write."""
        return frames_cost(self.rows(), self.frame_count)

    def rows(self) -> dict[str, Row]:
        """The arrays that are written row by row."""
        return judged_rows(self.preprocessing.size, len(self.vocabulary))

    def write(self, folder: Path) -> None:
        """Write each by itself, after what an earlier attempt wrote; then put them together.

        Raises:
            PolymorphError: no label is shown by enough frames.
        """
        faults: list[Fault] = []
        sequences = 0
        shrunk = Preprocessor(self.preprocessing, "cpu").shrunk
        stages = [stage for stage in (self.scenes, self.video) if stage is not None]
        for stage in stages:
            (folder / _place(stage)).mkdir(exist_ok=True)
            stage.write(folder / _place(stage))
        with RowWriter(folder, self.rows()) as writer:
            writer.cut(0)
            for stage in stages:
                part = folder / _place(stage)
                about, frames = load_about(part), load_frames(part)
                judged = self._truth(frames.truth, about.vocabulary, stage)
                for rows in _batches(len(frames)):
                    writer.append(
                        images=np.stack([shrunk(image) for image in frames.images[rows]]),
                        judged=judged[rows],
                        sequence=frames.sequence[rows] + sequences,
                        stamps_s=frames.stamps_s[rows],
                    )
                sequences += int(frames.sequence[-1]) + 1
                faults += about.faults
        for stage in stages:
            shutil.rmtree(folder / _place(stage))
        save_truth(folder, self.vocabulary, self.fewest, faults, self.name)

    def _truth(
        self, truth: NDArray[np.int8], have: tuple[str, ...], stage: SyntheticStage | DecodingStage
    ) -> NDArray[np.int8]:
        spread = in_vocabulary(truth, have, self.vocabulary)
        if stage is self.scenes:
            drawn = np.isin(self.vocabulary, have)
            spread[:, ~drawn] = 0
        return spread


def _place(stage: SyntheticStage | DecodingStage) -> str:
    return "scenes" if isinstance(stage, SyntheticStage) else "video"


def _batches(frames: int) -> Iterator[slice]:
    return (slice(first, min(first + _BATCH, frames)) for first in range(0, frames, _BATCH))

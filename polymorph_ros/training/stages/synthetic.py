"""Stage: render synthetic scenes into labelled frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, SyntheticSequence, make_sequence
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.config import SyntheticConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import About, frame_rows, frames_cost, save_about
from polymorph_ros.training.rows import Row, RowWriter

_CELLS = (32, 24)  # width and height of the grid of what is seen where

Part = Literal["train", "validation", "test"]
_SPLITS = {"train": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class SyntheticStage:
    """Frames of the sequences of one part, at the scenes' own resolution."""

    synthetic: SyntheticConfig
    part: Part
    seed: int
    vocabulary: ClassVar[tuple[str, ...]] = tuple(SYNTHETIC_LABELS)

    @property
    def name(self) -> str:
        """The stage of its part."""
        return f"frames-{self.part}"

    @property
    def sequences(self) -> int:
        """How many sequences there are."""
        return int(getattr(self.synthetic, f"{self.part}_sequences"))

    @property
    def length(self) -> int:
        """Frames of a sequence."""
        return self.synthetic.frames if self.part == "train" else self.synthetic.evaluation_frames

    @property
    def frame_count(self) -> int:
        """Frames of all sequences."""
        return self.sequences * self.length

    def cost(self, rates: Rates) -> StageCost:
        """Frames to draw and write."""
        return frames_cost(self.rows(), self.frame_count)

    def rows(self) -> dict[str, Row]:
        """The arrays that are written row by row."""
        height, width = self.synthetic.height, self.synthetic.width
        return frame_rows(height, width, len(self.vocabulary), _CELLS[::-1])

    def write(self, folder: Path) -> None:
        """Render, after the sequences that an earlier attempt rendered."""
        # In this process: a pool would fork it, which may stand still where it has threads already.
        with RowWriter(folder, self.rows(), whole=self.length) as writer, progress_bar() as bars:
            done = writer.rows // self.length
            task = bars.add_task(
                f"render {self.part}", total=self.sequences, completed=done, note=""
            )
            for index in range(done, self.sequences):
                drawn = list(self._sequence(index).frames())
                writer.append(
                    images=np.stack([frame.image for frame in drawn]),
                    truth=np.stack([frame.truth for frame in drawn]),
                    sequence=np.full(len(drawn), index),
                    stamps_s=np.array([frame.stamp_s for frame in drawn]),
                    patches=np.stack([_coarse(frame.cells) for frame in drawn]),
                )
                bars.update(task, advance=1)
        save_about(folder, About(self.vocabulary))

    def _sequence(self, index: int) -> SyntheticSequence:
        training = self.part == "train"
        return make_sequence(
            self.seed,
            index=index,
            split=_SPLITS[self.part],
            frames=self.length,
            hz=self.synthetic.hz if training else self.synthetic.evaluation_hz,
            size=(self.synthetic.width, self.synthetic.height),
        )


def _coarse(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(cells, _CELLS, interpolation=cv2.INTER_NEAREST), np.uint8)

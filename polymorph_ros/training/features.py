"""Stage: the trunk's tokens of every frame, computed once and kept on disk.

The trunk is frozen, so scout and adapters never need to run it again: an adapter then costs
only its tails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.augmentation import changed_view
from polymorph_ros.training.backbones import weights_folder
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.rows import Row, RowWriter
from polymorph_ros.training.stages import Kept

_BATCH = 128


@dataclass(frozen=True)
class TokensStage:
    """Tokens of all frames of a part, half precision; then those of changed views of them.

    Row ``view * frames + frame`` is a view of a frame; view 0 is the frame as it is.
    """

    backbone: Kept
    frames: Kept
    part: str
    preprocessing: Preprocessing
    tail_blocks: int
    augmentations: int
    seed: int
    threads: int

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        part: str,
        backbone: Kept,
        frames: Kept,
        preprocessing: Preprocessing,
    ) -> TokensStage:
        """The stage for a part of a configuration's data; only training frames get more views."""
        return cls(
            backbone,
            frames,
            part,
            preprocessing,
            config.adapters.tail_blocks,
            config.tokens.augmentations if part == "train" else 0,
            config.seed,
            config.threads,
        )

    @property
    def name(self) -> str:
        return f"tokens-{self.part}"

    def rows(self) -> int:
        """How many rows there will be."""
        return (self.augmentations + 1) * len(load_frames(self.frames.folder))

    def token_shape(self) -> tuple[int, ...]:
        """(N, D) of one row."""
        backbone = load_backbone(weights_folder(self.backbone))
        size = self.preprocessing.size
        with torch.inference_mode():
            return tuple(backbone.trunk(torch.zeros(1, 3, size, size), self.tail_blocks).shape[1:])

    def write(self, folder: Path) -> None:
        """Compute, after the batches that an earlier attempt computed."""
        total = self.rows()
        row = {"tokens": Row(np.float16, self.token_shape())}
        with RowWriter(folder, row, whole=_BATCH) as writer, progress_bar() as bars:
            task = bars.add_task("trunk tokens", total=total, completed=writer.rows, note="")
            for tokens in self.compute(writer.rows, total):
                writer.append(tokens=tokens)
                bars.update(task, advance=len(tokens))

    def compute(self, first: int, last: int) -> Iterator[NDArray[np.float16]]:
        """Tokens of the rows from ``first`` to before ``last``, in batches (n, N, D).

        The same to the bit however the rows are shared out, if ``first`` is a multiple of 128.
        """
        set_up_torch(self.threads)
        backbone = load_backbone(weights_folder(self.backbone))
        preprocessor = Preprocessor(self.preprocessing, "cpu")
        images = load_frames(self.frames.folder).images
        for start in range(first, last, _BATCH):
            rows = range(start, min(start + _BATCH, last))
            pictures = np.stack([self._picture(images, row) for row in rows])
            with torch.inference_mode():
                tokens = backbone.trunk(preprocessor.batch(pictures), self.tail_blocks)
            yield tokens.half().numpy()

    def _picture(self, images: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
        view, frame = divmod(row, len(images))
        if view == 0:
            return images[frame]
        return changed_view(images[frame], np.random.default_rng((self.seed, row)))


def load_tokens(folder: Path) -> NDArray[np.float16]:
    """Map the tokens of a folder that the stage wrote: (views * frames, N, D)."""
    tokens: NDArray[np.float16] = np.load(folder / "tokens.npy", mmap_mode="r")
    return tokens

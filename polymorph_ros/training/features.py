"""The trunk's tokens of every training frame, computed once and kept on disk.

The trunk is frozen, so scout and adapters never need to run it again: an adapter then costs
only its tails.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.loop import progress_bar

_BATCH = 128


def cache_tokens(
    backbone: Backbone,
    tail_blocks: int,
    preprocessor: Preprocessor,
    frames: LabelledFrames,
    file: Path,
) -> NDArray[np.float16]:
    """Compute the tokens of all frames, or map them where an earlier run did.

    Returns:
        float16 of shape (frames, tokens, D), memory-mapped.
    """
    if not file.is_file():
        _compute(backbone, tail_blocks, preprocessor, frames, file)
    tokens: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return tokens


def _compute(
    backbone: Backbone,
    tail_blocks: int,
    preprocessor: Preprocessor,
    frames: LabelledFrames,
    file: Path,
) -> None:
    scratch = file.with_name(f".{file.name}.new")
    out = None
    with torch.inference_mode(), progress_bar() as bars:
        task = bars.add_task("trunk tokens", total=len(frames), note="")
        for first in range(0, len(frames), _BATCH):
            pixels = preprocessor.batch(frames.images[first : first + _BATCH])
            tokens = backbone.trunk(pixels, tail_blocks).half().cpu().numpy()
            if out is None:
                shape = (len(frames), *tokens.shape[1:])
                out = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.float16, shape=shape)
            out[first : first + _BATCH] = tokens
            bars.update(task, advance=len(tokens))
    assert out is not None, "there is at least one frame"
    out.flush()
    scratch.rename(file)

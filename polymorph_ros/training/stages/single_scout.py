"""Stage: the scout of a bundle with one context of all labels, made of that with several."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polymorph_ros.bundle.manifest import HEAD_FILE, SCOUT_ADAPTER_FOLDER, SCOUT_FILE
from polymorph_ros.training.artifacts import SUMS_FILE, Artifact
from polymorph_ros.training.cost import Rates, StageCost

_ALWAYS = 6.0  # logit of P(context) in each frame


@dataclass(frozen=True)
class SingleScoutStage:
    """A trained scout that scores the same labels, and always says that the context is there.

    Attributes:
        scout: what is changed.
        labels: how many it scores.
    """

    scout: Artifact
    labels: int
    name: ClassVar[str] = "single_scout"

    def cost(self, rates: Rates) -> StageCost:
        """Writing its weights."""
        return StageCost(size=rates.scout_bytes)

    def write(self, folder: Path) -> None:
        """Copy the scout, and change the rows of its heads that are contexts'."""
        shutil.copytree(
            self.scout.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SUMS_FILE)
        )
        tensors = load_file(folder / SCOUT_FILE)
        weight, bias = tensors["context_head.weight"], tensors["context_head.bias"]
        tensors["context_head.weight"] = torch.zeros_like(weight[:1])
        tensors["context_head.bias"] = torch.full_like(bias[:1], _ALWAYS)
        save_file(tensors, folder / SCOUT_FILE)
        head = folder / SCOUT_ADAPTER_FOLDER / HEAD_FILE
        if head.is_file():
            rows = {name: self._labels_and_nothing(part) for name, part in load_file(head).items()}
            save_file(rows, head)

    def _labels_and_nothing(self, rows: Tensor) -> Tensor:
        """The rows of labels, and one of zeros for the context."""
        return torch.cat([rows[: self.labels], torch.zeros_like(rows[:1])]).contiguous()

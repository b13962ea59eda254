"""Stage: a scout that learns new labels and contexts and answers as before for the old ones.

What it looks at stays: the summary of the tokens, and the hidden units that read it. New hidden
units read the same summary; the new outputs read all units, the old outputs only theirs. So no
picture of the old labels is needed, and their scores do not change.
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import HEAD_FILE, SCOUT_ADAPTER_FOLDER, SCOUT_FILE
from polymorph_ros.model.scout import Scout
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.calibration import fold_into, platt
from polymorph_ros.training.config import ScoutConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.loop import Schedule, set_up_torch
from polymorph_ros.training.stages.scout import (
    ScoutStage,
    fit_scout,
    load_scout,
    scout_logits,
    with_dropout,
)
from polymorph_ros.training.token_set import Features


class _Addition(nn.Module):
    """New hidden units beside a frozen scout, and the new outputs."""

    def __init__(self, old: Scout, hidden: int, labels: int, contexts: int) -> None:
        super().__init__()
        self._old = [old]  # not a submodule: its weights are not trained
        units = old.hidden.out_features + hidden
        self.hidden = nn.Linear(old.hidden.in_features, hidden)
        self.label_head = nn.Linear(units, labels)
        self.context_head = nn.Linear(units, contexts)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) to logits of the new labels (B, v) and contexts (B, c)."""
        old = self._old[0]
        with torch.no_grad():
            summary = old.summary(with_dropout(tokens))
            known = old.activation(old.hidden(summary))
        hidden = torch.cat([known, old.activation(self.hidden(summary))], dim=1)
        return self.label_head(hidden), self.context_head(hidden)


@dataclass(frozen=True)
class GrownScoutStage:
    """A scout for the old labels and contexts, followed by new ones.

    Attributes:
        old: the folder with the old scout's file.
        features: of the new data, with the new contexts.
        labels: columns of the new data's vocabulary that are new.
    """

    config: ScoutConfig
    old: Artifact
    features: Features
    labels: tuple[int, ...]
    seed: int
    threads: int
    name: ClassVar[str] = "scout"

    def cost(self, rates: Rates) -> StageCost:
        """Gradient steps over the training frames."""
        return ScoutStage(self.config, self.features, self.seed, self.threads).cost(rates)

    def write(self, folder: Path) -> None:
        """Train and calibrate what is new, and save all of it."""
        set_up_torch(self.threads, self.features.device)
        device = self.features.device
        old, columns = load_scout(self.old).to(device), list(self.labels)
        data, held_out = (
            replace(part, truth=np.ascontiguousarray(part.truth[:, columns]))
            for part in (self.features.load_train(), self.features.load_validation())
        )
        torch.manual_seed(self.seed)
        contexts = data.presence.shape[1]
        addition = _Addition(old, self.config.hidden, len(columns), contexts).to(device)
        schedule = Schedule.of(self.config, self.seed)
        fit_scout(addition, addition.parameters(), data, schedule, folder / CHECKPOINT_FILE)
        labels, presence = scout_logits(_joined(old, addition).to(device), held_out)
        fold_into(addition.label_head, *platt(labels[:, old.num_labels :], held_out.truth))
        fold_into(addition.context_head, *platt(presence[:, old.num_contexts :], held_out.presence))
        save_file(_joined(old, addition).tensors(), folder / SCOUT_FILE)
        if (self.old.folder / SCOUT_ADAPTER_FOLDER).is_dir():
            new = (len(columns), contexts)
            _grow_adapter(self.old.folder, folder, (old.num_labels, old.num_contexts), new)


def _grow_adapter(source: Path, target: Path, old: tuple[int, int], new: tuple[int, int]) -> None:
    """The scout's own adapter with more rows of its head, for labels and for contexts.

    It says nothing of the new ones, which the scout's own network alone has learned.
    """
    shutil.copytree(
        source / SCOUT_ADAPTER_FOLDER, target / SCOUT_ADAPTER_FOLDER, dirs_exist_ok=True
    )
    file = target / SCOUT_ADAPTER_FOLDER / HEAD_FILE
    tensors = {}
    for name, rows in load_file(file).items():
        labels, contexts = rows[: old[0]], rows[old[0] :]
        silent = [rows.new_zeros((count, *rows.shape[1:])) for count in new]
        tensors[name] = torch.cat([labels, silent[0], contexts, silent[1]])
    save_file(tensors, file)


def _joined(old: Scout, addition: _Addition) -> Scout:
    """One scout whose first outputs are the old one's."""
    tensors, addition = old.tensors(), deepcopy(addition).cpu()
    width = addition.hidden.out_features
    tensors["hidden.weight"] = torch.cat([tensors["hidden.weight"], addition.hidden.weight])
    tensors["hidden.bias"] = torch.cat([tensors["hidden.bias"], addition.hidden.bias])
    for name in ("label_head", "context_head"):
        new = addition.get_submodule(name)
        known = nn.functional.pad(tensors[f"{name}.weight"], (0, width))
        tensors[f"{name}.weight"] = torch.cat([known, new.get_parameter("weight")])
        tensors[f"{name}.bias"] = torch.cat([tensors[f"{name}.bias"], new.get_parameter("bias")])
    return Scout.from_tensors({key: value.detach() for key, value in tensors.items()})

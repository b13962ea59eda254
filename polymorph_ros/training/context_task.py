"""Stage: one context's adapter with its calibrated head, a task that needs only files.

It can run in any process that sees the work folder: ``train_context`` takes a picklable task and
returns a path.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.training.artifacts import RELIABILITY_FILE, Artifact, make
from polymorph_ros.training.calibration import fold_into_head, platt, skill
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.stages.adapter import frames_for, train_adapter
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.token_set import TokenFiles


@dataclass(frozen=True)
class ContextTask:
    """The adapter of one of the contexts.

    Attributes:
        index: of the context in ``contexts``.
        context: its name.
        work: the folder in which stages keep what they made.
    """

    config: AdaptersConfig
    backbone: Artifact
    train: TokenFiles
    validation: TokenFiles
    contexts: Artifact
    index: int
    context: str
    seed: int
    threads: int
    work: Path = field(metadata={"decides": False})

    @property
    def name(self) -> str:
        return f"adapter-{self.context}"

    def write(self, folder: Path) -> None:
        set_up_torch(self.threads)
        labels = load_contexts(self.contexts.folder).labels[self.index]
        validation = self.validation.load(self.contexts)
        logits = train_adapter(
            self.config,
            weights_folder(self.backbone),
            self.train.load(self.contexts),
            validation,
            self.index,
            labels,
            folder,
            name=self.context,
            seed=self.seed,
        )
        here = validation.presence[:, self.index] == 1
        truth = validation.truth[:, list(labels)]
        scale, shift = platt(logits[here], truth[here])
        fold_into_head(folder, scale, shift)
        scores = sigmoid((logits[here] * scale + shift).astype(np.float64))
        told = [round(value, 4) for value in skill(scores, truth[here]).tolist()]
        (folder / RELIABILITY_FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")


def train_context(task: ContextTask) -> Path:
    """Train a context's adapter, unless it is there already; return its folder."""
    return make(task, task.work).folder


def gradient_steps(task: ContextTask) -> int:
    """How many steps the task takes."""
    config = task.config
    rng = np.random.default_rng(task.seed)
    frames = frames_for(task.train.load(task.contexts), task.index, config.others, rng)
    return config.epochs * max(1, len(frames) // config.batch_size)

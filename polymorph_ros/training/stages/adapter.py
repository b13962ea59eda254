"""Stage: one context's LoRA adapter and head, trained with PEFT on cached trunk tokens.

It needs nothing but files: it can run in any process that has the work folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polymorph_ros.arrays import Indices
from polymorph_ros.bundle.manifest import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, HEAD_FILE
from polymorph_ros.files import write_json, write_text
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact, Planned
from polymorph_ros.training.calibration import fold_into, platt, skill
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames
from polymorph_ros.training.loop import Schedule, fit, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.tails import tail_feature
from polymorph_ros.training.token_set import Features, TokenSet

RELIABILITY_FILE = "reliability.json"
"""The file with the reliability of the adapter's score of each label."""
_CONTEXTS_PER_FRAME = 1.5  # estimated, while contexts are not known yet


@dataclass(frozen=True)
class Start:
    """Where an adapter goes on from: one of the same backbone, rank and targets.

    Attributes:
        folder: as ``TrainableAdapter.save`` wrote it.
        rows: of its head.
    """

    folder: Path
    rows: list[int]


@dataclass(frozen=True)
class CommonAdapter:
    """An adapter of all labels, from whose weights those of contexts go on.

    Attributes:
        contexts: its only one.
        adapter: what ``AdapterStage`` wrote for it.
    """

    contexts: Artifact
    adapter: Artifact

    def start(self, labels: Sequence[int]) -> Start:
        """For columns of the vocabulary."""
        (own,) = load_contexts(self.contexts).labels
        return Start(self.adapter.folder, [own.index(label) for label in labels])


@dataclass(frozen=True)
class AdapterStage:
    """The adapter of one of the contexts.

    Attributes:
        index: of the context.
        context: its name.
        common: where it goes on from; none: from a LoRA that changes nothing.
    """

    config: AdaptersConfig
    features: Features
    index: int
    context: str
    seed: int
    threads: int
    common: CommonAdapter | None = field(default=None, metadata={"unless": None})

    @property
    def name(self) -> str:
        """The stage of its context."""
        return f"adapter-{self.context}"

    def steps(self) -> int:
        """How many gradient steps it takes; an estimate while its inputs are only planned."""
        train, contexts = self.features.train, self.features.contexts
        if any(isinstance(part, Planned) for part in (train.frames, train.tokens, contexts)):
            count, shares = count_frames(train.frames), len(load_contexts(contexts).names)
            own = min(count, round(count * _CONTEXTS_PER_FRAME / shares))
            frames = min(count, round(own * (1 + self.config.others)))
        else:
            rng = np.random.default_rng(self.seed)
            data = self.features.load_train()
            frames = len(frames_for(data, self.index, self.config.others, rng))
        return Schedule.of(self.config, self.seed).steps(frames)

    def cost(self, rates: Rates) -> StageCost:
        """Gradient steps over the frames that teach it."""
        steps = self.steps()
        return StageCost(
            steps=steps, size=rates.adapter_bytes, seconds=steps * rates.adapter_step_s
        )

    def write(self, folder: Path) -> None:
        """Train, calibrate on the validation frames of the context, and save."""
        set_up_torch(self.threads, self.features.device)
        labels = load_contexts(self.features.contexts).labels[self.index]
        start = self.common.start(labels) if self.common else None
        lesson = Lesson(self.features.load_train(), self.context, self.index, labels, start)
        backbone = weights_folder(self.features.backbone)
        checkpoint = folder / CHECKPOINT_FILE
        adapter = train_adapter(self.config, backbone, lesson, checkpoint, seed=self.seed)
        validation = self.features.load_validation()
        logits = validation.outputs(adapter)
        here = validation.presence[:, self.index] == 1
        truth = validation.truth[here][:, list(labels)]
        scale, shift = platt(logits[here], truth)
        fold_into(adapter.cpu().head, scale, shift)
        adapter.save(folder)
        scores = sigmoid((logits[here] * scale + shift).astype(np.float64))
        skills = [round(value, 4) for value in skill(scores, truth).tolist()]
        write_json(folder / RELIABILITY_FILE, skills)


@dataclass(frozen=True)
class Lesson:
    """What an adapter learns.

    Attributes:
        data: the training frames.
        name: of the context.
        context: its column of the presence.
        labels: columns of the truth: rows of the adapter's head.
        start: none: a LoRA that changes nothing, and a random head.
    """

    data: TokenSet
    name: str
    context: int
    labels: tuple[int, ...]
    start: Start | None = None


def frames_for(
    data: TokenSet, context: int, others: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The frames that teach a context's adapter: its own, and a share of the others.

    All frames for a context that is nowhere there: they teach that its labels are absent.
    """
    own = np.flatnonzero(data.presence[:, context] == 1)
    if not len(own):
        return np.arange(len(data))
    rest = np.flatnonzero(data.presence[:, context] != 1)
    count = min(len(rest), round(others * len(own)))
    return np.sort(np.concatenate([own, rng.choice(rest, count, replace=False)]))


class TrainableAdapter(nn.Module):
    """A LoRA on the last K blocks of a frozen backbone, and a head: tokens to logits.

    Args:
        config: rank, alpha, targets, K and what the tails get.
        backbone_folder: the backbone's checkpoint; it is loaded for this adapter alone.
        outputs: rows of the head.
    """

    def __init__(self, config: AdaptersConfig, backbone_folder: Path, outputs: int) -> None:
        super().__init__()
        self._config = config
        self._backbone = load_backbone(backbone_folder)
        lora = LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            target_modules=self._backbone.lora_targets(config.tail_blocks, config.targets),
            lora_dropout=0.0,
            bias="none",
        )
        self.peft_model: nn.Module = get_peft_model(self._backbone.model, lora)
        self.head = nn.Linear(self._backbone.hidden_size, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Trunk tokens (B, N, D) to logits (B, outputs)."""
        inputs = self._backbone.tail_input(tokens, self._config.tail_tokens)
        pooled = tail_feature(self._backbone, inputs, self._config.tail_blocks)
        return cast(Tensor, self.head(pooled))

    def take_over(self, start: Start) -> None:
        """Take another's LoRA, and rows of its head as the first of its own."""
        set_peft_model_state_dict(self.peft_model, load_file(start.folder / ADAPTER_WEIGHTS_FILE))
        head = load_file(start.folder / HEAD_FILE)
        with torch.no_grad():
            for name, rows in self.head.named_parameters():
                rows[: len(start.rows)] = head[name][start.rows]

    def save(self, folder: Path) -> None:
        """Write a plain PEFT adapter and the head's file into a folder."""
        model: Any = self.peft_model
        # The folder of this machine has no meaning elsewhere.
        model.peft_config["default"].base_model_name_or_path = "backbone"
        model.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        # PEFT keeps the targets as a set, whose order differs from process to process.
        file = folder / ADAPTER_CONFIG_FILE
        config = json.loads(file.read_text(encoding="utf-8"))
        config["target_modules"] = sorted(config["target_modules"])
        write_text(file, json.dumps(config, indent=2, sort_keys=True))
        tensors = {key: value.detach().contiguous() for key, value in self.head.named_parameters()}
        save_file(tensors, folder / HEAD_FILE)


def train_adapter(
    config: AdaptersConfig, backbone_folder: Path, lesson: Lesson, checkpoint: Path, *, seed: int
) -> TrainableAdapter:
    """Train an adapter and its head, from where an interrupted attempt left its checkpoint."""
    torch.manual_seed(seed)
    data, columns = lesson.data, list(lesson.labels)
    adapter = TrainableAdapter(config, backbone_folder, len(lesson.labels))
    if lesson.start is not None:
        adapter.take_over(lesson.start)
    adapter.to(data.device)

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        truth = data.tensor(data.truth[batch][:, columns])
        tokens = nn.functional.dropout(data.varied(batch, rng), config.dropout)
        return known_bce(adapter(tokens), truth)

    fit(
        f"adapter {lesson.name}",
        adapter.parameters(),
        loss_of,
        frames_for(data, lesson.context, config.others, np.random.default_rng(seed)),
        Schedule.of(config, seed),
        checkpoint,
    )
    return adapter

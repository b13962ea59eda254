"""Train one context's adapter and head with PEFT, from cached trunk tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import ADAPTER_CONFIG_FILE, HEAD_FILE
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.training.artifacts import CHECKPOINT_FILE
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.loop import Indices, fit
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.tails import tail_feature
from polymorph_ros.training.token_set import TokenSet

_BATCH = 256


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
        config: rank, alpha, targets, K and what the tails see.
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
        file.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
        tensors = {key: value.detach().contiguous() for key, value in self.head.named_parameters()}
        save_file(tensors, folder / HEAD_FILE)


def train_adapter(
    config: AdaptersConfig,
    backbone_folder: Path,
    data: TokenSet,
    validation: TokenSet,
    context: int,
    labels: tuple[int, ...],
    folder: Path,
    *,
    name: str,
    seed: int,
) -> NDArray[np.float32]:
    """Train, and save a plain PEFT adapter with its head into a folder.

    Args:
        folder: may hold the checkpoint of an interrupted attempt, which is continued.

    Returns:
        logits of all validation frames, (frames, labels of the context).
    """
    torch.manual_seed(seed)
    adapter = TrainableAdapter(config, backbone_folder, len(labels))
    columns = list(labels)

    def logits_of(tokens: NDArray[np.float16]) -> Tensor:
        return cast(Tensor, adapter(torch.from_numpy(tokens.astype(np.float32))))

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        truth = torch.from_numpy(data.truth[batch][:, columns])
        return known_bce(logits_of(data.varied(batch, rng)), truth)

    fit(
        f"adapter {name}",
        adapter.parameters(),
        loss_of,
        frames_for(data, context, config.others, np.random.default_rng(seed)),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=0.01,
        seed=seed,
        checkpoint=folder / CHECKPOINT_FILE,
    )
    adapter.save(folder)
    with torch.inference_mode():
        return np.concatenate(
            [
                logits_of(validation.plain(slice(first, first + _BATCH))).numpy()
                for first in range(0, len(validation), _BATCH)
            ]
        )

"""Run a trained baseline: a picture's trunk tokens to the logits of all labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.baselines.files import Baseline
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.polymorph import PolymorphModel, Scores
from polymorph_ros.model.scout import Scout
from polymorph_ros.model.tensor_file import read_tensors
from polymorph_ros.runtime.belief import logit

Run = Callable[[Tensor], Scores]


class Scorer:
    """A baseline's tail and head, as fast as Polymorph's own: LoRA runs in the composed tails."""

    def __init__(self, baseline: Baseline, bundle: Bundle, device: torch.device) -> None:
        own = baseline.text.backbone == "own"
        revision = None if own else bundle.manifest.backbone.revision
        location = baseline.backbone_location(bundle)
        self._backbone = load_backbone(location, revision, download=False).to(device)
        self._blocks = baseline.text.tail_blocks
        lora = baseline.text.form == "lora"
        make = _composed if lora else _plain
        self._run = make(baseline, bundle, self._backbone)

    @torch.inference_mode()
    def trunk(self, pixels: Tensor) -> Tensor:
        """Pixels (1, 3, S, S) to tokens (1, N, D)."""
        return self._backbone.trunk(pixels, self._blocks)

    @torch.inference_mode()
    def scores(self, tokens: Tensor) -> Scores:
        """Trunk tokens (1, N, D) to P(label), float32 (labels,)."""
        return self._run(tokens)


def logits_of(scores: Scores) -> Scores:
    """Log-odds of scores, float32."""
    return np.asarray(logit(scores.astype(np.float64)), np.float32)


def sigmoid(logits: Scores) -> Scores:
    """P(label) of logits, float32."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64))), np.float32)


def _composed(baseline: Baseline, bundle: Bundle, backbone: Backbone) -> Run:
    """The bundle's own model with a single context of all labels."""
    labels = baseline.text.labels
    only = bundle.manifest.contexts[0].model_copy(update={"name": "all labels", "labels": labels})
    manifest = bundle.manifest.model_copy(
        update={
            "contexts": (only,),
            "preprocessing": baseline.text.preprocessing,
            "unknown_scene": None,
        }
    )
    unused = Scout(backbone.hidden_size, len(labels), 1, hidden=8, detectors=1)
    adapter = read_adapter(baseline.folder, backbone, baseline.text.tail_blocks)
    model = PolymorphModel(manifest, backbone, unused, [adapter])
    return lambda tokens: model.tails(tokens, (0,))[0]


def _plain(baseline: Baseline, bundle: Bundle, backbone: Backbone) -> Run:
    tensors = read_tensors(baseline.folder / HEAD_FILE)
    head = nn.Linear(backbone.hidden_size, len(tensors["bias"]))
    head.load_state_dict(tensors)
    head.requires_grad_(False).to(backbone.device)
    blocks = baseline.text.tail_blocks

    def run(tokens: Tensor) -> Scores:
        scores: Scores = head(backbone.tail(tokens, blocks))[0].sigmoid().cpu().numpy()
        return scores

    return run

"""A teacher that transformers loads: a folder or a Hub name, of any model with tokens or a grid."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.distillation.answers import FEATURE, LOGITS, PATCHES, Answers, as_grid
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import quiet_transformers
from polymorph_ros.training.backbone_choice import location_of, preprocessing_of
from polymorph_ros.training.config import FolderBackboneConfig, HubBackboneConfig


class TransformersTeacher:
    """Patches, feature, and the logits of a checkpoint that classifies.

    The feature is the class token; without one it is what the model pools, else the patches' mean.
    """

    def __init__(self, config: FolderBackboneConfig | HubBackboneConfig, device: str) -> None:
        self._where = f"teacher {location_of(config)[0]}"
        self.preprocessing: Preprocessing = preprocessing_of(config, any_family=True)
        model, self._pools, classifies = _load(config, self._where)
        self._model = model.eval().requires_grad_(False).to(device)
        inner = self._model.base_model if classifies else self._model
        self._arguments = any_size(inner)
        self._inner: Any = None
        # One forward gives the classifier's answer and what lies below it.
        inner.register_forward_hook(self._remember)

    def __call__(self, pixels: Tensor) -> Answers:
        with torch.inference_mode():
            logits = getattr(self._model(pixel_values=pixels, **self._arguments), LOGITS, None)
        found, self._inner = read_answers(self._inner, self._where, self._pools), None
        return found if logits is None else {**found, LOGITS: logits.float()}

    def _remember(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._inner = output


def any_size(model: nn.Module) -> dict[str, bool]:
    """Arguments with which a model of transformers takes pictures of any size."""
    resizes = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if resizes else {}


def read_answers(output: Any, where: str, pools: bool = True) -> dict[str, Tensor]:
    """Patches and feature in what a model of transformers returns.

    Args:
        output: with ``last_hidden_state``, and maybe ``pooler_output``.
        where: what an error names.
        pools: whether its pooling layer has learned weights.

    Raises:
        PolymorphError: its tokens form no grid.
    """
    grid = as_grid(output.last_hidden_state.float(), where)
    pooled = getattr(output, "pooler_output", None)
    if grid.prefix.shape[1]:
        feature = grid.prefix[:, 0]
    elif pooled is not None and pools:
        feature = pooled.float().flatten(1)
    else:
        feature = grid.patches.mean(dim=(2, 3))
    return {PATCHES: grid.patches, FEATURE: feature}


def _load(config: FolderBackboneConfig | HubBackboneConfig, where: str) -> tuple[Any, bool, bool]:
    """The model, whether its pooling layer's weights are there, and whether it classifies."""
    name, revision = location_of(config)
    try:
        whole = AutoConfig.from_pretrained(name, revision=revision)
        tower = getattr(whole, "vision_config", whole)
        classifies = any("ImageClassification" in kind for kind in whole.architectures or ())
        kind = AutoModelForImageClassification if classifies else AutoModel
        with quiet_transformers():
            model, info = kind.from_pretrained(
                name,
                config=whole if classifies else tower,
                revision=revision,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise PolymorphError(
            "a model of transformers: config.json and model.safetensors",
            (str(error).strip() or type(error).__name__).splitlines()[0], where=where,
        ) from error  # fmt: skip
    missing = [key for key in info["missing_keys"] if "mask_token" not in key]
    pools = not any("pooler" in key for key in missing)
    missing = [key for key in missing if "pooler" not in key]
    if missing:
        raise PolymorphError(
            "every weight of the teacher", f"{len(missing)} missing, first {sorted(missing)[0]}",
            where=where,
        )  # fmt: skip
    return model, pools, classifies

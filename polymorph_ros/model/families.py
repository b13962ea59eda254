"""The backbone families that are supported, each described in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.family import Family, Spelling

_HALF = (0.5, 0.5, 0.5)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

_ATTENTION = {
    "q": "attention.q_proj",
    "k": "attention.k_proj",
    "v": "attention.v_proj",
    "o": "attention.o_proj",
}
_OLD_ATTENTION = {
    "q": "attention.attention.query",
    "k": "attention.attention.key",
    "v": "attention.attention.value",
    "o": "attention.output.dense",
}
_MLP = {"fc1": "mlp.fc1", "fc2": "mlp.fc2"}
_UP_DOWN = {"fc1": "mlp.up_proj", "fc2": "mlp.down_proj"}
_GATED = {"gate": "mlp.gate_proj", **_UP_DOWN}

VIT = Family(
    name="ViT",
    model_types=("vit",),
    spelling=Spelling("layers", _ATTENTION | _MLP),
    old_spelling=Spelling(
        "encoder.layer", _OLD_ATTENTION | {"fc1": "intermediate.dense", "fc2": "output.dense"}
    ),
    norms=("layernorm_before", "layernorm_after"),
    scales=None,
    activation="mlp.activation_fn",
    final_norm="layernorm",
    class_tokens=1,
    mean=_HALF,
    std=_HALF,
    asks_for_resize=True,
    load_arguments={"add_pooling_layer": False},
)

# Its second token, for distillation, takes part in attention; the feature is the class token's.
DEIT = replace(
    VIT,
    name="DeiT",
    model_types=("deit",),
    class_tokens=2,
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
)

DINOV2 = Family(
    name="DINOv2",
    model_types=("dinov2", "dinov2_with_registers"),
    spelling=Spelling("encoder.layer", _ATTENTION | _MLP),
    old_spelling=Spelling("encoder.layer", _OLD_ATTENTION | _MLP),
    norms=("norm1", "norm2"),
    scales=("layer_scale1", "layer_scale2"),
    activation="mlp.activation_fn",
    final_norm="layernorm",
    class_tokens=1,
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
)

# transformers 4 had gate and fc1 in one matrix: LoRA on it has no counterpart here.
DINOV2_GATED = replace(
    DINOV2,
    name="DINOv2 (gated MLP)",
    spelling=Spelling("encoder.layer", _ATTENTION | _GATED),
    old_spelling=Spelling("encoder.layer", _OLD_ATTENTION | {"fc2": "mlp.weights_out"}),
    activation="mlp.act_fn",
)

DINOV3 = replace(
    DINOV2,
    name="DINOv3",
    model_types=("dinov3_vit",),
    spelling=Spelling("model.layer", _ATTENTION | _UP_DOWN),
    old_spelling=Spelling("layer", _ATTENTION | _UP_DOWN),
    activation="mlp.act_fn",
    final_norm="norm",
    rotary=True,
)

DINOV3_GATED = replace(
    DINOV3,
    name="DINOv3 (gated MLP)",
    spelling=Spelling("model.layer", _ATTENTION | _GATED),
    old_spelling=Spelling("layer", _ATTENTION | _GATED),
)

_SIGLIP_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.out_proj",
} | _MLP

# The published SigLIP 2 checkpoints of a fixed resolution are of this type too.
SIGLIP = Family(
    name="SigLIP",
    model_types=("siglip_vision_model",),
    spelling=Spelling("encoder.layers", _SIGLIP_NAMES),
    old_spelling=Spelling("vision_model.encoder.layers", _SIGLIP_NAMES),
    norms=("layer_norm1", "layer_norm2"),
    scales=None,
    activation="mlp.activation_fn",
    final_norm="post_layernorm",
    class_tokens=0,
    mean=_HALF,
    std=_HALF,
    asks_for_resize=True,
)

# "NaFlex": takes any grid of patches, and gets a square one here.
SIGLIP2 = replace(
    SIGLIP,
    name="SigLIP 2",
    model_types=("siglip2_vision_model",),
    asks_for_resize=False,
    takes_patches=True,
)

FAMILIES = (VIT, DEIT, DINOV2, DINOV2_GATED, DINOV3, DINOV3_GATED, SIGLIP, SIGLIP2)


def family_of(config: Any, where: str = "") -> Family:
    """The family that serves a transformers configuration (of a vision tower, where there are two).

    Raises:
        PolymorphError: no family serves it; names those that are supported.
    """
    gated = any(getattr(config, name, False) for name in ("use_swiglu_ffn", "use_gated_mlp"))
    for family in FAMILIES:
        if config.model_type in family.model_types and family.gated == gated:
            return family
    supported = ", ".join(dict.fromkeys(t for family in FAMILIES for t in family.model_types))
    raise PolymorphError(
        f"a backbone of a supported family ({supported}, or siglip and siglip2 with one of them)",
        f"model type {config.model_type!r}",
        where=where,
    )

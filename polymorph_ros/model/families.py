"""The backbone families that are supported, each described in one place."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

from torch import nn

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.bottleneck import BottleneckFamily, BottleneckNames
from polymorph_ros.model.convnet import ConvNet
from polymorph_ros.model.convnext import ConvNeXtFamily, ConvNeXtNames
from polymorph_ros.model.convolution import Padding
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig
from polymorph_ros.model.family import Family, Spelling
from polymorph_ros.model.transformer import TransformerFamily

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

_SOME = ("q", "v", "fc1", "fc2")
_POINTWISE = ("expand", "project", "head")

VIT = TransformerFamily(
    name="ViT",
    model_types=("vit",),
    spelling=Spelling("layers", _ATTENTION | _MLP),
    old_spelling=Spelling(
        "encoder.layer", _OLD_ATTENTION | {"fc1": "intermediate.dense", "fc2": "output.dense"}
    ),
    default_targets=_SOME,
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

DINOV2 = TransformerFamily(
    name="DINOv2",
    model_types=("dinov2", "dinov2_with_registers"),
    spelling=Spelling("encoder.layer", _ATTENTION | _MLP),
    old_spelling=Spelling("encoder.layer", _OLD_ATTENTION | _MLP),
    default_targets=_SOME,
    norms=("norm1", "norm2"),
    scales=("layer_scale1", "layer_scale2"),
    activation="mlp.activation_fn",
    final_norm="layernorm",
    class_tokens=1,
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
    usual_side=224,
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
    usual_side=None,
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
SIGLIP = TransformerFamily(
    name="SigLIP",
    model_types=("siglip_vision_model",),
    spelling=Spelling("encoder.layers", _SIGLIP_NAMES),
    old_spelling=Spelling("vision_model.encoder.layers", _SIGLIP_NAMES),
    default_targets=_SOME,
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


def _padding_of_mobilenet(layer: Any) -> Padding:
    around = layer.convolution.padding[0]
    return None if layer.config.tf_padding else (around, around)


class _MobileNetFamily(BottleneckFamily):
    def network(self, model: nn.Module, config: Any) -> ConvNet:
        """Its 1 x 1 convolutions need no zeros: to find that out transformers asks each for its
        stride, which PEFT's layers around them do not have.
        """
        unpadded = copy(config)
        unpadded.tf_padding = False
        for layer in model.modules():
            if getattr(getattr(layer, "convolution", None), "kernel_size", None) == (1, 1):
                layer.config = unpadded
        return super().network(model, config)


_MOBILENET_NAMES = Spelling(
    "layer",
    {"expand": "expand_1x1.convolution", "project": "reduce_1x1.convolution"},
    head="conv_1x1.convolution",
)

MOBILENET_V2 = _MobileNetFamily(
    name="MobileNetV2",
    model_types=("mobilenet_v2",),
    spelling=_MOBILENET_NAMES,
    old_spelling=_MOBILENET_NAMES,
    default_targets=_POINTWISE,
    mean=_HALF,
    std=_HALF,
    stem=("conv_stem",),
    head=("conv_1x1",),
    final_norm="",
    side_step=1,
    names=BottleneckNames(
        expand=("expand_1x1.convolution", "expand_1x1.normalization"),
        depthwise=("conv_3x3.convolution", "conv_3x3.normalization"),
        project=("reduce_1x1.convolution", "reduce_1x1.normalization"),
        activation="conv_3x3.activation",
        residual=lambda block: bool(getattr(block, "use_residual", False)),
        padding=lambda block: _padding_of_mobilenet(block.get_submodule("conv_3x3")),
    ),
    stem_pair=("conv_stem.first_conv.convolution", "conv_stem.first_conv.normalization"),
    stem_activation="conv_stem.first_conv.activation",
    stem_padding=lambda model: _padding_of_mobilenet(model.get_submodule("conv_stem.first_conv")),
    stem_block="conv_stem",
    head_pair=("conv_1x1.convolution", "conv_1x1.normalization"),
    head_activation="conv_1x1.activation",
)


def _padding_of_efficientnet(layer: Any) -> Padding:
    """Zeros stand around a grid only where it becomes coarser; "same" is a convolution's own."""
    if layer.depthwise_conv.padding == "valid":
        left, right, *_ = layer.depthwise_conv_pad.padding
        return left, right
    around = layer.depthwise_conv.kernel_size[0] // 2
    return around, around


_EFFICIENTNET_NAMES = Spelling(
    "encoder.blocks",
    {
        "expand": "expansion.expand_conv",
        "squeeze": "squeeze_excite.reduce",
        "excite": "squeeze_excite.expand",
        "project": "projection.project_conv",
    },
    head="encoder.top_conv",
)

EFFICIENTNET = BottleneckFamily(
    name="EfficientNet",
    model_types=("efficientnet",),
    spelling=_EFFICIENTNET_NAMES,
    old_spelling=_EFFICIENTNET_NAMES,
    default_targets=_POINTWISE,
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
    stem=("embeddings",),
    head=("encoder.top_conv", "encoder.top_bn", "encoder.top_activation"),
    final_norm="",
    side_step=1,
    names=BottleneckNames(
        expand=("expansion.expand_conv", "expansion.expand_bn"),
        depthwise=("depthwise_conv.depthwise_conv", "depthwise_conv.depthwise_norm"),
        project=("projection.project_conv", "projection.project_bn"),
        activation="depthwise_conv.depthwise_act",
        residual=lambda block: bool(block.get_submodule("projection").apply_dropout),
        padding=lambda block: _padding_of_efficientnet(block.depthwise_conv),
        squeeze="squeeze_excite.reduce",
        excite="squeeze_excite.expand",
    ),
    stem_pair=("embeddings.convolution", "embeddings.batchnorm"),
    stem_activation="embeddings.activation",
    stem_padding=lambda _: (0, 1),
    stem_block="",
    head_pair=("encoder.top_conv", "encoder.top_bn"),
    head_activation="encoder.top_activation",
)

_LITE_NAMES = Spelling(
    "_blocks", {"expand": "_expand_conv", "project": "_project_conv"}, head="_conv_head"
)

# transformers lacks it: efficientnet_lite.py has its model.
EFFICIENTNET_LITE = BottleneckFamily(
    name="EfficientNet-Lite",
    model_types=(EfficientNetLiteConfig.model_type,),
    spelling=_LITE_NAMES,
    old_spelling=_LITE_NAMES,
    default_targets=_POINTWISE,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    stem=("_conv_stem", "_bn0", "_activation"),
    head=("_conv_head", "_bn1", "_activation"),
    final_norm="",
    side_step=1,
    names=BottleneckNames(
        expand=("_expand_conv", "_bn0"),
        depthwise=("_depthwise_conv", "_bn1"),
        project=("_project_conv", "_bn2"),
        activation="_activation",
        residual=lambda block: bool(block.residual),
        padding=lambda _: None,
    ),
    stem_pair=("_conv_stem", "_bn0"),
    stem_activation="_activation",
    stem_padding=lambda _: None,
    stem_block="",
    head_pair=("_conv_head", "_bn1"),
    head_activation="_activation",
)

_CONVNEXT_NAMES = Spelling("encoder.stages.*.layers", {"fc1": "pwconv1", "fc2": "pwconv2"})

CONVNEXT = ConvNeXtFamily(
    name="ConvNeXt",
    model_types=("convnext",),
    spelling=_CONVNEXT_NAMES,
    old_spelling=_CONVNEXT_NAMES,
    default_targets=("fc1", "fc2"),
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
    stem=("embeddings.patch_embeddings", "embeddings.layernorm"),
    head=(),
    final_norm="layernorm",
    side_step=32,
    names=ConvNeXtNames("dwconv", "layernorm", "act", scale="layer_scale_parameter"),
    coarser="encoder.stages.*.downsampling_layer",
)

CONVNEXT_V2 = replace(
    CONVNEXT,
    name="ConvNeXt V2",
    model_types=("convnextv2",),
    names=ConvNeXtNames("dwconv", "layernorm", "act", response_norm="grn"),
)

_DINOV3_CONVNEXT_NAMES = Spelling(
    "model.stages.*.layers", {"fc1": "pointwise_conv1", "fc2": "pointwise_conv2"}
)

DINOV3_CONVNEXT = replace(
    CONVNEXT,
    name="DINOv3 ConvNeXt",
    model_types=("dinov3_convnext",),
    spelling=_DINOV3_CONVNEXT_NAMES,
    old_spelling=replace(_DINOV3_CONVNEXT_NAMES, blocks="stages.*.layers"),
    stem=("model.stages.0.downsample_layers.0", "model.stages.0.downsample_layers.1"),
    final_norm="layer_norm",
    names=ConvNeXtNames("depthwise_conv", "layer_norm", "activation_fn", scale="gamma"),
    coarser="model.stages.*.downsample_layers",
)

FAMILIES: tuple[Family, ...] = (
    *(VIT, DEIT, DINOV2, DINOV2_GATED, DINOV3, DINOV3_GATED, SIGLIP, SIGLIP2),
    *(MOBILENET_V2, EFFICIENTNET, EFFICIENTNET_LITE),
    *(CONVNEXT, CONVNEXT_V2, DINOV3_CONVNEXT),
)


def family_of(config: Any, where: str = "") -> Family:
    """The family that serves a transformers configuration (of a vision tower, where there are two).

    Raises:
        PolymorphError: no family serves it; names those that are supported.
    """
    for family in FAMILIES:
        if family.serves(config):
            family.check(config, where)
            return family
    kinds = (
        ("transformers", TransformerFamily),
        ("inverted bottlenecks", BottleneckFamily),
        ("ConvNeXt blocks", ConvNeXtFamily),
    )
    known = "; ".join(f"{kind}: {', '.join(_model_types(which))}" for kind, which in kinds)
    raise PolymorphError(
        f"a backbone of blocks that are supported ({known}; or siglip and siglip2 with one of "
        "them)",
        f"model type {config.model_type!r}",
        where=where,
    )


def _model_types(kind: type[Family]) -> dict[str, None]:
    types = (t for family in FAMILIES if isinstance(family, kind) for t in family.model_types)
    return dict.fromkeys(types)

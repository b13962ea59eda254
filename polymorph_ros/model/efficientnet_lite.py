"""EfficientNet-Lite, which transformers lacks: inverted bottlenecks with ReLU6, no squeeze.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019;
the Lite variants are those of TensorFlow's model garden. A checkpoint is a folder as all others:
``config.json`` with the model type, and ``model.safetensors`` with the names that PyTorch's ports
of EfficientNet have (``_conv_stem``, ``_blocks.N._expand_conv``, ...). Its input is RGB, minus
127 / 255, over 128 / 255. Convolutions are padded by the grid's size, as TensorFlow pads "same".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention

# Repeats, kernel, stride, expansion, channels in and out, of each stage of the smallest, Lite0.
LITE0 = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class EfficientNetLiteConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """The measures of an EfficientNet-Lite; without arguments those of Lite0.

    Args:
        stages: repeats, kernel, stride, expansion, channels in and out, of each.
        head: channels of the head convolution, and so length of the feature.
        image_size: side of the pictures that it was trained with, pixels.
    """

    model_type = "efficientnet_lite"

    def __init__(
        self,
        stages: Sequence[Sequence[int]] = LITE0,
        head: int = 1280,
        image_size: int = 224,
        batch_norm_eps: float = 1e-3,
        **others: Any,
    ) -> None:
        self.stages = [list(stage) for stage in stages]
        self.head = head
        self.image_size = image_size
        self.batch_norm_eps = batch_norm_eps
        super().__init__(**others)

    @classmethod
    def scaled(cls, width: float, depth: float, **others: Any) -> EfficientNetLiteConfig:
        """Lite0 with so many times its channels and repeats.

        Channels are rounded to multiples of 8, repeats up. As in the published variants the first
        and the last stage are not repeated more often, and the stem grows no wider; with a width
        below 1 it becomes narrower too.

        >>> config = EfficientNetLiteConfig.scaled(0.5, 0.5)
        >>> config.stages[0], config.stages[5]
        ([1, 3, 1, 1, 16, 8], [2, 5, 2, 6, 56, 96])
        """
        stages = []
        inputs = _channels(LITE0[0][4], min(width, 1.0))
        for place, (repeats, kernel, stride, expansion, _, outputs) in enumerate(LITE0):
            if 0 < place < len(LITE0) - 1:
                repeats = math.ceil(depth * repeats)
            outputs = _channels(outputs, width)
            stages.append((repeats, kernel, stride, expansion, inputs, outputs))
            inputs = outputs
        return cls(stages, **others)


def _channels(count: int, width: float) -> int:
    """The nearest multiple of 8, which is at least 8 and loses no tenth."""
    nearest = max(8, int(count * width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * count * width else nearest


class _SameConvolution(nn.Conv2d):
    """A convolution whose output has the grid's side over the stride, rounded up."""

    def forward(self, grid: Tensor) -> Tensor:
        side, kernel, stride = grid.shape[-1], self.kernel_size[0], self.stride[0]
        missing = max(kernel - (side % stride or stride), 0)
        around = (missing // 2, missing - missing // 2)
        return super().forward(functional.pad(grid, around * 2))


class _Block(nn.Module):
    def __init__(self, stage: Sequence[int], eps: float) -> None:
        super().__init__()
        _, kernel, stride, expansion, inputs, outputs = stage
        width = inputs * expansion
        self._expand_conv = None
        if expansion != 1:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps)
        self._depthwise_conv = _SameConvolution(
            width, width, kernel, stride, groups=width, bias=False
        )
        self._bn1 = nn.BatchNorm2d(width, eps)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps)
        self._activation = nn.ReLU6()
        self.residual = stride == 1 and inputs == outputs

    def forward(self, grid: Tensor) -> Tensor:
        hidden = grid
        if self._expand_conv is not None:
            hidden = self._activation(self._bn0(self._expand_conv(grid)))
        hidden = self._activation(self._bn1(self._depthwise_conv(hidden)))
        out: Tensor = self._bn2(self._project_conv(hidden))
        return grid + out if self.residual else out


class EfficientNetLiteModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """The network without its classifier: pixels (B, 3, S, S) to a grid and its mean (B, head)."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    _keys_to_ignore_on_load_unexpected = [r"_fc\..*"]  # noqa: RUF012

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        eps = config.batch_norm_eps
        stem, last = config.stages[0][4], config.stages[-1][5]
        self._conv_stem = _SameConvolution(3, stem, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(stem, eps)
        self._blocks = nn.ModuleList(
            _Block(stage if first else (1, stage[1], 1, *stage[3:4], stage[5], stage[5]), eps)
            for stage in config.stages
            for first in (True, *[False] * (stage[0] - 1))
        )
        self._conv_head = nn.Conv2d(last, config.head, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(config.head, eps)
        self._activation = nn.ReLU6()
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPoolingAndNoAttention:
        """The grid after the head convolution, and the mean over its positions."""
        grid = self._activation(self._bn0(self._conv_stem(pixel_values)))
        for block in self._blocks:
            grid = block(grid)
        grid = self._activation(self._bn1(self._conv_head(grid)))
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=grid, pooler_output=grid.mean(dim=(2, 3))
        )


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteModel)

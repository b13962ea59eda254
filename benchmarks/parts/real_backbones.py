"""Backbones that have seen the world, and the way to a folder of each."""

from __future__ import annotations

from pathlib import Path

from parts.examples import ROOT, run_example
from parts.whole import Larger

MODELS = ROOT.parent / "shared/models"
LITE0 = ROOT / "build/efficientnet_lite0"
LITE0_PX = 160
FOCUS = Larger(str(MODELS / "dinov2_small_focus"), 224)
"""DINOv2-S, tuned by its package for saliency: it is not ``facebook/dinov2-small``."""


def make_lite0() -> Path:
    """A folder with EfficientNet-Lite0 as transformers loads it; written unless it is there."""
    if not (LITE0 / "model.safetensors").is_file():
        run_example("efficientnet_lite0.py", LITE0)
    return LITE0

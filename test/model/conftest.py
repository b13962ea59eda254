"""Fixtures of the model's tests: one tiny backbone folder per family, written once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.tiny import FAMILIES, tiny_backbone_folder


@pytest.fixture(scope="session")
def backbone_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("backbones")
    return {family: tiny_backbone_folder(root / family, family) for family in FAMILIES}

"""A training run that is over in seconds."""

from __future__ import annotations

import pytest

from helpers.quick_training import QUICK
from polymorph_ros.training.config import TrainConfig


@pytest.fixture(scope="session")
def quick_config() -> TrainConfig:
    return TrainConfig.model_validate(QUICK)

"""A training run that is over in seconds, and torch as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from helpers.quick_training import QUICK
from polymorph_ros.training.config import TrainConfig

# A borrowed GPU machine may lack what reads recordings: the GPU's tests need none of it.
if not all(map(find_spec, ("mcap", "rosbags"))):
    here = Path(__file__).parent
    collect_ignore = [file.name for file in here.glob("test_[!g]*.py")]
    collect_ignore += [file.name for file in here.glob("test_gr*.py")]


@pytest.fixture(scope="session")
def quick_config() -> TrainConfig:
    return TrainConfig.model_validate(QUICK)


@pytest.fixture(autouse=True, scope="module")
def torch_as_before() -> Iterator[None]:
    """Training sets torch's threads and determinism for the whole process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)

"""Pins tokens that several workers compute: the same to the bit as by one, also after a stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polymorph_ros.training.artifacts import folder_of, make
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.stages.backbone import backbone_stage
from polymorph_ros.training.stages.tokens import TokensStage, load_tokens, make_tokens
from polymorph_ros.training.workers import ThisProcess

VIEWS = 8  # of 36 frames: 288 rows, three batches


@pytest.fixture(scope="module")
def stage(quick_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> TokensStage:
    work = tmp_path_factory.mktemp("frames")
    tokens = quick_config.tokens.model_copy(update={"augmentations": VIEWS - 1})
    config = quick_config.model_copy(update={"tokens": tokens})
    graph = TrainingGraph(config)
    frames = make(graph.sources.train, work)
    backbone = make(backbone_stage(config, graph.preprocessing, frames), work)
    return graph.tokens("train", backbone, frames)


def several(count: int) -> ThisProcess:
    workers = ThisProcess()
    workers.count = count
    return workers


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_make_the_same_tokens(stage: TokensStage, count: int, tmp_path: Path) -> None:
    alone = make_tokens(stage, tmp_path / "alone", ThisProcess(), print)

    shared = make_tokens(stage, tmp_path / "shared", several(count), print)

    assert shared.digest == alone.digest
    assert shared.folder.name == alone.folder.name
    assert len(load_tokens(shared.folder)) == stage.rows() == 288
    assert [folder.name for folder in (tmp_path / "shared").iterdir()] == [shared.folder.name]


def test_collecting_goes_on_where_it_stopped(stage: TokensStage, tmp_path: Path) -> None:
    alone = load_tokens(make_tokens(stage, tmp_path / "alone", ThisProcess(), print).folder)
    scratch = tmp_path / "shared" / f".{folder_of(stage, tmp_path).name}.part"
    scratch.mkdir(parents=True)
    stage.write_rows(scratch, 0, 128)

    shared = make_tokens(stage, tmp_path / "shared", several(2), print)

    np.testing.assert_array_equal(load_tokens(shared.folder), alone)

"""Pins the plan that `--dry-run` prints: it writes nothing, knows what is kept, and what it says of
frames, steps and bytes is what the run then takes.

Open: how near the estimated time is; it depends on what else the machine does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from polymorph_ros.evaluation.replay import measure
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle
from polymorph_ros.training.plan import plan_training


def test_a_plan_writes_nothing_and_comes_true(quick_config: TrainConfig, tmp_path: Path) -> None:
    work = tmp_path / "work"
    config = quick_config.model_copy(
        update={"tokens": quick_config.tokens.model_copy(update={"augmentations": 1})}
    )

    before = plan_training(config, work)
    assert not work.exists()
    train_bundle(config, tmp_path / "bundle", work, measure, lambda line: None)
    after = plan_training(config, work)

    assert {stage.state for stage in before.stages} == {"to do"}
    *stages, ending = after.stages
    assert {stage.state for stage in stages} == {"done"}
    assert ending.state == "to do"
    assert after.left.steps == 0
    assert before.left.seconds > after.left.seconds > 0
    assert before.left.size > after.left.size > 0
    for name in ("frames-train", "frames-test", "tokens-train", "tokens-validation"):
        planned = next(stage for stage in before.stages if stage.name == name)
        written = next(work.glob(f"{name}-*"))
        bytes_there = sum(file.stat().st_size for file in written.iterdir())
        assert planned.cost.size == pytest.approx(bytes_there, rel=0.2, abs=3000), name
    tokens = next(stage for stage in before.stages if stage.name == "tokens-train")
    assert tokens.cost.frames == 2 * 36


def test_a_stage_that_was_broken_off_is_told(quick_config: TrainConfig, tmp_path: Path) -> None:
    work = tmp_path / "work"
    train_bundle(quick_config, tmp_path / "bundle", work, measure, lambda line: None)
    scout = next(work.glob("scout-*"))
    scout.rename(work / f".{scout.name}.part")

    plan = plan_training(quick_config, work)

    states = {stage.name: stage.state for stage in plan.stages}
    assert states["scout"] == "begun"
    assert states["backbone"] == "done"

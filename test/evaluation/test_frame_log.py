"""Pins frame logs: what is written comes back, and other readers take the folder as one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from polymorph_ros.evaluation.frame_log import (
    Cost,
    FrameLogBuilder,
    read_frame_log,
    write_frame_log,
)
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.evaluation.run_folder import RunFolder


def some_log(sequence: str, frames: int) -> FrameLogBuilder:
    log = FrameLogBuilder(sequence, ("cup", "desk"))
    for index in range(frames):
        said = Labelled(
            scores=np.array([0.25, index / 10], np.float32),
            active=np.array([False, True]),
            adapters=("office",) if index else (),
            adapters_changed=index == 1,
            stage_seconds={"trunk": 0.5} if index else {},
        )
        truth = np.array([1, -1], np.int8)
        log.add(2 * index, 10**18 + index, truth, said, Cost(0.5, float("nan"), 0.25, 0.0))
    return log


def test_a_log_comes_back_as_it_was(tmp_path: Path) -> None:
    log = some_log("a/b", 3).build()

    write_frame_log(log, tmp_path / "log.parquet")
    back = read_frame_log(tmp_path / "log.parquet")

    assert (back.sequence, back.labels) == ("a/b", ("cup", "desk"))
    assert back.frames.tolist() == [0, 2, 4]
    assert back.stamps_ns.tolist() == [10**18, 10**18 + 1, 10**18 + 2]
    assert np.array_equal(back.scores, log.scores)
    assert np.array_equal(back.truth, log.truth)
    assert np.array_equal(back.active, log.active)
    assert back.adapters == ((), ("office",), ("office",))
    assert back.stage_seconds == ({}, {"trunk": 0.5}, {"trunk": 0.5})
    assert np.isnan(back.joules).all()


def test_a_log_without_a_frame_comes_back_empty(tmp_path: Path) -> None:
    write_frame_log(some_log("none", 0).build(), tmp_path / "log.parquet")

    assert len(read_frame_log(tmp_path / "log.parquet")) == 0


def test_the_folder_is_one_table_for_others(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for number, name in enumerate(("a", "b/c")):
        write_frame_log(some_log(name, 3).build(), folder.frames("polymorph", number, name))

    table = pd.read_parquet(tmp_path / "frames")

    assert len(table) == 6
    assert set(table["method"]) == {"polymorph"}
    assert set(table["sequence"]) == {"a", "b/c"}

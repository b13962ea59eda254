"""Pins that labelled recordings know their camera's frame_id, however their labels are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymorph_ros.data.bag_writer import write_synthetic_bag
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.data.union import union


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "walk"
    sequence = make_sequence(3, index=0, split="test", frames=3, hz=5.0, size=(64, 48))
    write_synthetic_bag(path, sequence, frame_id="left_optical", jpeg_quality=90)
    return path


def test_a_recording_with_a_truth_topic(bag: Path) -> None:
    dataset = open_dataset(bag)

    assert [sequence.frame_id for sequence in dataset.sequences] == ["left_optical"]
    assert [sequence.frame_id for sequence in union([dataset]).sequences] == ["left_optical"]


def test_a_recording_with_a_table(bag: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("stamp,labels\n1.0,mug\n1.2,mug\n")

    dataset = open_dataset(bag, labels=table)

    assert [sequence.frame_id for sequence in dataset.sequences] == ["left_optical"]

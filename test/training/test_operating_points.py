"""Pins the table of operating points: what is measured, what of it is stored, and that an older
bundle gets it without a change to any other file.

Open: whether the order it gives is right on other data; benchmarks/governor.py measures that.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from helpers.quick_training import QUICK
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import OperatingPoint, ReuseEntry
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.cli.main import app
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.operating_points import Table, table_of
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.stages.operating_points import add_points, learn_points

HZ = 4.0
REUSE = ReuseEntry(difference=8.0, max_age_s=1.0, pace=0.5, agreement=0.99)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    contexts = {"home": ("person", "sofa", "tv"), "street": ("person", "car", "bicycle")}
    return write_tiny_bundle(tmp_path / "old", contexts=contexts, reuse=REUSE)


def frames_of(bundle: Bundle) -> LabelledFrames:
    rng = np.random.default_rng(0)
    labels = len(bundle.manifest.labels)
    return LabelledFrames(
        rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8),
        rng.integers(0, 2, (24, labels), dtype=np.int8),
        np.repeat([0, 1], 12).astype(np.int32),
        np.tile(np.arange(12) / HZ, 2),
    )


def test_the_table_has_work_and_accuracy_of_every_lever_the_unlimited_first(bundle: Bundle) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")

    table = learn_points(model, bundle.manifest, frames_of(bundle))

    assert table.hz == HZ
    assert table.points[0].unlimited
    assert all(point.mean_ap is not None for point in table.points)
    every = {point.every: point for point in table.points if point.reuse_scale == 1.0}
    assert every[4].computed < every[2].computed < 1.0
    plain = [point for point in table.points if not point.size and not point.tail_tokens]
    assert {point.reuse_scale for point in plain} > {1.0}
    assert any(point.max_adapters for point in plain)
    assert any(point.cover_shift for point in plain)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_pictures_that_each_stand_by_themselves_have_no_rate(bundle: Bundle) -> None:
    frames = frames_of(bundle)
    alone = replace(frames, sequence=np.arange(len(frames), dtype=np.int32))

    table = learn_points(PolymorphModel.from_bundle(bundle, "cpu"), bundle.manifest, alone)

    assert table.hz == 0.0


def test_the_table_is_added_without_a_change_to_any_file_and_the_same_each_time(
    bundle: Bundle, tmp_path: Path
) -> None:
    frames = frames_of(bundle)

    first = add_points(bundle, frames, tmp_path / "first")
    second = add_points(bundle, frames, tmp_path / "second")
    replaced = add_points(bundle, frames, None)

    assert first.manifest.files == bundle.manifest.files, "size and SHA-256 of every file"
    assert first.checksum == second.checksum == replaced.checksum != bundle.checksum
    assert read_bundle(bundle.path).manifest.operating_points_hz == HZ
    assert table_of(first.manifest) == Table(first.manifest.operating_points, HZ)


def test_the_command_takes_the_validation_frames_of_a_configuration(
    bundle: Bundle, tmp_path: Path
) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(yaml.safe_dump(QUICK))
    out = tmp_path / "new"

    found = CliRunner().invoke(
        app,
        ["bundle", "learn-points", str(bundle.path), "--config", str(config), "--out", str(out)],
    )

    assert found.exit_code == 0, found.output
    new = read_bundle(out)
    assert len(new.manifest.operating_points) > 20
    assert new.manifest.operating_points_hz == QUICK["synthetic"]["evaluation_hz"]
    assert "nothing" in found.output, "the point that sets nothing"
    assert not read_bundle(bundle.path).manifest.operating_points


def test_a_bundle_without_a_table_gets_the_default_order(bundle: Bundle) -> None:
    table = table_of(bundle.manifest)

    assert table.points[0].unlimited
    assert [point.max_adapters for point in table.points[1:3]] == [2, 1]
    assert [point.every for point in table.points[3:]] == [2, 3, 4, 6, 8, 12, 16]
    assert table.at(30.0, reuse=True) == table.points, "where nothing was measured, nothing scales"


def test_a_faster_camera_has_the_points_again_with_as_many_computed_frames_per_second() -> None:
    points = (OperatingPoint(computed=0.9), OperatingPoint(every=2, computed=0.5))

    found = Table(points, hz=5.0).at(20.0, reuse=True)

    assert found[0] == points[0]
    assert [(point.every, point.computed) for point in found[1:]] == [(4, 0.225), (8, 0.125)]
    assert Table(points, hz=5.0).at(2.0, reuse=True) == points


def test_without_reuse_points_that_rest_on_it_are_left_out() -> None:
    points = (
        OperatingPoint(computed=0.9),
        OperatingPoint(reuse_scale=4.0, computed=0.5),
        OperatingPoint(every=4, computed=0.2),
    )

    found = Table(points, hz=5.0).at(5.0, reuse=False)

    assert [(point.every, point.computed) for point in found] == [(1, 1.0), (4, 0.25)]
